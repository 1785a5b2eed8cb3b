import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { BridgeError } from "../../errors.ts";
import type { RedisClient } from "../../redis/redis-connection.ts";
import { redisScript, runScript } from "../../redis/redis-script.ts";
import type { RedisTarget } from "../../redis/redis-url.ts";
import type { CommittedMoves } from "../committed-moves.ts";
import { markOfStream, type StreamMark } from "../stream-mark.ts";
import { countUnread, nothingUnread } from "../stream-replacement.ts";
import { createPartition, holdsEntry, retirePartition } from "./partition-scripts.ts";
import { compareRedisPositions, entryOfPosition, noEntry } from "./redis-position.ts";
import { RedisReader } from "./redis-reader.ts";
import { metaKey, partitionKeys } from "./stream-keys.ts";
import { decodeRecord, encodeRecord, type RedisStreamRecord, redisStreamFormat } from "./stream-record.ts";
import { withClient } from "./with-client.ts";

/** Time that the keys of a replaced or moved stream are kept, seconds. */
export const retiredSeconds = 7 * 24 * 3600;

/**
 * Sets the fields of the meta key to ARGV[2…] if its stream is ARGV[1] ("" = no stream). Returns the fields
 * afterwards.
 */
const claimMeta = redisScript(`
local present = redis.call('HGET', KEYS[1], 'streamId') or ''
if present == '' and redis.call('EXISTS', KEYS[1]) == 1 then present = '?' end
if present == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], unpack(ARGV, 2))
end
return redis.call('HGETALL', KEYS[1])`);

const markReady = redisScript(`
if redis.call('HGET', KEYS[1], 'streamId') == ARGV[1] then redis.call('HSET', KEYS[1], 'ready', '1') end`);

export interface CreateRedisStreamOptions {
  readonly target: RedisTarget;
  /** Fixed for the stream's life. */
  readonly partitionCount: number;
  /** True if the lake may hold positions of other streams, and no records are given up. */
  readonly startedAnew?: boolean;
  readonly timeoutMs: number;
  readonly logger: Logger;
  readonly now?: () => number;
  readonly random?: () => number;
}

/**
 * Creates the stream of this Redis and prefix, or returns the existing one. Several processes may call this
 * at the same time; all get the same stream. Completes a stream whose creator died half-way.
 * @throws BridgeError STREAM_PARTITIONS, STREAM_DAMAGED, STREAM_VERSION, REDIS_*
 */
export async function createRedisStream(options: CreateRedisStreamOptions): Promise<RedisStreamRecord> {
  return await withClient(options, "creating", async (client) => {
    const { prefix } = options.target;
    const draft = draftOf(options, { replaces: null, unread: options.startedAnew ? nothingUnread : null });
    const record = (await readRecord(client, prefix)) ?? (await claim(client, prefix, "", draft));
    checkPartitionCount(record, options.partitionCount, prefix);
    if (record.isReady) return record;
    await createPartitions(client, prefix, record);
    await runScript(client, markReady, [metaKey(prefix)], [record.streamId]);
    return { ...record, isReady: true };
  });
}

/**
 * Recovers after data loss in the stream: closes the existing stream, so that no process can append to it,
 * and creates a new one. Unfiled blocks of the old stream are kept for 7 days, and no consumer reads them any
 * more. They are counted after the stream is closed; the number is unknown if the old stream is behind its
 * `marks`.
 * @returns Ids of the new and the replaced stream, and the records that were given up (null = unknown).
 */
export async function startNewRedisStream(
  options: Omit<CreateRedisStreamOptions, "startedAnew"> & {
    readonly marks?: readonly StreamMark[];
    readonly loadLake: () => Promise<CommittedMoves>;
  },
): Promise<{ streamId: string } & Old> {
  return await withClient(options, "creating", async (client) => {
    const { prefix } = options.target;
    const old = await readRecord(client, prefix);
    const replaces = old?.streamId ?? null;
    const draft = draftOf({ ...options, startedAnew: true }, { replaces, unread: null });
    await createPartitions(client, prefix, draft);
    // Closed first, so that no message is acknowledged between the steps. The command can be repeated after
    // a failure.
    if (old) await retirePartitions(client, prefix, old, draft.streamId);
    const isWhole = old !== null && (await holdsMarked(client, prefix, old, options.marks ?? []));
    const unread = isWhole
      ? await countUnread(partitionsOf(client, prefix, old), await options.loadLake())
      : null;
    const record = await claim(client, prefix, replaces ?? "", { ...draft, unread, isReady: true });
    if (record.streamId === draft.streamId) return { streamId: draft.streamId, replaces, unread };
    const text = `another process started the stream ${record.streamId} at the same time: use that one`;
    throw new BridgeError("STREAM_EXISTS", text, { retryable: false });
  });
}

