import type { LakeState } from "../commit-log/commit-log.ts";
import { type Lane, lanes } from "../commit-log/lane-commits.ts";
import { BoundedWork } from "../stores/bounded-work.ts";
import {
  type LackingTable,
  lackedRows,
  type RoundCommits,
  type RoundLimits,
  roundCommits,
} from "./round-commits.ts";
import type { SettleTables } from "./settle-tables.ts";
import { type StagedRows, stageReadable } from "./stage-readable.ts";
import { committedLanes } from "./table-lanes.ts";
import type { SettledTable, TableOutcome } from "./table-outcome.ts";
import { type RoundTable, TableRound } from "./table-round.ts";

const readsAtOnce = 4;
/** So many tables fail one after another only if the store or this process is the cause. */
const failuresInARowMax = 3;

export interface RoundResult {
  /** By table name. */
  readonly tables: ReadonlyMap<string, SettledTable>;
  /** False if rows of these lanes are left for another round. */
  readonly isComplete: boolean;
}

export interface RoundOptions {
  /** Tables that get a version even if no rows wait, so that their transactions say so. */
  readonly asked?: ReadonlySet<string>;
  readonly limits?: RoundLimits;
  /** After an abort, the round ends between two tables. */
  readonly signal?: AbortSignal;
}

/**
 * Makes the oldest waiting rows of these lanes visible: reads their landing files once and writes one version
 * of each table. The order matters: (1) what the log says that tables show, (2) the tables, (3) commits. A table
 * that fails is parked, or is tried again in another round; the others go on. Rejects with failures that concern
 * the whole lake, with those of the store if several tables fail in a row, and with STORE_FULL.
 */
export async function settleRound(
  tables: SettleTables,
  due: ReadonlyMap<string, readonly Lane[]>,
  options: RoundOptions = {},
): Promise<RoundResult> {
  const lake = await tables.entries.state();
  await tables.unsettled.readTo(lake.number);
  const results = new Map<string, SettledTable>();
  const lacking = await lackingTables(tables, lake, { due, results, asked: options.asked ?? new Set() });
  const range = { firstKept: lake.firstKept, upTo: lake.number };
  const commits = await roundCommits(tables, lacking, range, options.limits);
  const staged = await stage(tables, lacking, commits);
  let isComplete = commits.isComplete;
  let failures = 0;
  try {
    for (const table of lacking) {
      if (options.signal?.aborted) isComplete = false;
      if (options.signal?.aborted) break;
      const round = new TableRound(tables, table, { commits, staged, isAsked: isAsked(table, options) });
      try {
        note(tables, results, table.name, await round.settle());
        failures = 0;
      } catch (error) {
        const outcome = await tables.failed(table.committed, error, round.first);
        note(tables, results, table.name, { outcome, rows: new Map() });
        failures = outcome === "failed" ? failures + 1 : 0;
        if (failures === failuresInARowMax) throw error;
      }
    }
  } finally {
    await staged.round.close();
  }
  return { tables: results, isComplete };
}

function isAsked({ name }: LackingTable, { asked }: RoundOptions): boolean {
  return asked?.has(name) ?? false;
}

function note(
  { options }: SettleTables,
  results: Map<string, SettledTable>,
  name: string,
  result: SettledTable,
): void {
  results.set(name, result);
  options.onResult?.(name, result);
}

interface Chosen {
  readonly due: ReadonlyMap<string, readonly Lane[]>;
  readonly asked: ReadonlySet<string>;
  readonly results: Map<string, SettledTable>;
}

/** Reads the logs of the tables. Those that are parked, can't be read or lack nothing get their results. */
async function lackingTables(
  tables: SettleTables,
  lake: LakeState,
  { due, asked, results }: Chosen,
): Promise<RoundTable[]> {
  const work = new BoundedWork<RoundTable | null>(readsAtOnce);
  const committed = committedLanes(lake);
  for (const name of new Set([...due.keys(), ...asked])) {
    const ofTable = committed.get(name);
    if (!ofTable || tables.parked.isWaiting(name)) continue;
    await work.add(async () => {
      const none = (outcome: TableOutcome) => note(tables, results, name, { outcome, rows: new Map() });
      try {
        const shown = await tables.read(ofTable, lake);
        // After a retry, the table either shows everything or stays parked.
        const isWhole = asked.has(name) || tables.parked.isParked(name);
        const wanted = isWhole ? lanes : (due.get(name) ?? []);
        const after = new Map(
          wanted
            .filter((lane) => (asked.has(name) ? lake.number : ofTable.last[lane]) > shown[lane])
            .map((lane) => [lane, shown[lane]]),
        );
        if (after.size > 0) return { name, topics: ofTable.topics, after, committed: ofTable, shown };
        tables.parked.resume(name);
        none("nothing");
      } catch (error) {
        none(await tables.failed(ofTable, error, null));
      }
      return null;
    });
  }
  return (await work.results()).filter((table) => table !== null);
}

async function stage(
  { options }: SettleTables,
  lacking: readonly LackingTable[],
  { entries, upTo }: RoundCommits,
): Promise<StagedRows> {
  const landed = new Set(lacking.flatMap((table) => lackedRows(table, entries, upTo).landed));
  const sources = entries.flatMap(({ number, landing }) =>
    landing && landed.has(number) ? [{ commit: number, path: landing.file.path }] : [],
  );
  return stageReadable(options.rowFiles, sources);
}
