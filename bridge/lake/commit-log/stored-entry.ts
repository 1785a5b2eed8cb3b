import assert from "node:assert/strict";
import {
  type CommitEntry,
  type LakeState,
  lakeFormat,
  type Move,
  quarantineKey,
  type TableAdds,
  type Upkeep,
} from "./commit-log.ts";
import { damaged, entryPath } from "./lake-format.ts";
import type { LandedRows, NamedTable, StoredBound, StoredEntry, StoredLanding } from "./lake-schemas.ts";
import type { CommittedLanding, LandedTable } from "./landed-file.ts";
import { highestOf, type Lane, type LaneCommits, landedLanes, lanes } from "./lane-commits.ts";

/**
 * The entry as it is written after `state`. Moves get the recorded parents of their partitions, and links to
 * the previous entries of their partitions, so that readers look back without reading all entries. Tables get
 * ordinals: that of the state, or the next free one. So an entry that lost the race for its number must be
 * made again from the newer state, and its files stay valid.
 */
export function storedEntry(state: LakeState, entry: CommitEntry): StoredEntry {
  const { number, commitId, committedAtMs, filesSince, tables, landing, upkeep } = entry;
  const ordinals = new Ordinals(state);
  const direct = Object.entries(tables).map(([key, table]) => [ordinals.of(key, table), table.adds] as const);
  const storedLanding = landing && storedLandingOf(landing, ordinals);
  const storedUpkeep = upkeep && upkeepAfter(state, upkeep, ordinals);
  const names = Object.fromEntries(ordinals.names);
  return {
    format: lakeFormat,
    number,
    commitId,
    committedAtMs,
    moves: Object.fromEntries(Object.entries(entry.moves).map(linkedAfter(state, number))),
    ...(direct.length > 0 && { direct: Object.fromEntries(direct) }),
    ...(storedLanding && { landing: storedLanding }),
    ...(ordinals.names.size > 0 && { names }),
    ...(filesSince !== undefined && { filesSince }),
    ...(storedUpkeep && { upkeep: storedUpkeep }),
  };
}

/**
 * What callers read. `state` is of this entry or a later one. Throws LAKE_DAMAGED if the entry has an ordinal
 * that no entry named.
 */
export function entryOf(stored: StoredEntry, state: Pick<LakeState, "ordinals" | "tables">): CommitEntry {
  const { direct = {}, landing, names: _, tables, upkeep, ...entry } = stored;
  const { settled, ...others } = upkeep ?? {};
  const keyOf = (ordinal: string) => keyOfOrdinal(stored, state.ordinals, ordinal);
  const named = (ordinal: string) => {
    const key = keyOf(ordinal);
    const { name = key, version = 0 } = state.tables.get(key) ?? {};
    return { key, name, version };
  };
  const added = Object.entries(direct).map(([ordinal, adds]): [string, TableAdds] => {
    const { key, ...table } = named(ordinal);
    return [key, { ...table, adds }];
  });
  const bounds = settledOf(stored).map(([ordinal, bound]) => [keyOf(ordinal), bound] as const);
  const read: Upkeep = { ...others, ...(settled && { settled: Object.fromEntries(bounds) }) };
  return {
    ...entry,
    tables: tables ?? Object.fromEntries(added),
    ...(landing && { landing: landingOf(landing, named) }),
    ...(upkeep && { upkeep: read }),
  };
}

/** @param named The table of an ordinal. */
function landingOf(
  { rows, ...file }: StoredLanding,
  named: (ordinal: string) => { key: string; name: string; version: number },
): CommittedLanding {
  const tables: Record<string, LandedTable> = {};
  for (const lane of landedLanes)
    for (const [ordinal, count] of rows[lane] ?? []) {
      const { key, ...table } = named(String(ordinal));
      tables[key] = { ...table, rows: { ...tables[key]?.rows, [lane]: count } };
    }
  return { file, tables };
}

