import { BridgeError } from "../../errors.ts";
import type { StreamRecord } from "../stream-record.ts";
import type { UnreadRecords } from "../stream-replacement.ts";

export const REDIS_STREAM_FORMAT = 1;

/** The fields of the meta key of a stream in a Redis. */
export interface RedisStreamRecord extends StreamRecord {
  /** False while its partitions are being created. */
  readonly isReady: boolean;
  /** URL of the stream with which its lake goes on since everything in this one was filed; null = this one is in use. */
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
 * @param fields As HGETALL answers; null = the key is not there, and neither is a stream.
 * @throws BridgeError STREAM_VERSION where a newer Tidegate made it, STREAM_DAMAGED where something else uses the key.
 */
export function decodeRecord(
  fields: Readonly<Record<string, string>>,
  key: string,
): RedisStreamRecord | null {
  if (Object.keys(fields).length === 0) return null;
  const { format = "", streamId = "", partitionCount = "", createdAtMs = "", replaces = "" } = fields;
  if (Number(format) > REDIS_STREAM_FORMAT) {
    const text = `the stream at ${key} has format ${format}, this Tidegate knows ${REDIS_STREAM_FORMAT}: run the newer Tidegate again`;
    throw new BridgeError("STREAM_VERSION", text, { retryable: false, details: { format: Number(format) } });
  }
  if (!/^[0-9a-f]{32}$/.test(streamId) || !(Number(partitionCount) >= 1) || !(Number(format) >= 1)) {
    const text = `the key ${key} is no stream of Tidegate's: another application seems to use that name. Choose another with ?prefix=NAME in the URL`;
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
