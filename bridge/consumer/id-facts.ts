import { crc32 } from "node:zlib";
import type { IdFacts } from "./batch-ids.ts";
import type { JudgedMessage } from "./judge-message.ts";

/** Stream time in whole seconds, rounded up, at which an id may be forgotten. */
export function expiryOf(streamTimeMs: number, windowMs: number): number {
  return Math.ceil((streamTimeMs + windowMs) / 1000);
}

export function filedAtOf(streamTimeMs: number): number {
  return Math.floor(streamTimeMs / 1000);
}

/** By which a window tells whose ids take how much room. */
export function deviceNumber(deviceId: string): number {
  return crc32(deviceId) & 0xffff;
}

/** What a window keeps of a message that is filed. */
export function idFactsOf({ row, topic, contentHash }: JudgedMessage): IdFacts {
  return {
    contentHash,
    expiresAtSeconds: expiryOf(row.streamTimeMs, topic.dedupeWindowMs),
    filedAtSeconds: filedAtOf(row.streamTimeMs),
    device: deviceNumber(row.deviceId),
  };
}
