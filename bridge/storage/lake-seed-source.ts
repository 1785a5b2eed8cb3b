import { type CommitEntry, type CommitLog, type LakeState, partitionKey, QUARANTINE } from "./commit-log.ts";
import type { CheckpointFiles } from "./delta/checkpoint-files.ts";
import type { AddAction } from "./delta/delta-actions.ts";
import { DeltaTable, decodePath } from "./delta/delta-table.ts";
import type { ObjectStore } from "./object-store.ts";
import type { ReadSeedRows, SeedFiles } from "./parquet/seed-reader.ts";
import { rowsOf } from "./past-partitions.ts";
import type { FiledQuery, SeedPart, SeedQuery, SeedRows, SeedSource } from "./seed-source.ts";

const hourMs = 3_600_000;

/** Paths of files to read, by topic id or QUARANTINE. */
class FileSelection {
  readonly #byKey = new Map<string, Set<string>>();

  add(key: string, path: string): void {
    const paths = this.#byKey.get(key);
    if (paths) paths.add(path);
    else this.#byKey.set(key, new Set([path]));
  }

  groups(): SeedFiles[] {
    return [...this.#byKey].map(([key, paths]) => ({
      topicId: key === QUARANTINE ? null : key,
      paths: [...paths],
    }));
  }
}

/**
 * Finds the files through the commit log: from each partition's last move back to the first one whose stream time is before the span.
 * Entries are kept longer than any window by the clock, but a partition's stream time may have stood still for longer than that;
 * what the log has forgotten is looked for in the tables themselves, and so is what whole topics hold.
 */
class LakeSeedSource implements SeedSource {
  readonly #store: ObjectStore;
  readonly #commitLog: CommitLog;
  readonly #checkpoints: CheckpointFiles | undefined;
  readonly #readRows: ReadSeedRows;

  constructor(options: SeedSourceOptions) {
    this.#store = options.store;
    this.#commitLog = options.commitLog;
    this.#checkpoints = options.checkpoints;
    this.#readRows = options.readRows ?? readParquetRows;
  }

  async *rows(query: SeedQuery): AsyncGenerator<SeedRows> {
    const state = await this.#commitLog.load();
    const files = new FileSelection();
    const { wholeTopics } = query;
    const forgotten = await this.#selectCommitted(state, query, files);
    if (forgotten.length > 0) {
      const sinceMs = Math.min(...forgotten.map((part) => part.sinceMs));
      await this.#selectLive(state, files, () => sinceMs);
    }
    if (wholeTopics && wholeTopics.size > 0)
      await this.#selectLive(state, files, (key) =>
        key === QUARANTINE || wholeTopics.has(key) ? Number.NEGATIVE_INFINITY : null,
      );
    yield* this.#readRows(this.#store, files.groups(), query);
  }

  async filed(query: FiledQuery): Promise<SeedRows[] | null> {
    const state = await this.#commitLog.load();
    const files = new FileSelection();
    let bytes = 0;
    for (const key of [query.topicId, QUARANTINE]) {
      const name = state.tables.get(key)?.name;
      if (name === undefined) continue;
      for (const add of await this.#liveFiles(name)) {
        if (!mayHoldTimes(add, query.eventTimesMs)) continue;
        files.add(key, `${name}/${decodePath(add.path)}`);
        bytes += add.size;
      }
    }
    if (!query.mayRead(bytes)) return null;
    const found: SeedRows[] = [];
    for await (const rows of this.#readRows(this.#store, files.groups(), { parts: [], ids: query }))
      found.push(rows);
    return found;
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
    for (const [key, { name }] of state.tables) {
      const sinceMs = sinceOf(key);
      if (sinceMs === null) continue;
      for (const add of await this.#liveFiles(name))
        if (mayHoldRowsSince(add, sinceMs)) files.add(key, `${name}/${decodePath(add.path)}`);
    }
  }

  async #liveFiles(name: string): Promise<AddAction[]> {
    const checkpoints = this.#checkpoints;
    const table = new DeltaTable(this.#store, name, checkpoints && { checkpoints });
    await table.refresh();
    return table.files();
  }
}

function keyOf({ streamId, partition }: SeedPart): string {
  return partitionKey(streamId, partition);
}

function selectEntry(entry: CommitEntry, sinceMs: number, files: FileSelection): void {
  for (const [key, { name, adds }] of Object.entries(entry.tables))
    for (const { path, maxIngestMs, maxStreamMs } of adds)
      if ((maxStreamMs ?? maxIngestMs) >= sinceMs) files.add(key, `${name}/${path}`);
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
}

export function createSeedSource(options: SeedSourceOptions): SeedSource {
  return new LakeSeedSource(options);
}

async function* readParquetRows(...query: Parameters<ReadSeedRows>): AsyncGenerator<SeedRows> {
  const { readSeedRows } = await import("./parquet/seed-reader.ts");
  yield* readSeedRows(...query);
}
