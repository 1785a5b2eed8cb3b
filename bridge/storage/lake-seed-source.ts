import { type CommitEntry, type CommitLog, type LakeState, partitionKey, QUARANTINE } from "./commit-log.ts";
import type { CheckpointFiles } from "./delta/checkpoint-files.ts";
import type { AddAction } from "./delta/delta-actions.ts";
import { DeltaTable, decodePath } from "./delta/delta-table.ts";
import type { ObjectStore } from "./object-store.ts";
import { readSeedRows, type SeedFiles } from "./parquet/seed-reader.ts";
import type { SeedPart, SeedQuery, SeedRows, SeedSource } from "./seed-source.ts";

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
  readonly #readRows: typeof readSeedRows;

  constructor(options: SeedSourceOptions) {
    this.#store = options.store;
    this.#commitLog = options.commitLog;
    this.#checkpoints = options.checkpoints;
    this.#readRows = options.readRows ?? readSeedRows;
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

  /** Goes back through the entries of all parts together. Resolves with the parts for which the log does not reach back far enough. */
  async #selectCommitted(state: LakeState, query: SeedQuery, files: FileSelection): Promise<SeedPart[]> {
    const forgotten: SeedPart[] = [];
    const partsByNext = new Map<number, SeedPart[]>();
    const follow = (part: SeedPart, number = 0) => {
      if (number > 0) partsByNext.set(number, [...(partsByNext.get(number) ?? []), part]);
    };
    for (const part of query.parts) follow(part, state.moves.get(keyOf(part))?.commit);
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
      const checkpoints = this.#checkpoints;
      const table = new DeltaTable(this.#store, name, checkpoints && { checkpoints });
      await table.refresh();
      for (const add of await table.files())
        if (mayHoldRowsSince(add, sinceMs)) files.add(key, `${name}/${decodePath(add.path)}`);
    }
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

export interface SeedSourceOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  /** Default: checkpoints and data in Parquet files. */
  readonly checkpoints?: CheckpointFiles;
  readonly readRows?: typeof readSeedRows;
}

export function createSeedSource(options: SeedSourceOptions): SeedSource {
  return new LakeSeedSource(options);
}
