import { BridgeError } from "../../errors.ts";
import type { CommitEntry, CommitLog } from "../commit-log/commit-log.ts";
import type { CommittedEntries } from "../commit-log/committed-entries.ts";
import { beginningOf, type FollowPosition } from "../commit-log/follow-position.ts";
import {
  type CommittedEntriesOptions,
  createCommittedEntries,
  type FollowedLog,
} from "../commit-log/log-entries.ts";
import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import type { CommittedChunk, CommittedRow, CommittedRows } from "./committed-rows.ts";
import { hasRows, namedFiles, presentFiles } from "./entry-files.ts";
import { type MergeLimits, mergeRows } from "./merge-rows.ts";
import type { RowReader } from "./row-reader.ts";

const defaultLimits: MergeLimits = { rowsMax: 2048, bytesMax: 4 * 1024 * 1024 };
/** How often an entry's files are looked up: another writer may replace and delete files during the read. */
const attemptsMax = 5;

export interface CommittedRowsOptions extends CommittedEntriesOptions {
  readonly commitLog: CommitLog & FollowedLog;
  /** Default: Parquet files. */
  readonly openReader?: (store: ObjectStore) => Promise<RowReader>;
  readonly checkpoints?: CheckpointFiles;
  /** Bounds of a chunk. Default 2048 rows and 4 MiB of payloads. */
  readonly limits?: MergeLimits;
}

class FollowedRows implements CommittedRows {
  readonly #options: CommittedRowsOptions;
  readonly #entries: CommittedEntries;

  constructor(options: CommittedRowsOptions) {
    this.#options = options;
    this.#entries = createCommittedEntries(options);
  }

  async earliest(): Promise<FollowPosition> {
    return beginningOf((await this.#entries.state()).firstKept);
  }

  async latest(): Promise<FollowPosition> {
    return beginningOf((await this.#entries.state()).number + 1);
  }

  read(from: FollowPosition): AsyncGenerator<CommittedChunk> {
    return this.#chunks(from, null);
  }

  follow(from: FollowPosition, signal: AbortSignal): AsyncGenerator<CommittedChunk> {
    return this.#chunks(from, signal);
  }

  /** @param signal Null: ends after the newest commit. */
  async *#chunks(from: FollowPosition, signal: AbortSignal | null): AsyncGenerator<CommittedChunk> {
    const { openReader = openParquetReader, store } = this.#options;
    let next = from;
    let reader: RowReader | undefined;
    try {
      while (!signal?.aborted) {
        const entries = await this.#entries.after(next.commit - 1);
        if (entries.length === 0) {
          if (!signal) return;
          await this.#entries.waitFor(next.commit - 1, signal);
        }
        for (const entry of entries) {
          if (hasRows(entry)) reader ??= await openReader(store);
          for await (const chunk of this.#chunksOf(entry, next, reader)) {
            if (signal?.aborted) return;
            yield chunk;
            next = chunk.next;
          }
        }
      }
    } finally {
      await reader?.close();
    }
  }

  /** The last chunk's `next` is the next entry. */
  async *#chunksOf(
    entry: CommitEntry,
    start: FollowPosition,
    reader: RowReader | undefined,
  ): AsyncGenerator<CommittedChunk> {
    const { number: commit, committedAtMs } = entry;
    let from = start;
    const chunkOf = (rows: readonly CommittedRow[], next: FollowPosition) => {
      const chunk = { commit, committedAtMs, rows, from, next };
      from = next;
      return chunk;
    };
    let held: readonly CommittedRow[] = [];
    let skip = start.row;
    for await (const slice of reader ? this.#rowsOf(entry, reader) : []) {
      if (held.length > 0) yield chunkOf(held, { commit, row: from.row + held.length });
      held = skip > 0 ? slice.slice(skip) : slice;
      skip = Math.max(0, skip - slice.length);
    }
    yield chunkOf(held, beginningOf(commit + 1));
  }

  async *#rowsOf(entry: CommitEntry, reader: RowReader): AsyncGenerator<readonly CommittedRow[]> {
    const { store, commitLog, checkpoints, limits = defaultLimits } = this.#options;
    for (let attempt = 1; ; attempt++) {
      let isBegun = false;
      try {
        const { landing, tables } =
          attempt === 1
            ? namedFiles(entry)
            : await presentFiles({ store, commitLog, reader, checkpoints }, entry);
        const sources = tables.map((each) => reader.rows(each));
        if (landing) sources.push(reader.landed(landing));
        for await (const rows of mergeRows(sources, limits)) {
          isBegun = true;
          yield rows;
        }
        return;
      } catch (error) {
        if (isBegun || attempt === attemptsMax || !mayBeGone(error)) throw error;
      }
    }
  }
}

/** The errors of reading a missing file. What a table shows may also change during the read. */
function mayBeGone(error: unknown): boolean {
  if (!(error instanceof BridgeError)) return false;
  return ["LAKE_DAMAGED", "PARQUET_FAILED", "FOLLOWER_ROWS_GONE"].includes(error.code);
}

async function openParquetReader(store: ObjectStore): Promise<RowReader> {
  const { openRowReader } = await import("./parquet/row-reader.ts");
  return openRowReader(store);
}

/** Follows the rows of the lake in a store. */
export function createCommittedRows(options: CommittedRowsOptions): CommittedRows {
  return new FollowedRows(options);
}
