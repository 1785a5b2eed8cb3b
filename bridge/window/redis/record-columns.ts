import {
  DEDUP_KEY_BYTES,
  EXACT_EPOCH_BYTES,
  type ExactIds,
  type WindowEntries,
  type WindowHits,
} from "../dedup-window.ts";
import { ADDED_EPOCH_BYTES, ASKED_EPOCH_BYTES } from "./epoch-scripts.ts";
import { RECORD_BYTES } from "./window-scripts.ts";

const HIT_BYTES = 10;

/** Entries `start` to `end` as the records that the scripts take. */
export function recordsOf(entries: WindowEntries, start: number, end: number): Buffer {
  const records = Buffer.allocUnsafe((end - start) * RECORD_BYTES);
  const { keys, contentHashes, expiresAtSeconds } = entries;
  for (let index = start, at = 0; index < end; index++, at += RECORD_BYTES) {
    const keyAt = index * DEDUP_KEY_BYTES;
    for (let byte = 0; byte < DEDUP_KEY_BYTES; byte++) records[at + byte] = keys[keyAt + byte] as number;
    records.writeUInt32LE(contentHashes[index] as number, at + DEDUP_KEY_BYTES);
    records.writeUInt32LE(expiresAtSeconds[index] as number, at + DEDUP_KEY_BYTES + 4);
  }
  return records;
}

/** Exact ids `start` to `end` as the scripts are asked for them, or, with the time at which they were seen, given them. */
export function epochRecordsOf(
  ids: ExactIds,
  { start, end, isAdded }: { start: number; end: number; isAdded: boolean },
): Buffer {
  const step = isAdded ? ADDED_EPOCH_BYTES : ASKED_EPOCH_BYTES;
  const records = Buffer.allocUnsafe((end - start) * step);
  const sequenceAt = DEDUP_KEY_BYTES + EXACT_EPOCH_BYTES;
  for (let index = start, at = 0; index < end; index++, at += step) {
    for (let byte = 0; byte < DEDUP_KEY_BYTES; byte++)
      records[at + byte] = ids.deviceKeys[index * DEDUP_KEY_BYTES + byte] as number;
    for (let byte = 0; byte < EXACT_EPOCH_BYTES; byte++)
      records[at + DEDUP_KEY_BYTES + byte] = ids.epochs[index * EXACT_EPOCH_BYTES + byte] as number;
    records.writeUIntLE(ids.sequences[index] as number, at + sequenceAt, 6);
    if (isAdded) records.writeUInt32LE(ids.seenAtSeconds[index] as number, at + ASKED_EPOCH_BYTES);
  }
  return records;
}

/** Puts the hits of one look-up, whose first key was the one at `start`, into the answer. */
export function takeHits(hits: Buffer, start: number, answer: WindowHits): void {
  for (let at = 0; at < hits.length; at += HIT_BYTES) {
    const index = start + hits.readUInt16LE(at);
    answer.contentHashes[index] = hits.readUInt32LE(at + 2);
    answer.expiresAtSeconds[index] = hits.readUInt32LE(at + 6);
  }
}
