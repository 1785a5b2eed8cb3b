import { PROMPT_ACKNOWLEDGEMENT_MS } from "../block/block-format.ts";
import type { BootLine, MergedBoot, PartitionClock } from "../storage/commit-log.ts";

/**
 * Stream time of one partition: elapsed time, which alone decides when window ids and producer marks expire. It is made of what blocks
 * say of their machines' boot clocks, never of wall clocks. It may run slower than time does (ids are then kept longer), never faster.
 *
 * Each boot has a line: its clock + an offset. A block moves stream time up to its boot's line. Two rules keep that honest:
 * - An offset is made only of an acknowledged block P. The header of a later block of its producer tells when, by the boot clock, the
 *   acknowledgement came; P stood in the stream by then. How long the later block travels does not matter.
 * - A boot that was silent while others wrote has not proved how old their rows are. Stream time moves at most CATCH_UP_MAX_MS beyond where
 *   it stood at P. If the line is further ahead than that, it is given up and made again. If only this boot wrote since P, on its line, there
 *   is no limit; if P is the newest block, all that passed since its acknowledgement is proved.
 *
 * Rows that are written while another boot may still catch up get a stream time that is ahead by as much (`rowTimeMs`).
 */
export interface StreamMoment {
  /** ms; 0 = nothing was read yet. */
  readonly streamTimeMs: number;
  readonly clock: PartitionClock;
}

/** What stream time needs to know of a block. */
export interface BlockMoment {
  readonly boot: string;
  /** Boot clock when it was sealed, ms. */
  readonly stampMs: number;
  /** The last block that its producer had acknowledged: the boot clock by then, and where it stands; null = not known. */
  readonly acknowledged: AcknowledgedBlock | null;
}

export interface AcknowledgedBlock {
  /** Boot clock when the acknowledgement came. */
  readonly stampMs: number;
  readonly streamTimeMs: number;
  readonly block: number;
}

export interface PlacedBlock extends StreamMoment {
  /** Stream time of the block's rows, ms: their ids expire by it. At or after `streamTimeMs`; never goes back either. */
  readonly rowTimeMs: number;
}

/** How far stream time may move on one block of a boot that was not the only one to write since it was acknowledged last. */
export const CATCH_UP_MAX_MS = 30_000;
/** Rows are at most this far ahead of the partition's stream time. */
export const ROW_LEAD_MAX_MS = CATCH_UP_MAX_MS + PROMPT_ACKNOWLEDGEMENT_MS;

/** Boots that were not seen for this long, or that more others followed, are forgotten: their next block begins a new line. */
const BOOT_FORGOTTEN_AFTER_MS = 31 * 86_400_000;
const BOOTS_REMEMBERED_MAX = 64;
/** The same of all merged partitions together. */
const MERGED_BOOTS_REMEMBERED_MAX = 256;

/** Window expiries are 32 bits of seconds, so a first wall clock beyond these is not believed. */
const STREAM_TIME_MIN_MS = Date.UTC(2000, 0);
const STREAM_TIME_MAX_MS = Date.UTC(2100, 0);

/** Blocks of version 1 carry no boot clock: the stream's append time stands for it, as one boot of this name. */
const APPEND_CLOCK = "append";

const unknownBoot: BootLine = { offsetMs: null, provenAtMs: 0, provenBlock: -1, seenAtMs: 0 };

export const newClock: PartitionClock = { blocks: 0, aloneSince: 0, boot: "", rowTimeMs: 0, boots: {} };

/** Of a partition that 0.1.0 has read: its stream time was the running maximum of append times. */
export function appendClock(streamTimeMs: number): PartitionClock {
  const line = { offsetMs: 0, provenAtMs: streamTimeMs, provenBlock: 0, seenAtMs: streamTimeMs };
  return { ...newClock, boot: APPEND_CLOCK, boots: { [APPEND_CLOCK]: line } };
}

/** Where the stream time of a partition begins: any value would do, this one looks like the time. */
export function beginAt(wallMs: number): StreamMoment {
  const streamTimeMs = Math.min(Math.max(wallMs, STREAM_TIME_MIN_MS), STREAM_TIME_MAX_MS);
  return { streamTimeMs, clock: newClock };
}

export function placeBlock(at: StreamMoment, moment: BlockMoment): PlacedBlock {
  const known = at.clock.boots[moment.boot] ?? unknownBoot;
  const line = withAcknowledgement(known, moment.acknowledged);
  return place(at, moment, { line, isSameLine: line.offsetMs === known.offsetMs });
}

