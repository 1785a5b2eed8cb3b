import { type Position, START_POSITION } from "../stream-log.ts";

/**
 * Id of an entry in Redis, `<append time in ms>-<number>`. Tidegate gives both: the time is the server's and never goes back within a
 * partition, the number counts its entries from 1 without holes.
 */
export interface EntryId {
  readonly ms: number;
  readonly number: number;
}

/** Before the first entry. */
export const noEntry: EntryId = { ms: 0, number: 0 };

export function positionOfEntry({ ms, number }: EntryId): Position {
  return number === 0 && ms === 0 ? START_POSITION : idOfEntry({ ms, number });
}

/** Null where the text is no position of a Redis stream. */
export function entryOfPosition(position: Position): EntryId | null {
  if (position === START_POSITION) return noEntry;
  const parts = /^(\d{1,16})-(\d{1,16})$/.exec(position);
  if (!parts) return null;
  const entry = { ms: Number(parts[1]), number: Number(parts[2]) };
  return Number.isSafeInteger(entry.ms) && Number.isSafeInteger(entry.number) ? entry : null;
}

/** As Redis orders its ids. */
function compareEntries(left: EntryId, right: EntryId): number {
  return left.ms - right.ms || left.number - right.number;
}

/** As StreamLog.comparePositions. Text that is no position comes before everything. */
export function compareRedisPositions(left: Position, right: Position): number {
  if (left === right) return 0;
  return compareEntries(entryOfPosition(left) ?? noEntry, entryOfPosition(right) ?? noEntry);
}

/** What Redis calls an entry. */
export function idOfEntry({ ms, number }: EntryId): string {
  return `${ms}-${number}`;
}

/** @param id As Redis answers it. */
export function entryOfId(id: Buffer | string): EntryId {
  const [ms = 0, number = 0] = id.toString().split("-").map(Number);
  return { ms, number };
}
