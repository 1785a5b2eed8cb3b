import { type Lane, type LaneCommits, landedLanes } from "../commit-log/lane-commits.ts";
import type { TxnAction } from "./delta-actions.ts";
import type { DeltaState } from "./delta-state.ts";

/** The `appId` of a lane's transaction in a table's Delta log. Version 0.1.0 had the one of `direct`. */
export function transactionId(lakeId: string, lane: Lane): string {
  return lane === "direct" ? `tidegate/${lakeId}` : `tidegate/${lakeId}/${lane}`;
}

/** By lane: the table shows the rows of every commit up to this one. */
export function settledLanes(txns: ReadonlyMap<string, TxnAction>, lakeId: string): LaneCommits {
  const upTo = (lane: Lane) => txns.get(transactionId(lakeId, lane))?.version ?? 0;
  const landed = landedLanes.map((lane) => [lane, upTo(lane)]);
  return { direct: upTo("direct"), ...Object.fromEntries(landed) };
}

/** The `appId` whose version is the number of the table's last fence, see `isFenced`. */
export function fenceId(lakeId: string): string {
  return `tidegate/${lakeId}/fence`;
}

/**
 * The `appId` whose version is the event hour, in hours since the epoch, below which retention removes all rows of
 * the table. Never falls. No lane has this name.
 */
export function retentionId(lakeId: string): string {
  return `tidegate/${lakeId}/retention`;
}

/**
 * Whether files that were written for a table at version `since`, and that no version names yet, may be deleted
 * by now: vacuum fences a table before it deletes such files. If the table was read again from a
 * checkpoint above `since`, another writer's checkpoint may lack the fence.
 */
export function isFenced(
  { txns, base }: Pick<DeltaState, "txns" | "base">,
  lakeId: string,
  since: number,
): boolean {
  return (txns.get(fenceId(lakeId))?.version ?? -1) > since || (base?.version ?? -1) > since;
}
