/** The rows of a landing file wait in one of these until they are settled into their table. */
export const landedLanes = ["even", "odd", "late"] as const;
export type LandedLane = (typeof landedLanes)[number];

/** The ways of rows into a table. Lists of bounds in the commit log have this order. */
export const lanes = ["direct", ...landedLanes] as const;
export type Lane = (typeof lanes)[number];

/** By lane, in the order of `lanes`: the number of a commit; 0 = none. */
export type LaneNumbers = readonly number[];

/** The number of a lane; 0 if the list is missing or short. */
export function numberOfLane(numbers: LaneNumbers | undefined, lane: Lane): number {
  return numbers?.[lanes.indexOf(lane)] ?? 0;
}
