import type { ExactIds, WindowEntries } from "../dedup-window.ts";
import { epochRecordsOf, recordsOf } from "./record-columns.ts";

/** Ids per script. The server is busy with one script for 1 to 2 ms. */
const addedIdsMax = 512;
const lookedUpIdsMax = 1024;
const inFlightScriptsMax = 8;
const nothing = Buffer.alloc(0);

/** Ids that one script adds or looks up. */
export interface Part {
  readonly index: number;
  readonly start: number;
  readonly end: number;
  readonly isLast: boolean;
}

/** Cuts `length` ids into parts. There is at least one part, even for no ids. */
function partsOf(length: number, partMax: number): Part[] {
  const count = Math.max(1, Math.ceil(length / partMax));
  return Array.from({ length: count }, (_, index) => ({
    index,
    start: index * partMax,
    end: Math.min(length, (index + 1) * partMax),
    isLast: index === count - 1,
  }));
}

/** Ids and exact ids are cut at the same indexes. */
export function addedParts({ length, exact }: WindowEntries): Part[] {
  return partsOf(Math.max(length, exact?.length ?? 0), addedIdsMax);
}

export function lookedUpParts(asked: {
  readonly length: number;
  readonly exact: ExactIds | undefined;
}): Part[] {
  return partsOf(Math.max(asked.length, asked.exact?.length ?? 0), lookedUpIdsMax);
}

export function recordsPart(entries: WindowEntries, { start, end }: Part): Buffer {
  return start < entries.length ? recordsOf(entries, start, Math.min(end, entries.length)) : nothing;
}

export function exactPart(exact: ExactIds | undefined, { start, end }: Part, isAdded: boolean): Buffer {
  if (!exact || start >= exact.length) return nothing;
  return epochRecordsOf(exact, { start, end: Math.min(end, exact.length), isAdded });
}

/**
 * Sends parts in order, a bounded number ahead of the answers. The first part is sent alone: a server that
 * does not know the script yet would otherwise change the order. Resolves with false, and sends no more
 * parts, once one answers false.
 */
export async function inTurn(
  parts: readonly Part[],
  send: (part: Part) => Promise<boolean>,
): Promise<boolean> {
  const [first, ...others] = parts;
  if (!first || !(await send(first))) return false;
  let isEnded = false;
  let isRefused = false;
  let next = 0;
  const lane = async () => {
    try {
      while (next < others.length && !isEnded)
        if (!(await send(others[next++] as Part))) isEnded = isRefused = true;
    } catch (error) {
      isEnded = true;
      throw error;
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: inFlightScriptsMax }, lane));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
  return !isRefused;
}
