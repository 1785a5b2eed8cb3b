import { BridgeError } from "../../errors.ts";
import type { RedisClient } from "../../redis/redis-connection.ts";
import { redisError } from "../../redis/redis-error.ts";
import { runScript } from "../../redis/redis-script.ts";
import type { FixedPartitionState, Position, StreamEntry } from "../stream-log.ts";
import { readBlocks, trimBlocks } from "./partition-scripts.ts";
import {
  type EntryId,
  entryOfId,
  entryOfPosition,
  idOfEntry,
  noEntry,
  positionOfEntry,
} from "./redis-position.ts";

/** Limit of entries in one call, because a call blocks the server. */
const callEntriesMax = 1024;
const olderCopy = "the stream ends before it, so the server was restored from an older copy";
const surveyLimits = { maxBytes: 1024 * 1024, maxEntries: 64 } as const;

interface State {
  readonly last: EntryId;
  readonly trimmed: EntryId;
  readonly appendedBytes: number;
  readonly trimmedBytes: number;
  readonly retiredFor: string | null;
}

interface Snapshot {
  readonly state: State;
  readonly entries: readonly RawEntry[];
}

interface RawEntry {
  readonly id: EntryId;
  /** null if another application wrote the entry. */
  readonly block: Buffer | null;
}

/** Reads and trims partitions. Entries have numbers, so every gap is detected. */
export class RedisReader {
  readonly #client: RedisClient;
  readonly #keys: readonly (readonly [log: string, state: string])[];

  constructor(client: RedisClient, keys: readonly (readonly [log: string, state: string])[]) {
    this.#client = client;
    this.#keys = keys;
  }

  async read(
    partition: number,
    after: Position,
    limits: { maxBytes: number; maxEntries: number },
  ): Promise<StreamEntry[]> {
    const from = entryOfPosition(after);
    const { state, entries } = await this.#snapshot(partition, from ?? noEntry, limits);
    if (from === null) throw gap(partition, after, "this is not a position of a stream in Redis", undefined);
    const run = unbroken(entries, from);
    if (run.length > 0 && from.number >= state.trimmed.number) return run;
    const why = faultBehind(from, state);
    if (why === null) return [];
    const resumeAfter = await this.#resumeAfter(partition, from, state);
    throw gap(partition, after, why, resumeAfter, {
      retryable: resumeAfter === undefined && why === olderCopy,
    });
  }

  async trim(partition: number, upTo: Position): Promise<void> {
    const keys = this.#keysOf(partition);
    const { ms, number } = entryOfPosition(upTo) ?? noEntry;
    const reply = await this.#try(partition, "trimming", () =>
      runScript(this.#client, trimBlocks, keys, [ms, number]),
    );
    if (String(reply) !== "ok") throw gap(partition, upTo, "the partition's keys are gone", undefined);
  }

  async partitionState(partition: number): Promise<FixedPartitionState> {
    const { state } = await this.#snapshot(partition, noEntry, { maxBytes: 0, maxEntries: 0 });
    return {
      highest: positionOfEntry(state.last),
      trimmedUpTo: positionOfEntry(state.trimmed),
      retainedBytes: state.appendedBytes - state.trimmedBytes,
    };
  }

