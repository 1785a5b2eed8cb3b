import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { BridgeError } from "../../errors.ts";
import { type LakeState, partitionOfKey } from "../../storage/commit-log.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { nothingUnread, type UnreadRecords } from "../stream-replacement.ts";
import { kinesisConfigOf } from "./kinesis-config.ts";
import { KinesisConnection } from "./kinesis-connection.ts";
import type { KinesisTarget } from "./kinesis-url.ts";
import { descriptionOf, faultOf } from "./stream-description.ts";

const recordSchema = Type.Object({
  format: Type.Literal(1),
  startedAnew: Type.Boolean(),
  createdAtMs: Type.Number(),
  replaces: Type.Union([Type.String(), Type.Null()]),
  unread: Type.Union([Type.Object({ blocks: Type.Number(), messages: Type.Number() }), Type.Null()]),
});

/** Why the lake continues in this stream. A stream in Kinesis can hold no such thing, so the lake does: `_streams/<stream id>.json`. */
export type KinesisStreamRecord = Readonly<Static<typeof recordSchema>>;

const first: KinesisStreamRecord = {
  format: 1,
  startedAnew: false,
  createdAtMs: 0,
  replaces: null,
  unread: nothingUnread,
};

/** Of a stream that nobody put in another one's place there is none: it is as if it said so. */
export async function readKinesisStreamRecord(
  store: Pick<ObjectStore, "get">,
  streamId: string,
): Promise<KinesisStreamRecord> {
  const bytes = await store.get(pathOf(streamId));
  if (!bytes) return first;
  try {
    return Value.Parse(recordSchema, JSON.parse(Buffer.from(bytes).toString()));
  } catch (cause) {
    const text = `${pathOf(streamId)} in the lake does not hold what it must. Restore it from a copy, or remove it and run \`tidegate stream new\` again`;
    throw new BridgeError("LAKE_DAMAGED", text, { retryable: false, cause });
  }
}

export interface ContinueInKinesisOptions {
  readonly target: KinesisTarget;
  readonly store: Pick<ObjectStore, "putIfAbsent">;
  readonly loadLake: () => Promise<LakeState>;
  /** What the stream that the lake knew held and nobody has filed; null = unknown. */
  readonly unread: UnreadRecords | null;
  readonly timeoutMs?: number;
  readonly now?: () => number;
}

/**
 * The operator's way on where the lake's stream is lost, or everything of it is filed: the lake continues in this one, which exists
 * already. A stream that is being created is not waited for.
 * @throws BridgeError STREAM_MISSING; STREAM_EXISTS where the lake continues this very stream; KINESIS_*
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
    const text = `the lake continues in the stream ${target.streamName} already, and a stream in Kinesis can't be emptied. Create another one, name it in --stream, and run \`tidegate stream new\` with that; or let its stopped partitions go on with \`tidegate stream accept-gap\``;
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

/** The one that was read last; null for a lake that knows none. */
function newestStreamOf(lake: LakeState): string | null {
  const byTime = [...lake.moves].toSorted(([, left], [, right]) => right.streamTimeMs - left.streamTimeMs);
  const [newest] = byTime;
  return newest ? partitionOfKey(newest[0]).streamId : null;
}

function pathOf(streamId: string): string {
  return `_streams/${streamId}.json`;
}
