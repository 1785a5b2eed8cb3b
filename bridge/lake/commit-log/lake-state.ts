import {
  type CommittedTable,
  type LakeState,
  lakeFormat,
  type Move,
  type PastPartitions,
  quarantineKey,
} from "./commit-log.ts";
import { damaged, entryPath } from "./lake-format.ts";
import type { LakeSnapshot, StoredEntry } from "./lake-schemas.ts";
import { highestOf, noCommits } from "./lane-commits.ts";
import { leavePast } from "./past-partitions.ts";
import { keyOfOrdinal, lanesOf, settledOf } from "./stored-entry.ts";

export const emptyLakeState: LakeState = {
  number: 0,
  commitId: null,
  firstKept: 1,
  fence: 0,
  moves: new Map(),
  past: new Map(),
  tables: new Map(),
  ordinals: [quarantineKey],
};

export function stateOfSnapshot(snapshot: LakeSnapshot): LakeState {
  const tables = new Map(Object.entries(snapshot.tables).map(([key, table]) => [key, tableOf(key, table)]));
  const ordinals = [quarantineKey];
  for (const [key, { ordinal }] of tables) if (ordinal !== null) ordinals[ordinal] = key;
  return {
    number: snapshot.number,
    commitId: snapshot.commitId ?? null,
    firstKept: snapshot.firstKept,
    fence: snapshot.fence ?? 0,
    moves: new Map<string, Move>(Object.entries(snapshot.moves)),
    past: new Map<string, PastPartitions>(Object.entries(snapshot.past ?? {})),
    tables,
    ordinals,
  };
}

/** Snapshots up to format 4 know one lane, and neither ordinals nor bounds. */
function tableOf(key: string, table: LakeSnapshot["tables"][string]): CommittedTable {
  if (!("lastCommit" in table)) return table;
  const { lastCommit, ...named } = table;
  return { ...unsettled(key, lastCommit), ...named };
}

/** A table that has only this commit. */
function unsettled(key: string, commit: number): Pick<CommittedTable, "ordinal" | "last" | "settled"> {
  const last = { ...noCommits, direct: commit };
  return { ordinal: key === quarantineKey ? 0 : null, last, settled: noCommits };
}

export function snapshotOfState({ moves, past, tables, ordinals: _, ...state }: LakeState): LakeSnapshot {
  return {
    format: lakeFormat,
    ...state,
    moves: Object.fromEntries(moves),
    past: Object.fromEntries(past),
    tables: Object.fromEntries(tables),
  };
}

/**
 * The state after `entry`, which must be the next entry. Throws LAKE_DAMAGED if the entry uses ordinals in
 * another way than those before.
 */
export function applyEntry(state: LakeState, entry: StoredEntry): LakeState {
  const moves = new Map(state.moves);
  for (const [key, move] of Object.entries(entry.moves)) moves.set(key, move);
  const past = leavePast(moves, state.past);
  const { number, commitId, upkeep } = entry;
  return {
    number,
    commitId,
    firstKept: Math.max(state.firstKept, upkeep?.firstKept ?? 1),
    fence: upkeep?.fence ? number : state.fence,
    moves,
    past,
    ...tablesAfter(state, entry),
  };
}

function tablesAfter(state: LakeState, entry: StoredEntry): Pick<LakeState, "tables" | "ordinals"> {
  const { number } = entry;
  const tables = new Map(state.tables);
  const ordinals = namedOrdinals(state, entry);
  for (const [ordinal, { key, name, version }] of Object.entries(entry.names ?? {}))
    tables.set(key, { ...unsettled(key, 0), ...tables.get(key), ordinal: Number(ordinal), name, version });
  for (const [ordinal, brought] of lanesOf(entry)) {
    const key = keyOfOrdinal(entry, ordinals, ordinal);
    const { last, ...table } = tables.get(key) ?? { ...unsettled(key, 0), name: key, version: 0 };
    const numbers = Object.fromEntries(brought.map((lane) => [lane, number]));
    tables.set(key, { ...table, last: { ...last, ...numbers } });
  }
  for (const [key, { name, version }] of Object.entries(entry.tables ?? {})) {
    const before = tables.get(key);
    const highest = Math.max(version, before?.version ?? 0);
    const last = { ...(before?.last ?? noCommits), direct: number };
    tables.set(key, { ...unsettled(key, 0), ...before, name, version: highest, last });
  }
  for (const [ordinal, bound] of settledOf(entry)) {
    const key = keyOfOrdinal(entry, ordinals, ordinal);
    const table = tables.get(key);
    if (table) tables.set(key, { ...table, settled: highestOf(table.settled, bound) });
  }
  return { tables, ordinals };
}

function namedOrdinals({ ordinals: before }: LakeState, { number, names }: StoredEntry): readonly string[] {
  if (!names) return before;
  const ordinals = [...before];
  for (const [ordinal, { key }] of Object.entries(names)) {
    const known = ordinals[Number(ordinal)] ?? key;
    if (known !== key) throw damaged(entryPath(number), `its table ${ordinal} is ${key}, and was ${known}`);
    ordinals[Number(ordinal)] = key;
  }
  return ordinals;
}