  /**
   * The position after which reading works again: before the first entry that is left, otherwise after the
   * last one.
   */
  async #resumeAfter(partition: number, from: EntryId, before: State): Promise<Position | undefined> {
    const start = before.trimmed.number > from.number ? before.trimmed : from;
    const { state, entries } = await this.#snapshot(partition, start, surveyLimits);
    const first = entries.find(({ block }) => block !== null);
    const { last, trimmed } = state;
    if (!first) return last.ms > from.ms || last.number > from.number ? positionOfEntry(last) : undefined;
    if (first.id.number === trimmed.number + 1) return positionOfEntry(trimmed);
    return positionOfEntry({ ms: first.id.ms, number: first.id.number - 1 });
  }

  async #snapshot(
    partition: number,
    after: EntryId,
    limits: { maxBytes: number; maxEntries: number },
  ): Promise<Snapshot> {
    const keys = this.#keysOf(partition);
    const start = after.number === 0 && after.ms === 0 ? "-" : `(${idOfEntry(after)}`;
    const args = [
      start,
      Math.min(limits.maxBytes, Number.MAX_SAFE_INTEGER),
      Math.min(limits.maxEntries, callEntriesMax),
    ];
    const reply = await this.#try(partition, "reading", () =>
      runScript(this.#client, readBlocks, keys, args),
    );
    const [fields, entries] = reply as [(Buffer | null)[], [Buffer, Buffer[]][]];
    const state = decodeState(fields);
    if (!state)
      throw gap(
        partition,
        positionOfEntry(after),
        "the partition's keys are gone: the server was emptied or replaced",
        undefined,
      );
    return { state, entries: entries.map(decodeEntry) };
  }

  async #try<Result>(partition: number, doing: string, call: () => Promise<Result>): Promise<Result> {
    try {
      return await call();
    } catch (error) {
      throw redisError(error, `${doing} partition ${partition}`);
    }
  }

  #keysOf(partition: number): readonly string[] {
    const keys = this.#keys[partition];
    if (!keys) throw new RangeError(`the stream has no partition ${partition}`);
    return keys;
  }
}

/** The entries after `from`, up to the first gap. */
function unbroken(entries: readonly RawEntry[], from: EntryId): StreamEntry[] {
  const run: StreamEntry[] = [];
  for (const { id, block } of entries) {
    if (block === null) continue;
    if (id.number !== from.number + run.length + 1) break;
    run.push({ position: positionOfEntry(id), appendTimeMs: id.ms, block });
  }
  return run;
}

/** Why no entry follows `from` although one should; null if `from` is the newest entry. */
function faultBehind(from: EntryId, { last, trimmed, retiredFor }: State): string | null {
  if (from.number < trimmed.number) return "they were trimmed";
  if (from.number < last.number) return "they are missing: another application removed them";
  if (from.number === last.number && from.ms === last.ms) {
    return retiredFor === null ? null : `the stream was closed when ${retiredFor} was started`;
  }
  return olderCopy;
}

function decodeState(fields: readonly (Buffer | null)[]): State | null {
  const [lastNumber, lastMs, appendedBytes, trimmedNumber, trimmedMs, trimmedBytes] = fields
    .slice(0, 6)
    .map((field) => (field === null ? Number.NaN : Number(field)));
  const numbers = { lastNumber, lastMs, appendedBytes, trimmedNumber, trimmedMs, trimmedBytes };
  if (Object.values(numbers).some((value) => !Number.isSafeInteger(value))) return null;
  return {
    last: { ms: lastMs ?? 0, number: lastNumber ?? 0 },
    trimmed: { ms: trimmedMs ?? 0, number: trimmedNumber ?? 0 },
    appendedBytes: appendedBytes ?? 0,
    trimmedBytes: trimmedBytes ?? 0,
    retiredFor: fields[6]?.toString() ?? null,
  };
}

function decodeEntry([id, fields]: [Buffer, Buffer[]]): RawEntry {
  const isOurs = fields.length === 4 && fields[0]?.toString() === "a" && fields[2]?.toString() === "b";
  return { id: entryOfId(id), block: isOurs ? (fields[3] ?? null) : null };
}

function gap(
  partition: number,
  after: Position,
  why: string,
  resumeAfter: Position | undefined,
  { retryable = false } = {},
): BridgeError {
  const text = `partition ${partition} cannot be read after "${after}": ${why}. Acknowledged messages may be missing`;
  return new BridgeError("STREAM_GAP", text, {
    retryable,
    details: { partition, after, ...(resumeAfter === undefined ? {} : { resumeAfter }) },
  });
}
