import { crc32 } from "node:zlib";
import type { Row } from "./row.ts";

/** What of a row the hash covers; the files have all of it. */
export type HashedContent = Pick<
  Row,
  "topicName" | "eventTimeMs" | "eventTimeMicros" | "eventTimeOutside" | "ingestTimeMs" | "payloadCrc"
>;

/**
 * 32 bits over all that would be filed of a message besides its device and id: topic name, event time and payload (typed columns follow
 * from the payload). Made of columns of the files alone, so that a window can be rebuilt from them. The same id with another hash is an
 * id that was used again, not a resend.
 * An event time that could not be read is filed as the ingest time, flagged as outside. A resend has another one, so it does not count.
 */
export function contentHash(row: HashedContent): number {
  const named = crc32(row.topicName, row.payloadCrc >>> 0);
  return isEventTimeUnreadable(row) ? named : withEventTime(named, row.eventTimeMs, row.eventTimeMicros);
}

/** The same for columns of a file. */
export function contentHashOfColumns(columns: {
  readonly topicName: Uint8Array;
  readonly payloadCrc: number;
  /** null = flagged as outside, and equal to the ingest time. */
  readonly eventTimeMs: number | null;
  /** Since then: 0 to 999. */
  readonly eventTimeMicros: number;
}): number {
  const { topicName, payloadCrc, eventTimeMs, eventTimeMicros } = columns;
  const named = crc32(topicName, payloadCrc >>> 0);
  return eventTimeMs === null ? named : withEventTime(named, eventTimeMs, eventTimeMicros);
}

function isEventTimeUnreadable(row: HashedContent): boolean {
  return row.eventTimeOutside && row.eventTimeMs === row.ingestTimeMs && row.eventTimeMicros === 0;
}

/** Each part is mixed in by a step that can be undone: times that differ in one part alone never meet. */
function withEventTime(hash: number, ms: number, micros: number): number {
  return mixed(mixed(mixed(hash, Math.floor(ms / 2 ** 32)), ms >>> 0), micros);
}

/** Murmur3's finalizer. */
function mixed(hash: number, word: number): number {
  let bits = (hash ^ word) + 0x9e37_79b9;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
