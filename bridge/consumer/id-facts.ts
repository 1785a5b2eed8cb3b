import { crc32 } from "node:zlib";
import type { IdFacts } from "./batch-ids.ts";
import type { JudgedMessage } from "./judge-message.ts";

/** Stream time in whole seconds, rounded up, at which an id may be forgotten. */
export function expiryOf(ingestTimeMs: number, windowMs: number): number {
  return Math.ceil((ingestTimeMs + windowMs) / 1000);
}

export function filedAtOf(ingestTimeMs: number): number {
  return Math.floor(ingestTimeMs / 1000);
}

/** By which a window tells whose ids take how much room. */
export function deviceNumber(deviceId: string): number {
  return crc32(deviceId) & 0xffff;
}

/** What a window keeps of a message that is filed. */
export function idFactsOf({ row, topic, contentHash }: JudgedMessage): IdFacts {
  return {
    contentHash,
    expiresAtSeconds: expiryOf(row.ingestTimeMs, topic.dedupeWindowMs),
    filedAtSeconds: filedAtOf(row.ingestTimeMs),
    device: deviceNumber(row.deviceId),
  };
}
