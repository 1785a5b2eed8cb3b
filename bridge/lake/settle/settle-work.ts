import type { TableTroubles } from "../table-publishing.ts";
import type { UpkeepWork } from "../upkeep/upkeep-loop.ts";
import { defaultSettleSettings, planSettle, type SettleSettings } from "./settle-plan.ts";
import { type RoundResult, settleRound } from "./settle-round.ts";
import { SettleTables, type SettleTablesOptions } from "./settle-tables.ts";
import { waitingLanes } from "./waiting-lanes.ts";

/** Between two looks at the log, whatever is due: a table that fails is due all the time. */
const looksApartMs = 1_000;
/** Rows must be in their tables soon after a store is back. */
const retryMaxMs = 60_000;

export interface SettleWorkOptions extends SettleTablesOptions {
  readonly settings?: SettleSettings;
}

/** Settling as work of the upkeep. */
export interface SettleWork extends UpkeepWork {
  /**
   * Settles all lanes of the table soon, with a version that says so even if no rows wait. Nothing happens if
   * no commit has named the table.
   */
  ask(table: string): void;
  troubles(): TableTroubles;
}

/** Looks at the log at intervals, and settles the tables and lanes that are due: one round each time. */
export function settleWork({ settings = defaultSettleSettings, ...options }: SettleWorkOptions): SettleWork {
  const { elapsedMs, now } = options;
  const tables = new SettleTables(options);
  const asked = new Set<string>();
  let dueAtMs = elapsedMs();

  /** No row that comes later is due before this. */
  const waitMs = (nextMs: number | null) => {
    const untilNextMs = (nextMs ?? Number.POSITIVE_INFINITY) - now();
    return Math.max(looksApartMs, Math.min(settings.settleMinMs, untilNextMs));
  };
  const isAnswered = (name: string, results: RoundResult["tables"]) => {
    const { outcome = "unknown" } = results.get(name) ?? {};
    const isUnknown = outcome === "unknown" && !tables.parked.isParked(name);
    return isUnknown || outcome === "settled" || outcome === "nothing";
  };
  return {
    name: "settle",
    retryMaxMs,
    dueAtMs: () => dueAtMs,
    run: async (signal) => {
      const wanted = new Set(asked);
      const waiting = await waitingLanes(tables);
      const plan = planSettle(waiting, { nowMs: now(), asked: wanted }, settings);
      dueAtMs = elapsedMs() + waitMs(plan.nextMs);
      if (plan.due.size === 0 && wanted.size === 0) return;
      const { isComplete, tables: results } = await settleRound(tables, plan.due, { asked: wanted, signal });
      tables.parked.report(tables.unsettled.newest);
      if (!isComplete) dueAtMs = elapsedMs();
      else for (const name of wanted) if (isAnswered(name, results)) asked.delete(name);
    },
    ask: (table) => {
      asked.add(table);
      dueAtMs = elapsedMs();
    },
    troubles: () => ({ parked: tables.parked.list(tables.unsettled.newest), unkempt: tables.unkempt }),
  };
}
