import type { LakeState } from "../commit-log/commit-log.ts";
import { type Lane, type LaneCommits, lanes } from "../commit-log/lane-commits.ts";
import type { WaitingRows } from "../delta/unsettled-commits.ts";
import { BoundedWork } from "../stores/bounded-work.ts";
import type { WaitingLanes } from "./settle-plan.ts";
import type { SettleTables } from "./settle-tables.ts";
import { type CommittedLanes, committedLanes } from "./table-lanes.ts";

const readsAtOnce = 4;

/**
 * By table name: the rows that wait. Reads the log to its end, and the logs of tables that this process does not
 * know and that may lack rows. Parked tables are left out until their retry is due. Rejects with failures that
 * concern the whole lake.
 */
export async function waitingLanes(tables: SettleTables): Promise<Map<string, WaitingLanes>> {
  const lake = await tables.entries.state();
  await tables.unsettled.readTo(lake.number);
  const committed = [...committedLanes(lake).values()].filter(({ name }) => !tables.parked.isWaiting(name));
  await readUnknown(tables, committed, lake);
  const waiting = new Map<string, WaitingLanes>();
  const timeOf = commitTimes(tables);
  for (const { name, last } of committed) {
    const shown = tables.shown(name);
    if (!shown) continue;
    const present: Partial<Record<Lane, WaitingRows>> = {};
    for (const lane of lanes) {
      if (last[lane] <= shown[lane]) continue;
      const rows = tables.unsettled.waiting(name, lane, Math.max(shown[lane], lake.firstKept - 1));
      if (rows) present[lane] = { ...rows, firstMs: rows.firstMs ?? (await timeOf(rows.first)) };
    }
    if (Object.keys(present).length > 0) waiting.set(name, present);
  }
  return waiting;
}

async function readUnknown(
  tables: SettleTables,
  committed: readonly CommittedLanes[],
  lake: LakeState,
): Promise<void> {
  const work = new BoundedWork<unknown>(readsAtOnce);
  for (const ofTable of committed) {
    const { name, last, bound } = ofTable;
    if (tables.shown(name) || !isAbove(last, bound)) continue;
    await work.add(() =>
      tables.read(ofTable, lake).catch((error: unknown) => tables.failed(ofTable, error, null)),
    );
  }
  await work.results();
}

function isAbove(commits: LaneCommits, bound: LaneCommits): boolean {
  return lanes.some((lane) => commits[lane] > bound[lane]);
}

/** When a commit was made, which is read once for all tables; null if it is given up. */
function commitTimes({ entries }: SettleTables): (commit: number) => Promise<number | null> {
  const times = new Map<number, number | null>();
  return async (commit) => {
    const known = times.get(commit);
    if (known !== undefined) return known;
    const atMs = (await entries.entry(commit))?.committedAtMs ?? null;
    times.set(commit, atMs);
    return atMs;
  };
}
