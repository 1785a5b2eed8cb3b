/**
 * Where the rows of a table wait in landing files until they are settled. `even` and `odd`: fresh rows by the
 * parity of their event hour, so that an hour that ended is settled without the hour that continues. `late`:
 * rows that came after the end of their hour.
 */
export const landedLanes = ["even", "odd", "late"] as const;
export type LandedLane = (typeof landedLanes)[number];

/**
 * The ways of rows into a table. Each lane of a table is settled by a transaction of its own. `direct` is for
 * table files that the entry names.
 */
export const lanes = ["direct", ...landedLanes] as const;
export type Lane = (typeof lanes)[number];

/** Numbers of commits by lane, 0 = none. */
export type LaneCommits = Readonly<Record<Lane, number>>;

export const noCommits: LaneCommits = { direct: 0, even: 0, odd: 0, late: 0 };

/** The higher number of each lane. */
export function highestOf(left: LaneCommits, right: LaneCommits): LaneCommits {
  const higher = lanes.map((lane) => [lane, Math.max(left[lane], right[lane])] as const);
  return Object.fromEntries(higher) as unknown as LaneCommits;
}