/** null if there is no stream. */
export async function readRecord(client: RedisClient, prefix: string): Promise<RedisStreamRecord | null> {
  const key = metaKey(prefix);
  return decodeRecord(await client.hgetall(key), key);
}

export function checkPartitionCount(
  record: RedisStreamRecord,
  wanted: number | undefined,
  prefix: string,
): void {
  if (wanted === undefined || wanted === record.partitionCount) return;
  const text = `the stream at ${metaKey(prefix)} has ${record.partitionCount} partitions, the configuration says ${wanted}: their number is fixed when a stream is created. Configure ${record.partitionCount}, or create another with \`tidegate stream new\``;
  throw new BridgeError("STREAM_PARTITIONS", text, { retryable: false });
}

function partitionsOf(client: RedisClient, prefix: string, { streamId, partitionCount }: RedisStreamRecord) {
  const keys = Array.from({ length: partitionCount }, (_, partition) =>
    partitionKeys(prefix, streamId, partition),
  );
  const reader = new RedisReader(client, keys);
  return {
    streamId,
    partitionCount,
    read: reader.read.bind(reader),
    partitionState: reader.partitionState.bind(reader),
    comparePositions: compareRedisPositions,
  };
}

async function holdsMarked(
  client: RedisClient,
  prefix: string,
  { streamId, partitionCount }: RedisStreamRecord,
  marks: readonly StreamMark[],
): Promise<boolean> {
  const mark = markOfStream(marks, { streamId, comparePositions: compareRedisPositions });
  for (const [partition, position] of (mark?.highest ?? []).slice(0, partitionCount).entries()) {
    const { ms, number } = entryOfPosition(position) ?? noEntry;
    const keys = partitionKeys(prefix, streamId, partition);
    if (Number(await runScript(client, holdsEntry, keys, [ms, number])) !== 1) return false;
  }
  return true;
}

type Old = Pick<RedisStreamRecord, "replaces" | "unread">;

function draftOf(options: CreateRedisStreamOptions, old: Old): RedisStreamRecord {
  return {
    format: redisStreamFormat,
    streamId: randomBytes(16).toString("hex"),
    partitionCount: options.partitionCount,
    createdAtMs: (options.now ?? Date.now)(),
    startedAnew: options.startedAnew ?? false,
    movedTo: null,
    ...old,
    isReady: false,
  };
}

/** Tries to write the meta key; returns the record that it holds afterwards. */
async function claim(
  client: RedisClient,
  prefix: string,
  inPlaceOf: string,
  draft: RedisStreamRecord,
): Promise<RedisStreamRecord> {
  const key = metaKey(prefix);
  const reply = await runScript(client, claimMeta, [key], [inPlaceOf, ...encodeRecord(draft)]);
  const texts = (reply as Buffer[]).map(String);
  const pairs = texts.flatMap((text, index) => (index % 2 === 0 ? [[text, texts[index + 1] ?? ""]] : []));
  const record = decodeRecord(Object.fromEntries(pairs), key);
  if (record) return record;
  throw new BridgeError("REDIS_UNAVAILABLE", `${key} was removed meanwhile`, { retryable: true });
}

async function createPartitions(
  client: RedisClient,
  prefix: string,
  { streamId, partitionCount }: RedisStreamRecord,
): Promise<void> {
  for (let partition = 0; partition < partitionCount; partition++)
    await runScript(client, createPartition, partitionKeys(prefix, streamId, partition), []);
}

async function retirePartitions(
  client: RedisClient,
  prefix: string,
  { streamId, partitionCount }: RedisStreamRecord,
  retiredFor: string,
): Promise<void> {
  for (let partition = 0; partition < partitionCount; partition++) {
    const keys = partitionKeys(prefix, streamId, partition);
    await runScript(client, retirePartition, keys, [retiredFor, retiredSeconds]);
  }
}
