import { crc32 } from "node:zlib";
import type { Row } from "./row.ts";

/** The fields of a row from which the hash is computed; the table's files hold all of them. */
export type HashedContent = Pick<
  Row,
  "topicName" | "eventTimeMs" | "eventTimeMicros" | "eventTimeOutside" | "ingestTimeMs" | "payloadCrc"
>;

/**
 * 32-bit hash of a message's topic name, event time and payload; typed columns follow from the payload.
 * Needs only columns of the files, so that Tidegate can rebuild a dedupe window from the lake. The same id
 * with another hash is a reused id, not a resend. An unreadable event time is filed as the ingest time,
 * flagged as outside. A resend has another ingest time, so the hash leaves it out.
 */
export function contentHash(row: HashedContent): number {
  const named = crc32(row.topicName, row.payloadCrc >>> 0);
  return isEventTimeUnreadable(row) ? named : withEventTime(named, row.eventTimeMs, row.eventTimeMicros);
}

/** The same hash, from columns of a file. */
export function contentHashOfColumns(columns: {
  readonly topicName: Uint8Array;
  readonly payloadCrc: number;
  /** null if flagged as outside and equal to the ingest time. */
  readonly eventTimeMs: number | null;
  /** µs after `eventTimeMs`: 0 to 999. */
  readonly eventTimeMicros: number;
}): number {
  const { topicName, payloadCrc, eventTimeMs, eventTimeMicros } = columns;
  const named = crc32(topicName, payloadCrc >>> 0);
  return eventTimeMs === null ? named : withEventTime(named, eventTimeMs, eventTimeMicros);
}

function isEventTimeUnreadable(row: HashedContent): boolean {
  return row.eventTimeOutside && row.eventTimeMs === row.ingestTimeMs && row.eventTimeMicros === 0;
}

/** Each mixing step is reversible, so times that differ in only one part never have the same hash. */
function withEventTime(hash: number, ms: number, micros: number): number {
  return mixed(mixed(mixed(hash, Math.floor(ms / 2 ** 32)), ms >>> 0), micros);
}

/** The finalizer of MurmurHash3. */
function mixed(hash: number, word: number): number {
  let bits = (hash ^ word) + 0x9e37_79b9;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
