import type { CommitEntry, LakeState } from "../commit-log/commit-log.ts";
import type { CommittedLanding } from "../commit-log/landed-file.ts";
import { highestOf, type LandedLane, type LaneCommits, noCommits } from "../commit-log/lane-commits.ts";
import type { DeltaTable } from "../delta/delta-table.ts";
import { readShownLanes } from "../delta/landed-bounds.ts";
import { seededSince } from "../seeding/seed-span.ts";

/** Late rows wait longest, so their lane is the first reason. */
const byWait: readonly LandedLane[] = ["late", "even", "odd"];

/**
 * One reason why a landing file must stay: a table lacks rows of it, the seeding of a window may read it, or a
 * registered follower has not read its entry.
 */
export type LandingHold =
  | { readonly by: "rows"; readonly table: string; readonly lane: LandedLane }
  /** @param untilMs The file goes once windows need only rows after this stream time. */
  | { readonly by: "seeding"; readonly partition: string; readonly untilMs: number }
  | { readonly by: "follower" };

/** What decides about all landing files at one moment. */
export interface LandingNeeds {
  /** By table name and lane: the table shows the rows of every commit up to this one. */
  readonly settled: ReadonlyMap<string, LaneCommits>;
  /** By partition key: stream time of the oldest row that seeding may read. */
  readonly seededSince: ReadonlyMap<string, number>;
  /** The first entry that a registered follower has not read. */
  readonly followedFrom: number;
}

export interface NeedsOptions {
  readonly lakeId: string;
  readonly named: (table: string) => DeltaTable;
  readonly longestWindowMs: number;
  readonly followedFrom: number;
}

/**
 * @param lake Loaded before the tables are read: a bound that is newer than the table is not needed, because
 * what was settled stays settled.
 */
export async function readNeeds(lake: LakeState, options: NeedsOptions): Promise<LandingNeeds> {
  const { lakeId, named, longestWindowMs, followedFrom } = options;
  const settled = new Map<string, LaneCommits>();
  for (const { name, settled: bound } of lake.tables.values())
    settled.set(name, highestOf(settled.get(name) ?? noCommits, bound));
  // A table that shows less than its bound has lost its rows: their landing files may be the last copy.
  for (const [name, shown] of await readShownLanes(lake, named, lakeId)) settled.set(name, shown);
  return { settled, seededSince: seededSince(lake, longestWindowMs), followedFrom };
}

/**
 * Null = nothing needs the landing file of the entry.
 * @param before The hold of the entry before: the same one is preferred, so that runs of entries have one.
 */
export function holdOf(
  entry: Pick<CommitEntry, "number" | "moves"> & { readonly landing: CommittedLanding },
  needs: LandingNeeds,
  before: LandingHold | null,
): LandingHold | null {
  return rowsHold(entry, needs, before) ?? seedingHold(entry, needs) ?? followerHold(entry, needs);
}

/** The first entry for which the hold stands. */
export function heldFrom(hold: LandingHold, needs: LandingNeeds): number {
  if (hold.by === "rows") return (needs.settled.get(hold.table)?.[hold.lane] ?? 0) + 1;
  if (hold.by === "follower") return needs.followedFrom;
  return isSeeded(hold, needs) ? 0 : Number.POSITIVE_INFINITY;
}

function rowsHold(
  { number, landing }: { readonly number: number; readonly landing: CommittedLanding },
  needs: LandingNeeds,
  before: LandingHold | null,
): LandingHold | null {
  const tables = Object.values(landing.tables);
  const isUnsettled = (table: string, lane: LandedLane) =>
    number >= heldFrom({ by: "rows", table, lane }, needs);
  if (before?.by === "rows") {
    const { table, lane } = before;
    const hasRows = tables.some(({ name, rows }) => name === table && rows[lane] !== undefined);
    if (hasRows && isUnsettled(table, lane)) return before;
  }
  for (const lane of byWait)
    for (const { name, rows } of tables)
      if (rows[lane] !== undefined && isUnsettled(name, lane)) return { by: "rows", table: name, lane };
  return null;
}

/** As the seed source selects landing files: back to the first move before the span. */
function seedingHold(
  { moves, landing }: { readonly moves: CommitEntry["moves"]; readonly landing: CommittedLanding },
  needs: LandingNeeds,
): LandingHold | null {
  for (const [partition, { streamTimeMs }] of Object.entries(moves)) {
    const untilMs = Math.min(streamTimeMs, landing.file.maxStreamMs);
    const hold = { by: "seeding", partition, untilMs } as const;
    if (isSeeded(hold, needs)) return hold;
  }
  return null;
}

function isSeeded(
  { partition, untilMs }: { readonly partition: string; readonly untilMs: number },
  needs: LandingNeeds,
): boolean {
  return untilMs >= (needs.seededSince.get(partition) ?? Number.POSITIVE_INFINITY);
}

function followerHold({ number }: { readonly number: number }, needs: LandingNeeds): LandingHold | null {
  return number >= needs.followedFrom ? { by: "follower" } : null;
}
