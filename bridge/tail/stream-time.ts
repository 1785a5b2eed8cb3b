import { promptAcknowledgementMs } from "../block/block-format.ts";
import type { BootLine, MergedBoot, PartitionClock } from "./partition-clock.ts";

/**
 * Stream time of one partition: elapsed time. Only stream time decides when window ids and producer marks
 * expire. It is computed from the boot clocks in blocks, never from wall clocks. It may run slower than real
 * time, which keeps ids longer, but never faster.
 *
 * Each boot has a line: its clock + an offset. A block moves stream time up to its boot's line, within two
 * rules:
 * - An offset comes only from an acknowledged block P. The header of a later block of its producer tells the
 *   boot clock at the acknowledgement of P; by then, P was in the stream. The delay of the later block does
 *   not matter.
 * - A boot that was silent while others wrote proves nothing about the age of their rows. Stream time then
 *   moves at most catchUpMaxMs beyond its value at P. A line that is further ahead is given up, and the
 *   boot gets a new one. There is no limit if only this boot wrote since P, on its line. If P is the newest
 *   block, all time since its acknowledgement is proved.
 *
 * Another boot may still catch up by as much, so rows get a stream time that is further ahead (`rowTimeMs`).
 */
export interface StreamMoment {
  /** ms; 0 = no block was read. */
  readonly streamTimeMs: number;
  readonly clock: PartitionClock;
}

/** The times of a block. */
export interface BlockMoment {
  readonly boot: string;
  /** Boot clock at sealing, ms. */
  readonly stampMs: number;
  /** The last acknowledged block of the producer; null = unknown. */
  readonly acknowledged: AcknowledgedBlock | null;
}

export interface AcknowledgedBlock {
  /** Boot clock when the acknowledgement came, ms. */
  readonly stampMs: number;
  readonly streamTimeMs: number;
  readonly block: number;
}

export interface PlacedBlock extends StreamMoment {
  /**
   * Stream time of the block's rows, ms; the expiry of their ids counts from it. Never before
   * `streamTimeMs`, and never goes back.
   */
  readonly rowTimeMs: number;
}

/** How far one block may move stream time if other boots also wrote since the boot's last acknowledgement. */
export const catchUpMaxMs = 30_000;
/** Most that rows may be ahead of the partition's stream time. */
export const rowLeadMaxMs = catchUpMaxMs + promptAcknowledgementMs;

/**
 * A boot is forgotten after this time unseen, or if 64 others were seen later. Its next block begins a new
 * line.
 */
const bootForgottenAfterMs = 31 * 86_400_000;
const bootsRememberedMax = 64;
/** The same limit for the boots of all merged partitions together. */
const mergedBootsRememberedMax = 256;

/**
 * Range of the first stream time. Windows store expiries as 32-bit seconds, so a wall clock outside this
 * range is clamped.
 */
const streamTimeMinMs = Date.UTC(2000, 0);
const streamTimeMaxMs = Date.UTC(2100, 0);

/**
 * Boot id for blocks of version 1, which have no boot clock: the append times of the stream are used as its
 * clock.
 */
const appendTimeBoot = "append";

const unknownBoot: BootLine = { offsetMs: null, provenAtMs: 0, provenBlock: -1, seenAtMs: 0 };

export const newClock: PartitionClock = { blocks: 0, aloneSince: 0, boot: "", rowTimeMs: 0, boots: {} };

/** The clock of a partition that 0.1.0 read, whose stream time was the running maximum of append times. */
export function appendClock(streamTimeMs: number): PartitionClock {
  const line = { offsetMs: 0, provenAtMs: streamTimeMs, provenBlock: 0, seenAtMs: streamTimeMs };
  return { ...newClock, boot: appendTimeBoot, boots: { [appendTimeBoot]: line } };
}

/**
 * The first stream time of a partition. Any value would be correct; the wall clock is the most readable one.
 */
export function beginAt(wallMs: number): StreamMoment {
  const streamTimeMs = Math.min(Math.max(wallMs, streamTimeMinMs), streamTimeMaxMs);
  return { streamTimeMs, clock: newClock };
}

export function placeBlock(at: StreamMoment, moment: BlockMoment): PlacedBlock {
  const known = at.clock.boots[moment.boot] ?? unknownBoot;
  const line = withAcknowledgement(known, moment.acknowledged);
  return place(at, moment, { line, isSameLine: line.offsetMs === known.offsetMs });
}

/** Places a block of version 1. If other clocks are known, append times begin like any new boot. */
export function placeFirstVersion({ streamTimeMs, clock }: StreamMoment, appendTimeMs: number): PlacedBlock {
  const isNew = Object.keys(clock.boots).length === 0;
  const boots = isNew ? appendClock(streamTimeMs).boots : clock.boots;
  const known = boots[appendTimeBoot] ?? unknownBoot;
  const line = { ...known, offsetMs: known.offsetMs ?? streamTimeMs - appendTimeMs };
  const moment = { boot: appendTimeBoot, stampMs: appendTimeMs, acknowledged: null };
  const isSameLine = known.offsetMs !== null;
  const placed = place({ streamTimeMs, clock: { ...clock, boots } }, moment, { line, isSameLine });
  // At its append time, the block was in the stream.
  const proven = { provenAtMs: placed.streamTimeMs, provenBlock: placed.clock.blocks };
  const ownLine = { ...(placed.clock.boots[appendTimeBoot] ?? line), ...proven };
  return {
    ...placed,
    clock: { ...placed.clock, boots: { ...placed.clock.boots, [appendTimeBoot]: ownLine } },
  };
}

/**
 * The clock of a partition that several were merged into. All boots must prove their clocks again. The
 * merged clocks only tell whether a producer may have been forgotten before the merge.
 */
