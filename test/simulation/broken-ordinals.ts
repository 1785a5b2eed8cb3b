import { LakeCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { encodeJson } from "../../bridge/lake/commit-log/lake-format.ts";
import type { LakeSnapshot, StoredEntry } from "../../bridge/lake/commit-log/lake-schemas.ts";
import { noCommits } from "../../bridge/lake/commit-log/lane-commits.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { withStore } from "../support/with-store.ts";
import type { BrokenVariant } from "./broken-variants.ts";
import type { BreakPorts } from "./run-simulation.ts";

const isEntry = (path: string) => /^_commits\/\d{20}\.json$/.test(path);

function parsed<Content>(bytes: Uint8Array): Content {
  return JSON.parse(Buffer.from(bytes).toString()) as Content;
}

/** Files keep the ordinals that they got when the entry was tried first. */
function keepingFirstOrdinals(store: ObjectStore): ObjectStore {
  const tried = new Map<string, Pick<StoredEntry, "direct" | "names">>();
  return withStore(store, {
    putIfAbsent: (path, bytes) => {
      if (!isEntry(path)) return store.putIfAbsent(path, bytes);
      const { direct, names, ...entry } = parsed<StoredEntry>(bytes);
      const first = tried.get(entry.commitId) ?? { ...(direct && { direct }), ...(names && { names }) };
      tried.set(entry.commitId, first);
      return store.putIfAbsent(path, encodeJson({ ...entry, ...first }));
    },
  });
}

/** A process that begins with a snapshot numbers the tables that only older entries named. */
function numberingBySnapshot(store: ObjectStore): ObjectStore {
  return withStore(store, {
    get: async (path) => {
      const bytes = await store.get(path);
      if (bytes === null || !path.startsWith("_commits/snapshots/")) return bytes;
      const { tables, ...snapshot } = parsed<LakeSnapshot>(bytes);
      let next = Math.max(
        0,
        ...Object.values(tables).map((table) => ("ordinal" in table && table.ordinal) || 0),
      );
      const numbered = Object.entries(tables).map(([key, table]) => {
        const isUnknown = "ordinal" in table && table.ordinal === null;
        return [key, isUnknown ? { ...table, ordinal: ++next } : table] as const;
      });
      return encodeJson({ ...snapshot, tables: Object.fromEntries(numbered) });
    },
  });
}

/** Bounds say that every table shows every commit. */
const boundingByTheLog: BreakPorts = (ports) => {
  const { commitLog } = ports;
  if (!(commitLog instanceof LakeCommitLog)) throw new TypeError("the log is the product's own");
  const maintain = commitLog.maintain.bind(commitLog);
  commitLog.maintain = async (maintenance) => {
    const { number, tables } = await commitLog.load();
    const settled = new Map([...tables.keys()].map((key) => [key, { ...noCommits, direct: number }]));
    return maintain({ ...maintenance, settled });
  };
  return ports;
};

/** Snapshots are written often, and entries given up. */
const pruned = { processesMax: 3, periods: { entriesPerSnapshot: 2, commitRetentionMs: 0 } };

/** Variants of ordinals and bounds. */
export const brokenOrdinals: readonly BrokenVariant[] = [
  {
    name: "ordinals of the state before a lost race",
    breaks: ["misfiled"],
    options: { breakStore: keepingFirstOrdinals, processesMax: 3 },
  },
  {
    name: "ordinals of tables that only older entries named, by the order of a snapshot",
    breaks: ["misfiled"],
    options: { breakStore: numberingBySnapshot, ...pruned },
  },
  {
    name: "bounds that are higher than what the table shows",
    breaks: ["unsettled"],
    options: { breakPorts: boundingByTheLog, ...pruned },
  },
];
