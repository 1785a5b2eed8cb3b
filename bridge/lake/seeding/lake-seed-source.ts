import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { partitionKey } from "../../streams/partition-key.ts";
import { type CommitEntry, type CommitLog, type LakeState, quarantineKey } from "../commit-log/commit-log.ts";
import type { LandedFile } from "../commit-log/landed-file.ts";
import { rowsOf } from "../commit-log/past-partitions.ts";
import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import { type AddAction, decodePath } from "../delta/delta-actions.ts";
import { statisticsTime } from "../delta/statistics-times.ts";
import { eachTableFile } from "../delta/table-files.ts";
import type { ReadSeedRows } from "../parquet/seed-reader.ts";
import type { FiledQuery, SeedPart, SeedQuery, SeedRows, SeedSource } from "../seed-source.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { FileSelection } from "./file-selection.ts";
import { UnreadableFiles } from "./unreadable-files.ts";

const hourMs = 3_600_000;

/**
 * Finds files by the commit log: from each partition's last move back to the first one whose stream time is
 * before the span.
 *
 * The tables' own files are searched in three cases. By the clock, the log keeps entries longer than any
 * window. But a partition's stream time may have stood still for longer, so its entries may be gone. Whole
 * topics need all files. And if another writer has replaced files, the commit log names files that are gone.
 */
class LakeSeedSource implements SeedSource {
  readonly #store: ObjectStore;
  readonly #commitLog: CommitLog;
  readonly #checkpoints: CheckpointFiles | undefined;
  readonly #readRows: ReadSeedRows;
  readonly #logger: Logger | undefined;
  readonly #unreadable: UnreadableFiles;

  constructor(options: SeedSourceOptions) {
    this.#store = options.store;
    this.#commitLog = options.commitLog;
    this.#checkpoints = options.checkpoints;
    this.#readRows = options.readRows ?? readParquetRows;
    this.#logger = options.logger;
    this.#unreadable = new UnreadableFiles(options);
  }

  async *rows(query: SeedQuery): AsyncGenerator<SeedRows> {
    const state = await this.#commitLog.load();
    const files = new FileSelection();
    const { wholeTopics, parts } = query;
    const forgotten = await this.#selectCommitted(state, query, files);
    if (forgotten.length > 0) {
      const sinceMs = Math.min(...forgotten.map((part) => part.sinceMs));
      await this.#selectLive(state, files, () => sinceMs);
    }
    if (wholeTopics && wholeTopics.size > 0)
      await this.#selectLive(state, files, (key) =>
        key === quarantineKey || wholeTopics.has(key) ? Number.NEGATIVE_INFINITY : null,
      );
    const replaced = new Set(await files.dropGone(this.#store));
    if (replaced.size > 0) {
      const sinceMs = Math.min(...parts.map((part) => part.sinceMs));
      await this.#selectLive(state, files, (key) => (replaced.has(key) ? sinceMs : null));
    }
    yield* this.#readRows(this.#store, files.groups(), query, (path, error) =>
      this.#unreadable.isGivenUp(path, error),
    );
  }

  async filed(query: FiledQuery): Promise<SeedRows[] | null> {
    const state = await this.#commitLog.load();
    const files = new FileSelection();
    let bytes = 0;
    for (const key of [query.topicId, quarantineKey]) {
      const isWhole = await this.#eachFile(state, key, {
        visit: (name, add) => {
          if (!mayHoldTimes(add, query.eventTimesMs)) return;
          files.add(key, name, decodePath(add.path));
          bytes += add.size;
        },
        // Their hours are in the file only.
        visitLanding: (file) => {
          files.addLanding(file.path, [key]);
          bytes += file.bytes;
        },
      });
      if (!isWhole) return null;
    }
    if (!query.mayRead(bytes)) return null;
    const found: SeedRows[] = [];
    let isWhole = true;
    const isGivenUp = (path: string, error: unknown) => {
      const isOut = this.#unreadable.isGivenUp(path, error);
      if (isOut) isWhole = false;
      return isOut;
    };
    for await (const rows of this.#readRows(
      this.#store,
      files.groups(),
      { parts: [], ids: query },
      isGivenUp,
    ))
      found.push(rows);
    return isWhole ? found : null;
  }

  /**
   * Goes back through the entries of all parts together. Resolves with the parts whose entries the log gave
   * up too early.
   */
  async #selectCommitted(state: LakeState, query: SeedQuery, files: FileSelection): Promise<SeedPart[]> {
    const forgotten: SeedPart[] = [];
    const partsByNext = new Map<number, SeedPart[]>();
    const follow = (part: SeedPart, number = 0) => {
      if (number > 0) partsByNext.set(number, [...(partsByNext.get(number) ?? []), part]);
    };
    for (const part of query.parts) follow(part, rowsOf(state, keyOf(part))?.commit);
    while (partsByNext.size > 0) {
      const number = Math.max(...partsByNext.keys());
      const parts = partsByNext.get(number) ?? [];
      partsByNext.delete(number);
      const entry = await this.#commitLog.entry(number);
      for (const part of parts) {
        const move = entry?.moves[keyOf(part)];
        if (!entry || !move) forgotten.push(part);
        else if (move.streamTimeMs >= part.sinceMs) {
          if (number <= query.upToCommit) selectEntry(entry, part.sinceMs, files);
          follow(part, move.previousCommit);
        }
      }
    }
    return forgotten;
  }

  /** @param sinceOf Stream time from which a table's rows are wanted; null = none. */
  async #selectLive(
    state: LakeState,
    files: FileSelection,
    sinceOf: (key: string) => number | null,
  ): Promise<void> {
    for (const key of state.tables.keys()) {
      const sinceMs = sinceOf(key);
      if (sinceMs === null) continue;
      await this.#eachFile(state, key, {
        visit: (name, add) => {
          if (mayHoldRowsSince(add, sinceMs)) files.add(key, name, decodePath(add.path));
        },
        visitLanding: (file) => {
          if (file.maxStreamMs >= sinceMs) files.addLanding(file.path, [key]);
        },
      });
    }
  }

  /**
   * Visits the files of a table, see `eachTableFile`. Resolves with false if its log is unreadable, so that
   * files may be missing.
   */
  async #eachFile(state: LakeState, key: string, { visit, visitLanding }: VisitFiles): Promise<boolean> {
    const table = state.tables.get(key);
    if (!table) return true;
    const options = { store: this.#store, commitLog: this.#commitLog, checkpoints: this.#checkpoints };
    const fault = await eachTableFile(options, key, (add) => visit(table.name, add), visitLanding);
    if (fault === null) return true;
    this.#logger?.error(
      { event: "seed.table.unreadable", table: table.name, err: fault },
      "the log of a table can't be read, so ids come from the commit log only: messages with older ids may be filed again",
    );
    return false;
  }
}

