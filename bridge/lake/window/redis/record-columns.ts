import {
  dedupKeyBytes,
  type ExactIds,
  exactEpochBytes,
  type WindowEntries,
  type WindowHits,
} from "../dedup-window.ts";
import { recordBytes } from "./bucket-scripts.ts";
import { addedEpochBytes, askedEpochBytes } from "./epoch-scripts.ts";

const hitBytes = 10;

/** Entries `start` to `end` as the scripts' records. */
export function recordsOf(entries: WindowEntries, start: number, end: number): Buffer {
  const records = Buffer.allocUnsafe((end - start) * recordBytes);
  const { keys, contentHashes, expiresAtSeconds } = entries;
  for (let index = start, at = 0; index < end; index++, at += recordBytes) {
    const keyAt = index * dedupKeyBytes;
    for (let byte = 0; byte < dedupKeyBytes; byte++) records[at + byte] = keys[keyAt + byte] as number;
    records.writeUInt32LE(contentHashes[index] as number, at + dedupKeyBytes);
    records.writeUInt32LE(expiresAtSeconds[index] as number, at + dedupKeyBytes + 4);
  }
  return records;
}

/**
 * Exact ids `start` to `end` as records for a look-up, or, if `isAdded`, for adding (with their stream time).
 */
export function epochRecordsOf(
  ids: ExactIds,
  { start, end, isAdded }: { start: number; end: number; isAdded: boolean },
): Buffer {
  const step = isAdded ? addedEpochBytes : askedEpochBytes;
  const records = Buffer.allocUnsafe((end - start) * step);
  const sequenceAt = dedupKeyBytes + exactEpochBytes;
  for (let index = start, at = 0; index < end; index++, at += step) {
    for (let byte = 0; byte < dedupKeyBytes; byte++)
      records[at + byte] = ids.deviceKeys[index * dedupKeyBytes + byte] as number;
    for (let byte = 0; byte < exactEpochBytes; byte++)
      records[at + dedupKeyBytes + byte] = ids.epochs[index * exactEpochBytes + byte] as number;
    records.writeUIntLE(ids.sequences[index] as number, at + sequenceAt, 6);
    if (isAdded) records.writeUInt32LE(ids.seenAtSeconds[index] as number, at + askedEpochBytes);
  }
  return records;
}

/** Copies the hits of one look-up into the answer. `start` is the index of the look-up's first key. */
export function takeHits(hits: Buffer, start: number, answer: WindowHits): void {
  for (let at = 0; at < hits.length; at += hitBytes) {
    const index = start + hits.readUInt16LE(at);
    answer.contentHashes[index] = hits.readUInt32LE(at + 2);
    answer.expiresAtSeconds[index] = hits.readUInt32LE(at + 6);
  }
}
