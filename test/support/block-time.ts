import type { BlockTime } from "../../bridge/block/block-format.ts";

const bootedAtMs = 1_600_000_000_000;

/**
 * The clocks in a block of a producer on a machine whose wall clock was never set. Each machine booted at
 * another time.
 */
export function blockTime(nowMs: number, changes: Partial<BlockTime> = {}): BlockTime {
  const { bootId = "00000000000000b0" } = changes;
  const stampMs = nowMs - bootedAtMs + Number.parseInt(bootId.slice(-2), 16) * 1_000_003;
  return { wallMs: nowMs, bootId, stampMs, acknowledgedAtMs: 0, ...changes };
}
