import {
  type CommitEntry,
  type CommittedTable,
  LAKE_FORMAT,
  type LakeState,
  type Move,
  type PastPartitions,
} from "./commit-log.ts";
import type { LakeSnapshot } from "./lake-format.ts";
import { leavePast } from "./past-partitions.ts";

export const emptyLakeState: LakeState = {
  number: 0,
  commitId: null,
  firstKept: 1,
  fence: 0,
  moves: new Map(),
  past: new Map(),
  tables: new Map(),
};

export function stateOfSnapshot(snapshot: LakeSnapshot): LakeState {
  return {
    number: snapshot.number,
    commitId: snapshot.commitId ?? null,
    firstKept: snapshot.firstKept,
    fence: snapshot.fence ?? 0,
    moves: new Map<string, Move>(Object.entries(snapshot.moves)),
    past: new Map<string, PastPartitions>(Object.entries(snapshot.past ?? {})),
    tables: new Map<string, CommittedTable>(Object.entries(snapshot.tables)),
  };
}

export function snapshotOfState({ moves, past, tables, ...state }: LakeState): LakeSnapshot {
  return {
    format: LAKE_FORMAT,
    ...state,
    moves: Object.fromEntries(moves),
    past: Object.fromEntries(past),
    tables: Object.fromEntries(tables),
  };
}

/**
 * The entry as it is written after `state`: with links to the entries that moved its partitions and touched its tables before, so that
 * who looks back need not read all, and with what was recorded of its partitions.
 */
export function linkEntry(state: LakeState, entry: CommitEntry): CommitEntry {
  const moves = Object.entries(entry.moves).map(([key, move]) => {
    const before = state.moves.get(key);
    const parents = before?.parents ?? move.parents;
    const links = { commit: entry.number, previousCommit: before?.commit ?? 0 };
    return [key, { ...move, ...(parents && { parents }), ...links }] as const;
  });
  const tables = Object.entries(entry.tables).map(([key, table]) => {
    const previousCommit = state.tables.get(key)?.lastCommit ?? 0;
    return [key, { ...table, previousCommit }] as const;
  });
  return {
    ...entry,
    format: LAKE_FORMAT,
    moves: Object.fromEntries(moves),
    tables: Object.fromEntries(tables),
  };
}

/** The state after `entry`, which must be the next one. */
export function applyEntry(state: LakeState, entry: CommitEntry): LakeState {
  const moves = new Map(state.moves);
  for (const [key, move] of Object.entries(entry.moves)) moves.set(key, move);
  const past = leavePast(moves, state.past);
  const tables = new Map(state.tables);
  for (const [key, { name, version }] of Object.entries(entry.tables)) {
    const highest = Math.max(version, tables.get(key)?.version ?? 0);
    tables.set(key, { name, version: highest, lastCommit: entry.number });
  }
  const { number, commitId, upkeep } = entry;
  return {
    number,
    commitId,
    firstKept: Math.max(state.firstKept, upkeep?.firstKept ?? 1),
    fence: upkeep?.fence ? number : state.fence,
    moves,
    past,
    tables,
  };
}