/** A block of version 1. Nothing is known of what its append time would prove beside other clocks: it then begins like any new boot. */
export function placeFirstVersion({ streamTimeMs, clock }: StreamMoment, appendTimeMs: number): PlacedBlock {
  const isNew = Object.keys(clock.boots).length === 0;
  const boots = isNew ? appendClock(streamTimeMs).boots : clock.boots;
  const known = boots[APPEND_CLOCK] ?? unknownBoot;
  const line = { ...known, offsetMs: known.offsetMs ?? streamTimeMs - appendTimeMs };
  const moment = { boot: APPEND_CLOCK, stampMs: appendTimeMs, acknowledged: null };
  const isSameLine = known.offsetMs !== null;
  const placed = place({ streamTimeMs, clock: { ...clock, boots } }, moment, { line, isSameLine });
  // It stood in the stream at its append time.
  const proven = { provenAtMs: placed.streamTimeMs, provenBlock: placed.clock.blocks };
  const ownLine = { ...(placed.clock.boots[APPEND_CLOCK] ?? line), ...proven };
  return { ...placed, clock: { ...placed.clock, boots: { ...placed.clock.boots, [APPEND_CLOCK]: ownLine } } };
}

/**
 * Of a partition after several: its boots have to prove their clocks again. What is known of theirs tells only whether a producer may have
 * been forgotten before the merge.
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
 * By how much less time than stream time has passed on the boot's line when the block was sealed, ms. A boot whose line was given up has
 * proved nothing since its newest block; null = the boot is not known.
 * @param block.meant The partition that it was meant for: this one, or one whose place it took.
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

/** That of the partition, as far as it is known. Numbers rise: what was merged, and all before, have lower ones than what came of it. */
function linesOf(boot: string, meant: number, { boots, merged = {} }: PartitionClock): readonly MergedBoot[] {
  const exact = merged[`${boot}@${meant}`];
  if (exact) return [exact];
  const partitions = Object.keys(merged).map((key) => Number(key.slice(key.lastIndexOf("@") + 1)));
  const isBefore = partitions.some((partition) => meant < partition);
  const line = boots[boot];
  if (!isBefore) return line ? [line] : [];
  return Object.entries(merged).flatMap(([key, one]) => (key.startsWith(`${boot}@`) ? [one] : []));
}

/** The clock that a commit keeps. */
export function livingClock({ streamTimeMs, clock }: StreamMoment): PartitionClock {
  const { boots, merged, ...rest } = clock;
  const kept = merged && seenLately(merged, streamTimeMs, MERGED_BOOTS_REMEMBERED_MAX);
  return {
    ...rest,
    boots: seenLately(boots, streamTimeMs, BOOTS_REMEMBERED_MAX),
    ...(kept && Object.keys(kept).length > 0 && { merged: kept }),
  };
}

function seenLately<Line extends MergedBoot>(
  lines: Readonly<Record<string, Line>>,
  streamTimeMs: number,
  max: number,
): Record<string, Line> {
  const living = Object.entries(lines)
    .filter(([, { seenAtMs }]) => seenAtMs >= streamTimeMs - BOOT_FORGOTTEN_AFTER_MS)
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
    if (other !== boot || !isOnLine) rowTimeMs = Math.max(rowTimeMs, seenAtMs + ROW_LEAD_MAX_MS);
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

/** How far stream time may move beyond where it stood at the acknowledged block. */
function provenSince({ acknowledged, stampMs }: BlockMoment, { blocks }: PartitionClock): number {
  if (acknowledged?.block !== blocks) return CATCH_UP_MAX_MS;
  return Math.max(CATCH_UP_MAX_MS, stampMs - acknowledged.stampMs);
}

/** A newer acknowledgement moves what is proven, and never makes the line slower; an older one says nothing new. */
function withAcknowledgement(known: BootLine, acknowledged: AcknowledgedBlock | null): BootLine {
  if (!acknowledged || acknowledged.block < known.provenBlock) return known;
  const { streamTimeMs, block, stampMs } = acknowledged;
  const offsetMs = Math.max(known.offsetMs ?? Number.NEGATIVE_INFINITY, streamTimeMs - stampMs);
  return { ...known, offsetMs, provenAtMs: streamTimeMs, provenBlock: block };
}
