import { type Lane, lanes } from "../commit-log/lane-commits.ts";
import type { WaitingRows } from "../delta/unsettled-commits.ts";
import { hourMs, lateAfterMs } from "../landing/lane.ts";

/** By lane: the rows that the table does not show. A lane without such rows is absent. */
export type WaitingLanes = Readonly<Partial<Record<Lane, WaitingRows>>>;

export interface SettleSettings {
  /** Longer waits make larger files: each group (a table and a lane) adds this much to the wait of all. */
  readonly settlePerGroupMs: number;
  /** Bounds of the wait of fresh rows and of table files. */
  readonly settleMinMs: number;
  readonly settleMaxMs: number;
  /** Bounds of the wait of late rows. */
  readonly lateMinMs: number;
  readonly lateMaxMs: number;
  /** Uncompressed bytes of a table that do not wait longer. Late rows count apart. */
  readonly settleBytes: number;
  /**
   * A lane whose hour ends soon after its wait waits for that end: by at most this part of its wait. Otherwise
   * the hour's last rows would become a file of their own.
   */
  readonly hourEndShare: number;
  /** Late rows of a table do not wait longer if their landing files, or the log since, are larger. */
  readonly lateHeldBytes: number;
  readonly lateHeldEntries: number;
}

const mebibyte = 1024 ** 2;

export const defaultSettleSettings: SettleSettings = {
  settlePerGroupMs: 9_000,
  settleMinMs: 10_000,
  settleMaxMs: hourMs,
  lateMinMs: hourMs,
  lateMaxMs: 24 * hourMs,
  settleBytes: 128 * mebibyte,
  hourEndShare: 1 / 20,
  lateHeldBytes: 4096 * mebibyte,
  lateHeldEntries: 20_000,
};

export interface PlanMoment {
  /** The wall clock. */
  readonly nowMs: number;
  /** The log would give up commits up to this one if nothing waited in them; 0 = none. */
  readonly heldUpTo?: number;
  /** Tables that somebody wants to be settled now. */
  readonly asked?: ReadonlySet<string> | "all";
}

export interface SettlePlan {
  /** By table name: the lanes to settle now. */
  readonly due: ReadonlyMap<string, readonly Lane[]>;
  /** When the next lane becomes due if nothing else comes; null = no other waits. By the wall clock. */
  readonly nextMs: number | null;
}

/** Which tables and lanes are due, and when the next one is. Few groups wait shortly, many wait long. */
export function planSettle(
  waiting: ReadonlyMap<string, WaitingLanes>,
  moment: PlanMoment,
  settings: SettleSettings = defaultSettleSettings,
): SettlePlan {
  const waits = waitsOf(waiting, settings);
  const due = new Map<string, readonly Lane[]>();
  let nextMs = Number.POSITIVE_INFINITY;
  for (const [name, ofTable] of waiting) {
    const present = lanes.filter((lane) => ofTable[lane]);
    const isDueAtMs = new Map(
      present.map((lane) => [lane, dueAtMs(name, lane, ofTable, { moment, settings, waits })]),
    );
    const first = Math.min(...isDueAtMs.values());
    // Table files need no new file: they come along with each version of the table.
    if (isDueAtMs.has("direct")) isDueAtMs.set("direct", first);
    const dueNow = present.filter((lane) => (isDueAtMs.get(lane) ?? 0) <= moment.nowMs);
    if (dueNow.length > 0) due.set(name, dueNow);
    for (const atMs of isDueAtMs.values()) if (atMs > moment.nowMs) nextMs = Math.min(nextMs, atMs);
  }
  return { due, nextMs: Number.isFinite(nextMs) ? nextMs : null };
}

interface Waits {
  readonly freshMs: number;
  readonly lateMs: number;
}

/** How long rows wait. Late groups count apart: a few late rows in each table would double all waits. */
function waitsOf(waiting: ReadonlyMap<string, WaitingLanes>, settings: SettleSettings): Waits {
  let [fresh, late] = [0, 0];
  for (const table of waiting.values())
    for (const lane of lanes)
      if (lane === "late") late += table[lane] ? 1 : 0;
      else fresh += table[lane] ? 1 : 0;
  const { settlePerGroupMs, settleMinMs, settleMaxMs, lateMinMs, lateMaxMs } = settings;
  return {
    freshMs: clamp(fresh * settlePerGroupMs, settleMinMs, settleMaxMs),
    lateMs: clamp(late * settlePerGroupMs, lateMinMs, lateMaxMs),
  };
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}

interface PlanContext {
  readonly moment: PlanMoment;
  readonly settings: SettleSettings;
  readonly waits: Waits;
}

function dueAtMs(
  name: string,
  lane: Lane,
  table: WaitingLanes,
  { moment, settings, waits }: PlanContext,
): number {
  const { nowMs, heldUpTo = 0, asked } = moment;
  const rows = table[lane];
  if (!rows) return Number.POSITIVE_INFINITY;
  const { first, firstMs } = rows;
  const isAsked = asked === "all" || asked?.has(name);
  if (isAsked || first <= heldUpTo || isLarge(lane, table, settings)) return nowMs;
  const waitMs = lane === "late" ? waits.lateMs : waits.freshMs;
  // Of an unknown time, or of a clock that was wrong.
  if (firstMs === null || firstMs > nowMs + waitMs) return nowMs;
  const limitMs = firstMs + waitMs;
  if (lane !== "even" && lane !== "odd") return limitMs;
  const hourEndedMs = hourEndAfter(firstMs, lane);
  if (hourEndedMs > limitMs + waitMs * settings.hourEndShare) return limitMs;
  return hourEndedMs;
}

function isLarge(lane: Lane, table: WaitingLanes, settings: SettleSettings): boolean {
  const { settleBytes, lateHeldBytes, lateHeldEntries } = settings;
  if (lane !== "late") {
    const sizes = [table.direct, table.even, table.odd].map((rows) => rows?.size ?? 0);
    return sizes.reduce((sum, size) => sum + size, 0) >= settleBytes;
  }
  const { size = 0, landingBytes = 0, entries = 0 } = table.late ?? {};
  return size >= settleBytes || landingBytes > lateHeldBytes || entries > lateHeldEntries;
}

/**
 * When the first hour of this parity ends that still takes fresh rows after `afterMs`: from then on, its rows
 * are late.
 */
function hourEndAfter(afterMs: number, lane: "even" | "odd"): number {
  const hour = Math.floor((afterMs - lateAfterMs) / hourMs);
  const isOfLane = (hour % 2 === 0) === (lane === "even");
  return (hour + (isOfLane ? 1 : 2)) * hourMs + lateAfterMs;
}
