import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { type CommitEntry, type CommitLog, type LakeState, partitionKey, QUARANTINE } from "./commit-log.ts";
import type { CheckpointFiles } from "./delta/checkpoint-files.ts";
import type { AddAction } from "./delta/delta-actions.ts";
import { decodePath } from "./delta/delta-table.ts";
import { FileSelection } from "./file-selection.ts";
import type { ObjectStore } from "./object-store.ts";
import type { ReadSeedRows } from "./parquet/seed-reader.ts";
import { rowsOf } from "./past-partitions.ts";
import type { FiledQuery, SeedPart, SeedQuery, SeedRows, SeedSource } from "./seed-source.ts";
import { eachTableFile } from "./table-files.ts";
import { UnreadableFiles } from "./unreadable-files.ts";

const hourMs = 3_600_000;

/**
 * Finds the files through the commit log: from each partition's last move back to the first one whose stream time is before the span.
 * Entries are kept longer than any window by the clock, but a partition's stream time may have stood still for longer than that;
 * what the log has forgotten is looked for in the tables themselves, and so is what whole topics hold, and what another writer has put
 * into other files since: of those, the ones that the commit log names may be gone.
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
        key === QUARANTINE || wholeTopics.has(key) ? Number.NEGATIVE_INFINITY : null,
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
    for (const key of [query.topicId, QUARANTINE]) {
      const isWhole = await this.#eachFile(state, key, (name, add) => {
        if (!mayHoldTimes(add, query.eventTimesMs)) return;
        files.add(key, name, decodePath(add.path));
        bytes += add.size;
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

  /** Goes back through the entries of all parts together. Resolves with the parts for which the log does not reach back far enough. */
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

  /** @param sinceOf Since when a table's rows are wanted; null = none. */
  async #selectLive(
    state: LakeState,
    files: FileSelection,
    sinceOf: (key: string) => number | null,
  ): Promise<void> {
    for (const key of state.tables.keys()) {
      const sinceMs = sinceOf(key);
      if (sinceMs === null) continue;
      await this.#eachFile(state, key, (name, add) => {
        if (mayHoldRowsSince(add, sinceMs)) files.add(key, name, decodePath(add.path));
      });
    }
  }

  /** Visits the files of a table, see `eachTableFile`; false if its log can't be read, so that some may be missing. */
  async #eachFile(
    state: LakeState,
    key: string,
    visit: (name: string, add: AddAction) => void,
  ): Promise<boolean> {
    const table = state.tables.get(key);
    if (!table) return true;
    const options = { store: this.#store, commitLog: this.#commitLog, checkpoints: this.#checkpoints };
    const fault = await eachTableFile(options, { key, ...table }, (add) => visit(table.name, add));
    if (fault === null) return true;
    this.#logger?.error(
      { event: "seed.table.unreadable", table: table.name, err: fault },
      "the log of a table can't be read, so that ids are known as far as the commit log tells: older ones may be filed again",
    );
    return false;
  }
}

function keyOf({ streamId, partition }: SeedPart): string {
  return partitionKey(streamId, partition);
}

function selectEntry(entry: CommitEntry, sinceMs: number, files: FileSelection): void {
  for (const [key, { name, adds }] of Object.entries(entry.tables))
    for (const { path, maxIngestMs, maxStreamMs } of adds)
      if ((maxStreamMs ?? maxIngestMs) >= sinceMs) files.add(key, name, path);
}

/** By the file's statistics; a file without them may. */
function mayHoldRowsSince(add: AddAction, sinceMs: number): boolean {
  const stats = add.stats ?? "";
  const [, stream] = /"maxValues":\{[^}]*"_stream_time":"([^"]+)"/.exec(stats) ?? [];
  const [, ingest] = /"maxValues":\{[^}]*"ingest_time":"([^"]+)"/.exec(stats) ?? [];
  const isInAllRows = /"nullCount":\{[^}]*"_stream_time":0\b/.test(stats);
  // 0.1.0 did not know stream time: its ingest time was the same. Others may have put such rows and newer ones into one file.
  const latest = isInAllRows ? [stream] : [stream, ingest];
  if (latest.every((time) => time === undefined)) return true;
  // Statistics may be cut to whole milliseconds.
  return latest.some((time) => time !== undefined && !(Date.parse(time) + 1 < sinceMs));
}

/** By the file's hour and its statistics; a file without them may. */
function mayHoldTimes({ partitionValues, stats }: AddAction, timesMs: readonly number[]): boolean {
  const hour = new Date(Math.floor((timesMs[0] ?? 0) / hourMs) * hourMs);
  if (partitionValues["event_date"] !== hour.toISOString().slice(0, 10)) return false;
  if (Number(partitionValues["event_hour"]) !== hour.getUTCHours()) return false;
  const earliest = /"minValues":\{[^}]*"event_time":"([^"]+)"/.exec(stats ?? "")?.[1];
  const latest = /"maxValues":\{[^}]*"event_time":"([^"]+)"/.exec(stats ?? "")?.[1];
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
  const { readSeedRows } = await import("./parquet/seed-reader.ts");
  yield* readSeedRows(...query);
}
