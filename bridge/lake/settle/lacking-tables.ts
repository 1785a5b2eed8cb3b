import type { LakeState } from "../commit-log/commit-log.ts";
import { type Lane, lanes } from "../commit-log/lane-commits.ts";
import { BoundedWork } from "../stores/bounded-work.ts";
import type { SettleTables } from "./settle-tables.ts";
import { type CommittedLanes, committedLanes } from "./table-lanes.ts";
import type { TableOutcome } from "./table-outcome.ts";
import type { RoundTable } from "./table-round.ts";

const readsAtOnce = 4;

export interface ChosenLanes {
  /** By table name. */
  readonly due: ReadonlyMap<string, readonly Lane[]>;
  /** Tables of which every lane is wanted, with rows or without. */
  readonly asked: ReadonlySet<string>;
}

/**
 * Reads the logs of these tables. Tables that lack nothing, or can't be read, are told by their outcome; those
 * whose retry is not due are left out. Rejects as `SettleTables.failed`.
 */
export async function lackingTables(
  tables: SettleTables,
  lake: LakeState,
  chosen: ChosenLanes,
  tell: (table: string, outcome: TableOutcome) => void,
): Promise<RoundTable[]> {
  const work = new BoundedWork<RoundTable | null>(readsAtOnce);
  const committed = committedLanes(lake);
  for (const name of new Set([...chosen.due.keys(), ...chosen.asked])) {
    const ofTable = committed.get(name);
    if (!ofTable || tables.parked.isWaiting(name)) continue;
    await work.add(async () => {
      try {
        const table = await lackingTable(tables, lake, ofTable, chosen);
        if (table.after.size > 0) return table;
        tables.parked.resume(name);
        tell(name, "nothing");
      } catch (error) {
        tell(name, await tables.failed(ofTable, error, null));
      }
      return null;
    });
  }
  return (await work.results()).filter((table) => table !== null);
}

async function lackingTable(
  tables: SettleTables,
  lake: LakeState,
  committed: CommittedLanes,
  { due, asked }: ChosenLanes,
): Promise<RoundTable> {
  const { name, topics, last } = committed;
  const { shown, transactions } = await tables.read(committed, lake);
  const hasLost = lanes.some((lane) => transactions[lane] < shown[lane]);
  const isAsked = asked.has(name) && !hasLost;
  const isParked = tables.parked.isParked(name);
  // After a retry, a parked table either shows everything or stays parked.
  const wanted = isAsked || isParked ? lanes : (due.get(name) ?? []);
  const after = wanted
    .filter((lane) => (isAsked ? lake.number : last[lane]) > shown[lane])
    .map((lane) => [lane, shown[lane]] as const);
  return { name, topics, after: new Map(after), committed, shown, isAsked, isParked };
}
