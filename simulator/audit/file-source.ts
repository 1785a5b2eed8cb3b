import type { DataFile } from "./delta-actions.ts";
import { LandingFile } from "./landing-file.ts";
import type { UnsettledFile, UnsettledLanding } from "./live-rows.ts";
import { type FileRows, TableFile } from "./table-file.ts";
import type { TopicDefinitions } from "./topic-definitions.ts";

/** A file with rows that count as filed. */
export interface FileSource {
  /** Another one if other rows of the file count. */
  readonly key: string;
  readonly path: string;
  /** For people: what the file is, and what names it. */
  readonly name: string;
  /** By its log, in ms since the epoch; NaN if the log does not say. */
  readonly modifiedAtMs: number;
  /** Largest ingest time of its rows, ms; null if its log does not say. */
  readonly maxIngestMs: number | null;
  /** True if a table's schema must have the file's columns. */
  readonly isInTable: boolean;
  /** Throws the fault if its log describes it in a way that cannot be read. */
  rows(topics: TopicDefinitions): FileRows;
}

export function liveSource(file: DataFile): FileSource {
  const { path, modifiedAtMs, maxIngestMs } = file;
  return {
    key: path,
    path,
    name: `the data file ${path}, which its table names,`,
    modifiedAtMs,
    maxIngestMs,
    isInTable: true,
    rows: (topics) => new TableFile(file, topics),
  };
}

/**
 * A table file of a commit that its table does not show yet. If the table has the file nevertheless, readers
 * take its rows twice.
 */
export function unsettledSource({ commit, file }: UnsettledFile, isLive: boolean): FileSource {
  const source = liveSource(file);
  const name = `the data file ${file.path}, which commit ${commit} names,`;
  return { ...source, key: isLive ? `${file.path} ${commit}` : file.path, name, isInTable: false };
}

export function landingSource(landing: UnsettledLanding): FileSource {
  const { commit, committedAtMs, unsettled } = landing;
  const { path } = landing.landing;
  const parts = unsettled.map(({ key, lane }) => `${key}/${lane}`);
  return {
    key: [path, ...parts].join(" "),
    path,
    name: `the landing file ${path}, which commit ${commit} names,`,
    modifiedAtMs: committedAtMs,
    maxIngestMs: null,
    isInTable: false,
    rows: (topics) => new LandingFile(landing, topics),
  };
}
