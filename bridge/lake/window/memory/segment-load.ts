export const slotsMin = 16;
/** A segment with a higher load is rebuilt. */
export const loadMax = 0.75;
const loadAfterRebuildMin = 0.5;
const loadAfterRebuildSpread = 0.2;
/** Load if there is no room to grow: as many ids as possible, without a rebuild for every few of them. */
export const loadAfterRebuildFull = 0.7;

/** Slots of a segment with this load. */
export function slotsFor(ids: number, load: number): number {
  return Math.max(slotsMin, Math.ceil(ids / load));
}

/** Differs by segment, because equal segments would fill up and be rebuilt at the same time. */
export function loadAfterRebuild(segment: number, segments: number): number {
  return loadAfterRebuildMin + (loadAfterRebuildSpread * segment) / segments;
}