function storedLandingOf({ file, tables }: CommittedLanding, ordinals: Ordinals): StoredLanding {
  const numbered = Object.entries(tables).map(
    ([key, table]) => [ordinals.of(key, table), table.rows] as const,
  );
  const byLane = landedLanes.flatMap((lane) => {
    const rows = numbered.flatMap(([ordinal, { [lane]: count = 0 }]): LandedRows[] =>
      count > 0 ? [[ordinal, count]] : [],
    );
    return rows.length === 0 ? [] : [[lane, rows.sort(([left], [right]) => left - right)] as const];
  });
  return { ...file, rows: Object.fromEntries(byLane) };
}

/** By ordinal: the lanes in which the entry brings rows. */
export function lanesOf({ direct = {}, landing }: StoredEntry): Map<string, Lane[]> {
  const brought = new Map<string, Lane[]>(Object.keys(direct).map((ordinal) => [ordinal, ["direct"]]));
  for (const lane of landedLanes)
    for (const [ordinal] of landing?.rows[lane] ?? [])
      brought.set(String(ordinal), [...(brought.get(String(ordinal)) ?? []), lane]);
  return brought;
}

/** Throws LAKE_DAMAGED if no entry named the ordinal. */
export function keyOfOrdinal(
  { number }: StoredEntry,
  ordinals: LakeState["ordinals"],
  ordinal: string,
): string {
  const key = ordinals[Number(ordinal)];
  if (key === undefined) throw damaged(entryPath(number), `no entry names its table ${ordinal}`);
  return key;
}

/** By ordinal. */
export function settledOf({ upkeep }: StoredEntry): [string, LaneCommits][] {
  return Object.entries(upkeep?.settled ?? {}).map(([ordinal, [direct, even, odd, late]]) => [
    ordinal,
    { direct, even, odd, late },
  ]);
}

class Ordinals {
  /** By ordinal: those to write into the entry. */
  readonly names = new Map<number, NamedTable>();
  readonly #state: LakeState;
  /** By topic id: those that this entry assigns. */
  readonly #new = new Map<string, number>();
  #next: number;

  constructor(state: LakeState) {
    this.#state = state;
    this.#next = state.ordinals.length;
  }

  of(key: string, { name, version }: Pick<TableAdds, "name" | "version">): number {
    if (key === quarantineKey) return 0;
    const before = this.#state.tables.get(key);
    if (before) assert.equal(name, before.name, "the topic of an id keeps its name");
    const ordinal = before?.ordinal ?? this.#new.get(key) ?? this.#next++;
    if (before?.ordinal !== ordinal) this.#new.set(key, ordinal);
    const highest = Math.max(version, before?.version ?? 0, this.names.get(ordinal)?.version ?? 0);
    const isKnown = before?.ordinal === ordinal && before.version === highest;
    if (!isKnown) this.names.set(ordinal, { key, name, version: highest });
    return ordinal;
  }
}

function linkedAfter(state: LakeState, number: number): (move: [string, Move]) => [string, Move] {
  return ([key, move]) => {
    const before = state.moves.get(key);
    const parents = before?.parents ?? move.parents;
    const links = { commit: number, previousCommit: before?.commit ?? 0 };
    return [key, { ...move, ...(parents && { parents }), ...links }];
  };
}

/** Leaves out bounds that are not higher than the known ones, and those of tables that no entry named. */
function upkeepAfter(state: LakeState, upkeep: Upkeep, ordinals: Ordinals): StoredEntry["upkeep"] {
  const { settled = {}, ...others } = upkeep;
  const risen = Object.entries(settled).flatMap(([key, given]): [number, StoredBound][] => {
    const table = state.tables.get(key);
    if (!table || lanes.every((lane) => given[lane] <= table.settled[lane])) return [];
    const { direct, even, odd, late } = highestOf(table.settled, given);
    return [[ordinals.of(key, table), [direct, even, odd, late]]];
  });
  return { ...others, ...(risen.length > 0 && { settled: Object.fromEntries(risen) }) };
}