interface VisitFiles {
  readonly visit: (tableName: string, add: AddAction) => void;
  readonly visitLanding: (file: LandedFile) => void;
}

function keyOf({ streamId, partition }: SeedPart): string {
  return partitionKey(streamId, partition);
}

function selectEntry(entry: CommitEntry, sinceMs: number, files: FileSelection): void {
  for (const [key, { name, adds }] of Object.entries(entry.tables))
    for (const { path, maxIngestMs, maxStreamMs } of adds)
      if ((maxStreamMs ?? maxIngestMs) >= sinceMs) files.add(key, name, path);
  const { landing } = entry;
  if (landing && landing.file.maxStreamMs >= sinceMs)
    files.addLanding(landing.file.path, Object.keys(landing.tables));
}

/** Decides by the file's statistics; true if it has none. */
function mayHoldRowsSince(add: AddAction, sinceMs: number): boolean {
  const stats = add.stats ?? "";
  const stream = statisticsTime(stats, "maxValues", "_stream_time");
  const ingest = statisticsTime(stats, "maxValues", "ingest_time");
  const isInAllRows = /"nullCount":\{[^}]*"_stream_time":0\b/.test(stats);
  // Version 0.1.0 had no stream time; its ingest time was the same. Another writer may have compacted such
  // rows and newer ones into one file.
  const latest = isInAllRows ? [stream] : [stream, ingest];
  if (latest.every((time) => time === undefined)) return true;
  // Statistics may be cut to whole milliseconds.
  return latest.some((time) => time !== undefined && !(Date.parse(time) + 1 < sinceMs));
}

/** Decides by the file's hour and statistics; true if the hour matches and it has no statistics. */
function mayHoldTimes({ partitionValues, stats }: AddAction, timesMs: readonly number[]): boolean {
  const hour = new Date(Math.floor((timesMs[0] ?? 0) / hourMs) * hourMs);
  if (partitionValues["event_date"] !== hour.toISOString().slice(0, 10)) return false;
  if (Number(partitionValues["event_hour"]) !== hour.getUTCHours()) return false;
  const earliest = statisticsTime(stats, "minValues", "event_time");
  const latest = statisticsTime(stats, "maxValues", "event_time");
  if (earliest === undefined || latest === undefined) return true;
  // Statistics may be cut to whole milliseconds.
  const [fromMs, toMs] = [Date.parse(earliest) - 1, Date.parse(latest) + 1];
  return !timesMs.every((ms) => ms < fromMs || ms > toMs);
}

export interface SeedSourceOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  /** Default: checkpoints and data in Parquet files. */
  readonly checkpoints?: CheckpointFiles;
  readonly readRows?: ReadSeedRows;
  readonly logger?: Logger;
  readonly registry?: Registry;
}

export function createSeedSource(options: SeedSourceOptions): SeedSource {
  return new LakeSeedSource(options);
}

async function* readParquetRows(...query: Parameters<ReadSeedRows>): AsyncGenerator<SeedRows> {
  const { readSeedRows } = await import("../parquet/seed-reader.ts");
  yield* readSeedRows(...query);
}
