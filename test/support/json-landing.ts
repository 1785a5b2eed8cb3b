import { BridgeError } from "../../bridge/errors.ts";
import { type AddedFile, quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import {
  type LandedTable,
  landingFolder,
  type WrittenLanding,
} from "../../bridge/lake/commit-log/landed-file.ts";
import type { LandedLane } from "../../bridge/lake/commit-log/lane-commits.ts";
import { hourOf, laneOf } from "../../bridge/lake/landing/lane.ts";
import type { LandedSource, RowFiles, RowRound, TableRows } from "../../bridge/lake/landing/row-files.ts";
import { planFile } from "../../bridge/lake/parquet/file-plan.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import type { QuarantineFacts, Row } from "../../bridge/tail/row.ts";
import type { ColumnValue } from "../../bridge/topics/column-value.ts";
import { mergeColumns } from "../../bridge/topics/table-columns.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import { type FiledRow, filedRow } from "./json-lake.ts";

/** A row in a simulated landing file. */
export interface LandedRow extends FiledRow {
  readonly topicVersion: number;
  readonly lane: LandedLane;
  readonly hour: number;
  readonly values: readonly (string | null)[];
}

/** Table files keep the typed columns by name; a long is text. */
export interface SettledRow extends FiledRow {
  readonly columns: Readonly<Record<string, string | null>>;
}

type Store = Pick<ObjectStore, "get" | "put">;

/** Keeps a batch's rows as one JSON file in the store, as `LandingWriter` keeps them as Parquet. */
export class JsonLandingWriter {
  readonly #store: Store;
  readonly #nextFile: () => string;
  #rows: LandedRow[] = [];
  #tables = new Map<string, LandedTable & { version: number; rows: Partial<Record<LandedLane, number>> }>();

  constructor(store: Store, nextFile: () => string) {
    this.#store = store;
    this.#nextFile = nextFile;
  }

  add(topic: TopicVersion, row: Row, values: readonly ColumnValue[]): void {
    this.#stage(topic.topicId, topic, {
      ...filedRow(row, topic.topicId, null),
      ...placeOf(row),
      values: texts(values),
      topicVersion: topic.version,
    });
  }

  quarantine(row: Row, { topicId, topicVersion, reason }: QuarantineFacts): void {
    const table = { name: quarantineKey, version: 0 };
    this.#stage(quarantineKey, table, {
      ...filedRow(row, topicId, reason),
      ...placeOf(row),
      values: [],
      topicVersion,
    });
  }

  async write(): Promise<WrittenLanding | null> {
    const [rows, tables] = [this.#rows, this.#tables];
    if (rows.length === 0) return null;
    const path = `${landingFolder}/${this.#nextFile()}.parquet`;
    const bytes = Buffer.from(JSON.stringify(rows));
    await this.#store.put(path, bytes);
    this.discard();
    const times = rows.map(({ streamTimeMs }) => streamTimeMs);
    const [minStreamMs, maxStreamMs] = [Math.min(...times), Math.max(...times)];
    return { file: { path, bytes: bytes.length, size: rows.length * 100, minStreamMs, maxStreamMs }, tables };
  }

  discard(): void {
    this.#rows = [];
    this.#tables = new Map();
  }

  #stage(key: string, { name, version }: { name: string; version: number }, row: LandedRow): void {
    const table = this.#tables.get(key) ?? { name, version: 0, rows: {} };
    table.version = Math.max(table.version, version);
    table.rows[row.lane] = (table.rows[row.lane] ?? 0) + 1;
    this.#tables.set(key, table);
    this.#rows.push(row);
  }
}

function placeOf(row: Row): Pick<LandedRow, "lane" | "hour"> {
  return { lane: laneOf(row), hour: hourOf(row) };
}

function texts(values: readonly ColumnValue[]): (string | null)[] {
  return values.map((value) => (value === null ? null : String(value)));
}

/** Makes JSON files of tables from those landing files. */
export function createJsonRowFiles(
  store: Store,
  nextFile: () => string,
  { rowsPerFile = Number.POSITIVE_INFINITY }: { rowsPerFile?: number } = {},
): RowFiles {
  return {
    async open(sources: readonly LandedSource[]): Promise<RowRound> {
      const staged: (LandedRow & { readonly commit: number })[] = [];
      for (const { commit, path } of sources) {
        const bytes = await store.get(path);
        if (bytes === null)
          throw new BridgeError("LAKE_DAMAGED", `${path} is missing in the lake`, { retryable: true });
        const rows = JSON.parse(Buffer.from(bytes).toString()) as LandedRow[];
        staged.push(...rows.map((row) => ({ ...row, commit })));
      }
      return {
        write: async (table) => {
          const adds: AddedFile[] = [];
          const rows = staged.filter((row) => isOf(table, row)).toSorted(byTime);
          for (const hour of [...new Set(rows.map((row) => row.hour))].sort((left, right) => left - right)) {
            const ofHour = rows.filter((row) => row.hour === hour);
            while (ofHour.length > 0) {
              const part = ofHour.splice(0, rowsPerFile);
              adds.push(await writeFile(table, hour, part));
            }
          }
          return adds;
        },
        close: async () => {},
      };
    },
  };

  async function writeFile(table: TableRows, hour: number, rows: readonly LandedRow[]): Promise<AddedFile> {
    const { folder, eventDate, eventHour } = planFile(0, hour);
    const path = `${folder}/${nextFile()}.parquet`;
    const bytes = Buffer.from(JSON.stringify(rows.map((row) => settledRow(table, row))));
    await store.put(`${table.name}/${path}`, bytes);
    const ingest = rows.map((row) => row.ingestTimeMs);
    const stream = rows.map((row) => row.streamTimeMs);
    return {
      path,
      eventDate,
      eventHour,
      bytes: bytes.length,
      rows: rows.length,
      modifiedAtMs: 0,
      minIngestMs: Math.min(...ingest),
      maxIngestMs: Math.max(...ingest),
      minStreamMs: Math.min(...stream),
      maxStreamMs: Math.max(...stream),
      stats: "{}",
    };
  }
}

function isOf({ versions, ranges }: TableRows, row: LandedRow & { readonly commit: number }): boolean {
  const isOfTable =
    versions === null
      ? row.reason !== null
      : row.reason === null && versions.some(({ topicId }) => topicId === row.topicId);
  return (
    isOfTable &&
    ranges.some(({ lane, after, upTo }) => lane === row.lane && after < row.commit && row.commit <= upTo)
  );
}

function byTime(left: LandedRow, right: LandedRow): number {
  return left.eventTimeMs - right.eventTimeMs || left.eventTimeMicros - right.eventTimeMicros;
}

function settledRow({ versions }: TableRows, row: LandedRow): SettledRow {
  const { topicVersion, lane, hour, values, ...filed } = row;
  const own = versions?.find(
    (each) => each.topicId === row.topicId && each.version === topicVersion,
  )?.columns;
  const columns = mergeColumns((versions ?? []).map((version) => version.columns)).map(({ name }) => {
    const index = own?.findIndex((column) => column.name.toLowerCase() === name.toLowerCase()) ?? -1;
    return [name, values[index] ?? null] as const;
  });
  return { ...filed, columns: Object.fromEntries(columns) };
}