export function mergedClock(
  streamTimeMs: number,
  parents: readonly { partition: number; streamTimeMs: number; clock?: PartitionClock }[],
): PartitionClock {
  const merged: Record<string, MergedBoot> = {};
  for (const { partition, clock, streamTimeMs: endMs } of parents) {
    const shiftMs = streamTimeMs - endMs;
    const own = Object.entries(clock?.boots ?? {}).map(
      ([boot, line]) => [`${boot}@${partition}`, line] as const,
    );
    for (const [key, { offsetMs, seenAtMs }] of [...Object.entries(clock?.merged ?? {}), ...own])
      merged[key] = { offsetMs: offsetMs === null ? null : offsetMs + shiftMs, seenAtMs: seenAtMs + shiftMs };
  }
  return { ...newClock, merged };
}

/**
 * How far the boot's line was behind stream time when the block was sealed, ms; null if the boot is unknown.
 * For a boot whose line was given up, its newest block counts.
 * @param block.meant The partition that the block was meant for: this one, or one of its ancestors.
 */
export function behindStreamTime(
  { streamTimeMs, clock }: StreamMoment,
  { boot, stampMs, meant }: Pick<BlockMoment, "boot" | "stampMs"> & { readonly meant: number },
): number | null {
  const lines = linesOf(boot, meant, clock).map(({ offsetMs, seenAtMs }) =>
    offsetMs === null ? seenAtMs : stampMs + offsetMs,
  );
  return lines.length === 0 ? null : streamTimeMs - Math.min(...lines);
}

/**
 * The known lines of a boot in the partition that a block was meant for. A merged partition and its
 * ancestors have lower numbers than the partition that they were merged into.
 */
function linesOf(boot: string, meant: number, { boots, merged = {} }: PartitionClock): readonly MergedBoot[] {
  const exact = merged[`${boot}@${meant}`];
  if (exact) return [exact];
  const partitions = Object.keys(merged).map((key) => Number(key.slice(key.lastIndexOf("@") + 1)));
  const isBefore = partitions.some((partition) => meant < partition);
  const line = boots[boot];
  if (!isBefore) return line ? [line] : [];
  return Object.entries(merged).flatMap(([key, one]) => (key.startsWith(`${boot}@`) ? [one] : []));
}

/** The clock that a commit stores. */
export function livingClock({ streamTimeMs, clock }: StreamMoment): PartitionClock {
  const { boots, merged, ...rest } = clock;
  const kept = merged && seenLately(merged, streamTimeMs, mergedBootsRememberedMax);
  return {
    ...rest,
    boots: seenLately(boots, streamTimeMs, bootsRememberedMax),
    ...(kept && Object.keys(kept).length > 0 && { merged: kept }),
  };
}

function seenLately<Line extends MergedBoot>(
  lines: Readonly<Record<string, Line>>,
  streamTimeMs: number,
  max: number,
): Record<string, Line> {
  const living = Object.entries(lines)
    .filter(([, { seenAtMs }]) => seenAtMs >= streamTimeMs - bootForgottenAfterMs)
    .toSorted(([, left], [, right]) => right.seenAtMs - left.seenAtMs);
  return Object.fromEntries(living.slice(0, max));
}

function place(
  { streamTimeMs: beforeMs, clock }: StreamMoment,
  moment: BlockMoment,
  { line, isSameLine }: { line: BootLine; isSameLine: boolean },
): PlacedBlock {
  const { boot, stampMs } = moment;
  const isAlone = isSameLine && line.provenBlock >= clock.aloneSince;
  const aheadMs = line.offsetMs === null ? beforeMs : stampMs + line.offsetMs;
  const limitMs = isAlone ? Number.POSITIVE_INFINITY : line.provenAtMs + provenSince(moment, clock);
  const isOnLine = line.offsetMs !== null && aheadMs <= limitMs;
  const streamTimeMs = Math.max(beforeMs, Math.min(aheadMs, limitMs));
  let rowTimeMs = Math.max(streamTimeMs, clock.rowTimeMs);
  for (const [other, { seenAtMs }] of Object.entries(clock.boots))
    if (other !== boot || !isOnLine) rowTimeMs = Math.max(rowTimeMs, seenAtMs + rowLeadMaxMs);
  const blocks = clock.blocks + 1;
  const isFirstAfter = moment.acknowledged?.block === clock.blocks;
  const aloneBefore =
    isSameLine && boot === clock.boot ? clock.aloneSince : isFirstAfter ? clock.blocks : blocks;
  const aloneSince = isOnLine ? aloneBefore : blocks;
  const boots = {
    ...clock.boots,
    [boot]: { ...line, offsetMs: isOnLine ? line.offsetMs : null, seenAtMs: streamTimeMs },
  };
  return { streamTimeMs, rowTimeMs, clock: { ...clock, blocks, aloneSince, boot, rowTimeMs, boots } };
}

/** How far stream time may move beyond its value at the acknowledged block, ms. */
function provenSince({ acknowledged, stampMs }: BlockMoment, { blocks }: PartitionClock): number {
  if (acknowledged?.block !== blocks) return catchUpMaxMs;
  return Math.max(catchUpMaxMs, stampMs - acknowledged.stampMs);
}

/** Takes over a newer acknowledgement, which never moves the line back; an older one changes nothing. */
function withAcknowledgement(known: BootLine, acknowledged: AcknowledgedBlock | null): BootLine {
  if (!acknowledged || acknowledged.block < known.provenBlock) return known;
  const { streamTimeMs, block, stampMs } = acknowledged;
  const offsetMs = Math.max(known.offsetMs ?? Number.NEGATIVE_INFINITY, streamTimeMs - stampMs);
  return { ...known, offsetMs, provenAtMs: streamTimeMs, provenBlock: block };
}
