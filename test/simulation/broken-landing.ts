import type { CommitEntry, LakeState } from "../../bridge/lake/commit-log/commit-log.ts";
import { noCommits } from "../../bridge/lake/commit-log/lane-commits.ts";
import { cutLiveRows } from "../../bridge/lake/landing/live-rows.ts";
import type { VacuumOptions } from "../../bridge/lake/upkeep/vacuum.ts";
import { readJsonSeedRows } from "../support/json-lake.ts";
import { withLog } from "./broken-lakes.ts";
import { pruningBelowParked, seedingFromTables, seedsOf } from "./broken-tables.ts";
import type { BrokenVariant } from "./broken-variants.ts";
import type { CutLake } from "./queries.ts";
import type { BreakPorts } from "./run-simulation.ts";

/** Reads the log's end before the tables. */
const endingEarly: CutLake = async (commitLog, options) => {
  const lake = await commitLog.load();
  return cutLiveRows({ load: async () => lake, entry: (number) => commitLog.entry(number) }, options);
};

/** Takes what the log says that tables show from a log that is newer than the tables. */
const boundingLate: CutLake = async (commitLog, options) => {
  const shown = await options.show(await commitLog.load());
  return cutLiveRows(commitLog, { ...options, show: async () => shown });
};

/** Window ids come from landing files alone. */
const seedingWithoutDirect: BreakPorts = (ports, { store }) => {
  const { commitLog } = ports;
  const withoutFiles = (entry: CommitEntry | null) => entry && { ...entry, tables: {} };
  const log = {
    lakeId: commitLog.lakeId,
    load: () => commitLog.load(),
    reload: () => commitLog.reload(),
    append: () => Promise.reject(new Error("a seed source does not append")),
    entry: async (number: number) => withoutFiles(await commitLog.entry(number)),
  };
  return { ...ports, seeds: seedsOf(store, log, readJsonSeedRows) };
};

/** Believes that no table ever settles landed rows. */
function withoutTableFence(options: VacuumOptions): VacuumOptions {
  const unlanded = (lake: LakeState): LakeState => {
    const tables = [...lake.tables].map(([key, table]) => {
      const last = { ...noCommits, direct: table.last.direct };
      return [key, { ...table, last }] as const;
    });
    return { ...lake, tables: new Map(tables) };
  };
  return withLog(options, { load: async () => unlanded(await options.commitLog.load()) });
}

/** Queries often sleep while they read a table. */
const asked = { curiosity: 0.01, longPauses: { rate: 0.03, at: /^get \w+\/_delta_log\// } };
/** What tables show is recorded as often as it can be. */
const bounded = { entriesPerSnapshot: 2, commitRetentionMs: 0 };
const pruned = { processesMax: 3, periods: { entriesPerSnapshot: 2, commitRetentionMs: 0 } };

/** Variants of those that read landed rows, or give up what holds them. */
export const brokenLanding: readonly BrokenVariant[] = [
  {
    name: "a query that reads the log's end before the tables",
    breaks: ["live-twice"],
    options: { landing: true, cutLake: endingEarly, ...asked },
  },
  {
    name: "a query that takes bounds from a log that is newer than the tables",
    breaks: ["live-nowhere"],
    options: { landing: true, cutLake: boundingLate, ...asked, periods: bounded },
  },
  {
    name: "pruning below landed rows that no table shows",
    breaks: ["torn"],
    options: { landing: true, breakPorts: pruningBelowParked, ...pruned },
  },
  {
    name: "windows seeded from tables alone, although rows have landed",
    breaks: ["doubled"],
    options: { landing: true, breakPorts: seedingFromTables, disturbance: 0.05 },
  },
  {
    name: "windows seeded from landing files alone",
    breaks: ["doubled"],
    options: { landing: true, breakPorts: seedingWithoutDirect, disturbance: 0.05 },
  },
  {
    name: "vacuum without a fence in the tables' own logs",
    breaks: ["missing"],
    options: {
      landing: true,
      breakVacuum: withoutTableFence,
      commitsPerVacuum: 0,
      longPauses: { rate: 0.3, at: /^putIfAbsent \w+\/_delta_log\/\d{20}\.json$/ },
      periods: { vacuumAgeMs: 0 },
    },
  },
];
