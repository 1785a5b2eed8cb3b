import { crc32 } from "node:zlib";
import type { JudgedMessage } from "../../../tail/judge-message.ts";
import type { IdFacts } from "./batch-ids.ts";

/** Stream time at which an id may be forgotten, in whole seconds, rounded up. */
export function expiryOf(streamTimeMs: number, windowMs: number): number {
  return Math.ceil((streamTimeMs + windowMs) / 1000);
}

export function filedAtOf(streamTimeMs: number): number {
  return Math.floor(streamTimeMs / 1000);
}

/** 16 bits by which a window counts the ids of a device. */
export function deviceNumber(deviceId: string): number {
  return crc32(deviceId) & 0xffff;
}

/** What a window keeps of a filed message. */
export function idFactsOf({ row, topic, contentHash }: JudgedMessage): IdFacts {
  return {
    contentHash,
    expiresAtSeconds: expiryOf(row.streamTimeMs, topic.dedupeWindowMs),
    filedAtSeconds: filedAtOf(row.streamTimeMs),
    device: deviceNumber(row.deviceId),
  };
}
