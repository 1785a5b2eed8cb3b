import { DEDUP_KEY_BYTES, type WindowEntries, type WindowHits } from "../dedup-window.ts";
import { RECORD_BYTES } from "./window-scripts.ts";

const HIT_BYTES = 10;

/** Entries `start` to `end` as the records that the scripts take. */
export function recordsOf(entries: WindowEntries, start: number, end: number): Buffer {
  const records = Buffer.allocUnsafe((end - start) * RECORD_BYTES);
  const { keys, payloadHashes, expiresAtSeconds } = entries;
  for (let index = start, at = 0; index < end; index++, at += RECORD_BYTES) {
    const keyAt = index * DEDUP_KEY_BYTES;
    for (let byte = 0; byte < DEDUP_KEY_BYTES; byte++) records[at + byte] = keys[keyAt + byte] as number;
    records.writeUInt32LE(payloadHashes[index] as number, at + DEDUP_KEY_BYTES);
    records.writeUInt32LE(expiresAtSeconds[index] as number, at + DEDUP_KEY_BYTES + 4);
  }
  return records;
}

/** Puts the hits of one look-up, whose first key was the one at `start`, into the answer. */
export function takeHits(hits: Buffer, start: number, answer: WindowHits): void {
  for (let at = 0; at < hits.length; at += HIT_BYTES) {
    const index = start + hits.readUInt16LE(at);
    answer.payloadHashes[index] = hits.readUInt32LE(at + 2);
    answer.expiresAtSeconds[index] = hits.readUInt32LE(at + 6);
  }
}
