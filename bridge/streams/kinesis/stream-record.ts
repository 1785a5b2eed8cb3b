import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { BridgeError } from "../../errors.ts";
import type { CommittedMoves } from "../committed-moves.ts";
import { partitionOfKey } from "../partition-key.ts";
import { nothingUnread, type UnreadRecords } from "../stream-replacement.ts";
import { kinesisConfigOf } from "./kinesis-config.ts";
import { KinesisConnection } from "./kinesis-connection.ts";
import type { KinesisTarget } from "./kinesis-url.ts";
import { descriptionOf, faultOf } from "./stream-description.ts";

/** PORT: the store of stream records, which is the lake's object store. */
export interface StreamRecordStore {
  /** null if there is no such object. */
  get(path: string): Promise<Uint8Array | null>;
  putIfAbsent(path: string, bytes: Uint8Array): Promise<unknown>;
}

const recordSchema = Type.Object({
  format: Type.Literal(1),
  startedAnew: Type.Boolean(),
  createdAtMs: Type.Number(),
  replaces: Type.Union([Type.String(), Type.Null()]),
  unread: Type.Union([Type.Object({ blocks: Type.Number(), messages: Type.Number() }), Type.Null()]),
});

/**
 * Why the lake continues in this stream. A stream in Kinesis can't hold such a record, so the lake has it in
 * `_streams/<stream id>.json`.
 */
export type KinesisStreamRecord = Readonly<Static<typeof recordSchema>>;

const first: KinesisStreamRecord = {
  format: 1,
  startedAnew: false,
  createdAtMs: 0,
  replaces: null,
  unread: nothingUnread,
};

/**
 * Reads the record of a stream. A stream that replaced no other one has no object, and gets the record
 * `first`.
 */
export async function readKinesisStreamRecord(
  store: Pick<StreamRecordStore, "get">,
  streamId: string,
): Promise<KinesisStreamRecord> {
  const bytes = await store.get(pathOf(streamId));
  if (!bytes) return first;
  try {
    return Value.Parse(recordSchema, JSON.parse(Buffer.from(bytes).toString()));
  } catch (cause) {
    const text = `${pathOf(streamId)} in the lake has invalid content. Restore it from a copy, or remove it and run \`tidegate stream new\` again`;
    throw new BridgeError("LAKE_DAMAGED", text, { retryable: false, cause });
  }
}

export interface ContinueInKinesisOptions {
  readonly target: KinesisTarget;
  readonly store: Pick<StreamRecordStore, "putIfAbsent">;
  readonly loadLake: () => Promise<CommittedMoves>;
  /** Unfiled records of the stream that the lake knew; null = unknown. */
  readonly unread: UnreadRecords | null;
  readonly timeoutMs?: number;
  readonly now?: () => number;
}

/**
 * Lets the lake continue in an existing stream, after its own stream was lost or filed completely. Does not
 * wait for a stream that is being created.
 * @throws BridgeError STREAM_MISSING; STREAM_EXISTS if the lake already continues in this stream; KINESIS_*
 */
export async function continueInKinesisStream(options: ContinueInKinesisOptions): Promise<{
  readonly streamId: string;
  readonly replaces: string | null;
  readonly unread: UnreadRecords | null;
}> {
  const { target, store, loadLake, timeoutMs, now = Date.now } = options;
  const streamId = await streamIdOf(target, timeoutMs);
  const replaces = newestStreamOf(await loadLake());
  if (replaces === streamId) {
    const text = `the lake continues in the stream ${target.streamName} already, and a stream in Kinesis can't be emptied. Create another one, name it in --stream, and run \`tidegate stream new\` with that; or resume its stopped partitions with \`tidegate stream accept-gap\``;
    throw new BridgeError("STREAM_EXISTS", text, { retryable: false });
  }
  const unread = replaces === null ? nothingUnread : options.unread;
  const record = { format: 1, startedAnew: true, createdAtMs: now(), replaces, unread } as const;
  await store.putIfAbsent(
    pathOf(streamId),
    Buffer.from(`${JSON.stringify(record satisfies KinesisStreamRecord)}\n`),
  );
  return { streamId, replaces, unread };
}

async function streamIdOf(target: KinesisTarget, timeoutMs: number | undefined): Promise<string> {
  const connection = await KinesisConnection.open(
    target,
    kinesisConfigOf(timeoutMs === undefined ? {} : { timeoutMs }),
  );
  try {
    const description = descriptionOf(await connection.describe());
    const fault = faultOf(description, target);
    if (fault) throw fault;
    return description.streamId;
  } finally {
    connection.close();
  }
}

/** Id of the stream that the lake read last; null if the lake knows no stream. */
function newestStreamOf(lake: CommittedMoves): string | null {
  const byTime = [...lake.moves].toSorted(([, left], [, right]) => right.streamTimeMs - left.streamTimeMs);
  const [newest] = byTime;
  return newest ? partitionOfKey(newest[0]).streamId : null;
}

function pathOf(streamId: string): string {
  return `_streams/${streamId}.json`;
}
