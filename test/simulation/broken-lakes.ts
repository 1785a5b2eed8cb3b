import type { CommitLog } from "../../bridge/lake/commit-log/commit-log.ts";
import { LakeCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { encodeJson, entryPath, snapshotPath } from "../../bridge/lake/commit-log/lake-format.ts";
import { snapshotOfState } from "../../bridge/lake/commit-log/lake-state.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import type { VacuumOptions } from "../../bridge/lake/upkeep/vacuum.ts";
import { publisherOf } from "../support/publisher-of.ts";
import { withStore } from "../support/with-store.ts";
import type { BrokenVariant } from "./broken-variants.ts";
import type { BreakPorts } from "./run-simulation.ts";
import { withCommitLog } from "./with-commit-log.ts";

const dayMs = 86_400_000;

export function withLog(options: VacuumOptions, changes: Partial<CommitLog>): VacuumOptions {
  const { commitLog } = options;
  return {
    ...options,
    commitLog: {
      lakeId: commitLog.lakeId,
      load: () => commitLog.load(),
      reload: () => commitLog.reload(),
      append: (entry) => commitLog.append(entry),
      entry: (number) => commitLog.entry(number),
      ...changes,
    },
  };
}

const withoutFence = (options: VacuumOptions): VacuumOptions =>
  withLog(options, { append: async () => ({ outcome: "committed" }) });

/** Vacuum believes the logs of its start until it deletes the files. */
function judgingByOldLogs(options: VacuumOptions): VacuumOptions {
  const { store, commitLog } = options;
  const read = new Map<string, Uint8Array | null>();
  let known: number | undefined;
  return {
    ...withLog(options, {
      load: async () => {
        const state = await commitLog.load();
        known ??= state.number;
        return state;
      },
      entry: async (number) => (number > (known ?? 0) ? null : await commitLog.entry(number)),
    }),
    store: withStore(store, {
      get: async (path) => {
        if (!path.includes("/_delta_log/")) return store.get(path);
        const bytes = read.get(path);
        if (bytes !== undefined) return bytes;
        const found = await store.get(path);
        read.set(path, found);
        return found;
      },
    }),
  };
}

/** Ages are counted by another clock than the one that stamps objects. */
const countingByAnotherClock = (options: VacuumOptions): VacuumOptions => ({
  ...options,
  store: withStore(options.store, { now: async () => (await options.store.now()) + dayMs }),
});

const ignoringFences: BreakPorts = (ports) =>
  withCommitLog(ports, {
    append: (entry) => ports.commitLog.append({ ...entry, filesSince: Number.MAX_SAFE_INTEGER }),
  });

function pruningWith(prune: (log: LakeCommitLog) => Promise<unknown>): BreakPorts {
  return (ports) => {
    const { commitLog, publisher } = ports;
    if (!(commitLog instanceof LakeCommitLog)) throw new TypeError("the log is the product's own");
    return {
      ...ports,
      publisher: publisherOf(async () => {
        await prune(commitLog);
        return publisher.publishPending();
      }),
    };
  };
}

/** Deletes entries before every table shows them. */
const pruningBelowUnpublished: BreakPorts = (ports, world) =>
  pruningWith(async () => {
    const log = new LakeCommitLog(world.store, "lake", { create: true, entriesPerSnapshot: 2 });
    const { number } = await log.load();
    await log.maintain({ publishedUpTo: number, settled: new Map(), retainMs: -1 });
  })(ports, world);

/**
 * The log does not record what was pruned: each process deletes by its own view, without checking that its
 * snapshot counts.
 */
const pruningByOwnView: BreakPorts = (ports, world) => {
  const { store } = world;
  const kept = 2 + Math.floor(ports.random() * 3);
  return pruningWith(async (log) => {
    const state = await log.load();
    const firstKept = Math.max(1, state.number - kept);
    await store.putIfAbsent(snapshotPath(state.number), encodeJson(snapshotOfState({ ...state, firstKept })));
    for (let number = 1; number < firstKept; number++) await store.delete(entryPath(number));
  })(ports, world);
};

/** Assumes that an entry that was seen once still exists. */
function notLookingBeneath(store: ObjectStore): ObjectStore {
  const seen = new Map<string, Uint8Array>();
  const isEntry = (path: string) => /^_commits\/\d{20}\.json$/.test(path);
  return withStore(store, {
    get: async (path) => {
      const bytes = await store.get(path);
      if (bytes !== null && isEntry(path)) seen.set(path, bytes);
      return bytes ?? seen.get(path) ?? null;
    },
    putIfAbsent: async (path, bytes) => {
      const outcome = await store.putIfAbsent(path, bytes);
      if (outcome === "created" && isEntry(path)) seen.set(path, bytes);
      return outcome;
    },
  });
}

/** Logs are pruned often, and processes often sleep meanwhile before they create an entry. */
const pruned = {
  processesMax: 3,
  commitsPerVacuum: 0,
  storeClockSteps: 0.05,
  longPauses: { rate: 0.15, at: /^putIfAbsent _commits\/\d{20}\.json$/ },
  periods: { entriesPerSnapshot: 2, commitRetentionMs: 0, checkpointEntries: 2, logRetentionMs: 0 },
};
/** The same for files that no commit took. No other process takes the sleeper's partitions meanwhile. */
const vacuumed = {
  processesMax: 1,
  commitsPerVacuum: 0,
  longPauses: { rate: 0.3, at: /^putIfAbsent _commits\/\d{20}\.json$/ },
  periods: { vacuumAgeMs: 0 },
};
/** Files must have some age. */
const aged = { commitsPerVacuum: 0, storeClockSteps: 0, periods: { vacuumAgeMs: 20_000 } };

/** Variants that delete files and entries that are still needed. */
export const brokenLakes: readonly BrokenVariant[] = [
  {
    name: "vacuum without a fence",
    breaks: ["missing"],
    options: { breakVacuum: withoutFence, ...vacuumed },
  },
  {
    name: "vacuum judging by logs that were read before it listed",
    breaks: ["missing"],
    options: { breakVacuum: judgingByOldLogs, ...vacuumed },
  },
  {
    name: "vacuum counting ages by another clock than the store's",
    breaks: ["hasty"],
    options: { breakVacuum: countingByAnotherClock, ...aged },
  },
  {
    name: "consumers that ignore fences",
    breaks: ["missing"],
    options: { breakPorts: ignoringFences, ...vacuumed },
  },
  {
    name: "pruning below unpublished tables",
    breaks: ["torn"],
    options: { breakPorts: pruningBelowUnpublished, ...pruned },
  },
  {
    name: "pruning by one's own view, whatever became of one's snapshot",
    breaks: ["torn"],
    options: { breakPorts: pruningByOwnView, ...pruned },
  },
  {
    name: "writers that do not look whether the log was pruned beneath them",
    breaks: ["lost", "stuck", "crashed", "half-visible"],
    options: { breakStore: notLookingBeneath, ...pruned },
  },
];
