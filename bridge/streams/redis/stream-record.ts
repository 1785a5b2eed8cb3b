import { BridgeError } from "../../errors.ts";
import type { StreamRecord } from "../stream-record.ts";
import type { UnreadRecords } from "../stream-replacement.ts";

export const redisStreamFormat = 1;

/** The identity of a stream on Redis, in the hash at `metaKey`. */
export interface RedisStreamRecord extends StreamRecord {
  /** False while the partitions are being created. */
  readonly isReady: boolean;
  /**
   * URL of the stream in which the lake continues after this one was filed completely; null = this one is in
   * use.
   */
  readonly movedTo: string | null;
}

export function encodeRecord(record: RedisStreamRecord): string[] {
  return [
    ["format", String(record.format)],
    ["streamId", record.streamId],
    ["partitionCount", String(record.partitionCount)],
    ["createdAtMs", String(record.createdAtMs)],
    ["startedAnew", record.startedAnew ? "1" : "0"],
    ["replaces", record.replaces ?? ""],
    ["unreadBlocks", String(record.unread?.blocks ?? "")],
    ["unreadMessages", String(record.unread?.messages ?? "")],
    ["ready", record.isReady ? "1" : "0"],
    ["movedTo", record.movedTo ?? ""],
  ].flat();
}

/**
 * @param fields The reply of HGETALL. @returns null if the key does not exist, and so no stream.
 * @throws BridgeError STREAM_VERSION if a newer Tidegate created the stream, STREAM_DAMAGED if another
 * application uses the key.
 */
export function decodeRecord(
  fields: Readonly<Record<string, string>>,
  key: string,
): RedisStreamRecord | null {
  if (Object.keys(fields).length === 0) return null;
  const { format = "", streamId = "", partitionCount = "", createdAtMs = "", replaces = "" } = fields;
  if (Number(format) > redisStreamFormat) {
    const text = `the stream at ${key} has format ${format}, this Tidegate supports up to ${redisStreamFormat}: run the newer Tidegate again`;
    throw new BridgeError("STREAM_VERSION", text, { retryable: false, details: { format: Number(format) } });
  }
  if (!/^[0-9a-f]{32}$/.test(streamId) || !(Number(partitionCount) >= 1) || !(Number(format) >= 1)) {
    const text = `the key ${key} is not a stream of Tidegate: another application seems to use that name. Choose another one with ?prefix=NAME in the URL`;
    throw new BridgeError("STREAM_DAMAGED", text, { retryable: false });
  }
  return {
    format: Number(format),
    streamId,
    partitionCount: Number(partitionCount),
    createdAtMs: Number(createdAtMs),
    startedAnew: fields["startedAnew"] === "1",
    replaces: replaces === "" ? null : replaces,
    unread: decodeUnread(fields),
    isReady: fields["ready"] === "1",
    movedTo: fields["movedTo"] || null,
  };
}

function decodeUnread({
  unreadBlocks = "",
  unreadMessages = "",
}: Readonly<Record<string, string>>): UnreadRecords | null {
  if (unreadBlocks === "" || unreadMessages === "") return null;
  return { blocks: Number(unreadBlocks), messages: Number(unreadMessages) };
}
