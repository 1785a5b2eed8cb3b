import type { BlockTime } from "../../bridge/block/block-format.ts";

/** When the machine of `blockTime` booted, by its wall clock. */
export const bootedAtMs = 1_600_000_000_000;

/** What a producer says of its clocks on a machine whose wall clock has never been set. */
export function blockTime(nowMs: number, changes: Partial<BlockTime> = {}): BlockTime {
  const stampMs = nowMs - bootedAtMs;
  return { wallMs: nowMs, bootId: "00000000000000b0", stampMs, acknowledgedAtMs: 0, ...changes };
}
