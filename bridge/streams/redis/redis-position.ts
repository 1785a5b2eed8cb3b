import { type Position, startPosition } from "../stream-log.ts";

/**
 * Id of an entry in Redis, `<append time in ms>-<number>`. Tidegate assigns both parts. The time is the
 * server's, and never goes back within a partition. The number counts the partition's entries from 1, without
 * gaps.
 */
export interface EntryId {
  readonly ms: number;
  readonly number: number;
}

/** The place before the first entry. */
export const noEntry: EntryId = { ms: 0, number: 0 };

export function positionOfEntry({ ms, number }: EntryId): Position {
  return number === 0 && ms === 0 ? startPosition : idOfEntry({ ms, number });
}

/** null if the text is not a position of a Redis stream. */
export function entryOfPosition(position: Position): EntryId | null {
  if (position === startPosition) return noEntry;
  const parts = /^(\d{1,16})-(\d{1,16})$/.exec(position);
  if (!parts) return null;
  const entry = { ms: Number(parts[1]), number: Number(parts[2]) };
  return Number.isSafeInteger(entry.ms) && Number.isSafeInteger(entry.number) ? entry : null;
}

/** The order of ids in Redis. */
function compareEntries(left: EntryId, right: EntryId): number {
  return left.ms - right.ms || left.number - right.number;
}

/** Like StreamLog.comparePositions. Text that is not a position is the lowest. */
export function compareRedisPositions(left: Position, right: Position): number {
  if (left === right) return 0;
  return compareEntries(entryOfPosition(left) ?? noEntry, entryOfPosition(right) ?? noEntry);
}

/** Id of an entry in the form of Redis. */
export function idOfEntry({ ms, number }: EntryId): string {
  return `${ms}-${number}`;
}

/** @param id Id in the form of Redis. */
export function entryOfId(id: Buffer | string): EntryId {
  const [ms = 0, number = 0] = id.toString().split("-").map(Number);
  return { ms, number };
}
