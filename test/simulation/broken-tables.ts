import { LakeCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import type { ReadSeedRows } from "../../bridge/lake/parquet/seed-reader.ts";
import { createSeedSource } from "../../bridge/lake/seeding/lake-seed-source.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { jsonCheckpoints, readJsonSeedRows } from "../support/json-lake.ts";
import type { BrokenVariant } from "./broken-variants.ts";
import type { BreakPorts } from "./run-simulation.ts";
import type { World } from "./world.ts";

/** Prunes the commit log although a table is parked. */
export const pruningBelowParked: BreakPorts = (ports) => {
  const { commitLog } = ports;
  if (!(commitLog instanceof LakeCommitLog)) throw new TypeError("the log is the product's own");
  const maintain = commitLog.maintain.bind(commitLog);
  commitLog.maintain = async (maintenance) => {
    const { number } = await commitLog.load();
    return maintain({ ...maintenance, publishedUpTo: number });
  };
  return ports;
};

/** Does not see the ids of commits that their table does not show. */
export const seedingFromTables: BreakPorts = (ports, { store }) => {
  const { commitLog } = ports;
  const forgetful = {
    lakeId: commitLog.lakeId,
    load: () => commitLog.load(),
    reload: () => commitLog.reload(),
    append: () => Promise.reject(new Error("a seed source does not append")),
    entry: async () => null,
  };
  return { ...ports, seeds: seedsOf(store, forgetful, readJsonSeedRows) };
};

/** Reads the files of the commit log if they exist, and does not follow another writer's compaction. */
const seedingFromCommits: BreakPorts = (ports, world) => {
  const skipping: ReadSeedRows = (store, groups, filter) =>
    readJsonSeedRows(store, groups, filter, () => true);
  return { ...ports, seeds: seedsOf(pretendingAll(world), ports.commitLog, skipping) };
};

export function seedsOf(
  store: ObjectStore,
  commitLog: Parameters<typeof createSeedSource>[0]["commitLog"],
  readRows: ReadSeedRows,
) {
  return createSeedSource({ store, commitLog, checkpoints: jsonCheckpoints(store), readRows });
}

/** A store that lists replaced files for ever. */
function pretendingAll({ store, lake }: World): ObjectStore {
  return new Proxy<ObjectStore>(store, {
    get(target, name) {
      if (name === "list")
        return async function* (prefix: string, options?: { after?: string }) {
          yield* target.list(prefix, options);
          for (const path of lake.replaced.keys())
            if (path.startsWith(prefix)) yield { path, bytes: 0, modifiedAtMs: 0 };
        };
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const interfered = { interference: 0.05, commitsPerVacuum: 1000, storeClockSteps: 0 };

/** Variants with another writer of the tables. */
export const brokenTables: readonly BrokenVariant[] = [
  {
    name: "pruning below tables that another writer made unfit",
    breaks: ["torn"],
    options: {
      breakPorts: pruningBelowParked,
      ...interfered,
      processesMax: 3,
      periods: { entriesPerSnapshot: 2, commitRetentionMs: 0 },
    },
  },
  {
    name: "windows seeded from what the tables show alone",
    breaks: ["doubled"],
    options: { breakPorts: seedingFromTables, ...interfered, disturbance: 0.05 },
  },
  {
    name: "windows seeded from the files of commits alone, though another writer has replaced them",
    breaks: ["doubled"],
    options: { breakPorts: seedingFromCommits, ...interfered, disturbance: 0.05 },
  },
];
