import type { LakeState } from "../commit-log/commit-log.ts";
import type { Lane } from "../commit-log/lane-commits.ts";
import { lackingTables } from "./lacking-tables.ts";
import {
  type LackingTable,
  lackedRows,
  type RoundCommits,
  type RoundLimits,
  roundCommits,
} from "./round-commits.ts";
import type { SettleTables } from "./settle-tables.ts";
import { type StagedRows, stageReadable } from "./stage-readable.ts";
import type { SettledTable } from "./table-outcome.ts";
import { type RoundTable, TableRound } from "./table-round.ts";

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
  { asked = new Set(), limits, signal }: RoundOptions = {},
): Promise<RoundResult> {
  const lake = await tables.entries.state();
  await tables.unsettled.readTo(lake.number);
  const results = new Map<string, SettledTable>();
  const note = (name: string, result: SettledTable) => {
    results.set(name, result);
    tables.options.onResult?.(name, result);
  };
  const lacking = await lackingTables(tables, lake, { due, asked }, (name, outcome) =>
    note(name, { outcome, rows: new Map() }),
  );
  const range = { firstKept: lake.firstKept, upTo: lake.number };
  let isComplete = true;
  // Tables that were parked for long have much to catch up with, and the others don't wait for them.
  for (const group of [
    lacking.filter(({ isParked }) => !isParked),
    lacking.filter(({ isParked }) => isParked),
  ]) {
    if (group.length === 0) continue;
    const part = await nextPart(tables, group, range, limits);
    const isWhole = await settlePart(tables, part, note, signal);
    isComplete &&= isWhole && part.isWhole;
  }
  return { tables: results, isComplete };
}

interface RoundPart {
  readonly lacking: readonly RoundTable[];
  readonly commits: RoundCommits;
  /** False if rows of these tables are left out. */
  readonly isWhole: boolean;
}

/** If not everything fits, fresh rows do not wait for late ones, which may be a day old. */
async function nextPart(
  tables: SettleTables,
  lacking: readonly RoundTable[],
  range: Pick<LakeState, "firstKept"> & { readonly upTo: number },
  limits: RoundLimits | undefined,
): Promise<RoundPart> {
  const commits = await roundCommits(tables, lacking, range, limits);
  const fresh = lacking.map(withoutLate).filter(({ after }) => after.size > 0);
  if (commits.isComplete || fresh.length === 0) return { lacking, commits, isWhole: commits.isComplete };
  const ofFresh = await roundCommits(tables, fresh, range, limits);
  const hasRows = ofFresh.entries.length > 0;
  return hasRows
    ? { lacking: fresh, commits: ofFresh, isWhole: false }
    : { lacking, commits, isWhole: false };
}

function withoutLate(table: RoundTable): RoundTable {
  return { ...table, after: new Map([...table.after].filter(([lane]) => lane !== "late")) };
}

/** Resolves with false if an abort left tables out. */
async function settlePart(
  tables: SettleTables,
  { lacking, commits }: RoundPart,
  note: (name: string, result: SettledTable) => void,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (signal?.aborted) return false;
  const staged = await stage(tables, lacking, commits);
  try {
    for (const table of lacking) {
      if (signal?.aborted) return false;
      const round = new TableRound(tables, table, { commits, staged });
      try {
        note(table.name, await round.settle());
      } catch (error) {
        const outcome = await tables.failed(table.committed, error, round.first);
        note(table.name, { outcome, rows: new Map() });
      }
    }
  } finally {
    await staged.round.close();
  }
  return true;
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
