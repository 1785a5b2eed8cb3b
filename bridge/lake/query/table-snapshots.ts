import { BridgeError } from "../../errors.ts";
import {
  baseColumns,
  mergeColumns,
  partitionColumns,
  quarantineColumns,
} from "../../topics/table-columns.ts";
import { quarantineKey } from "../commit-log/commit-log.ts";
import { openCommitLog } from "../commit-log/lake-commit-log.ts";
import { LakeSnapshots } from "../commit-log/lake-snapshots.ts";
import { stateOfSnapshot } from "../commit-log/lake-state.ts";
import { withoutGoneFiles } from "../delta/gone-files.ts";
import {
  cutLiveRows,
  type LiveRowsOptions,
  type UnsettledFile,
  type UnsettledLanding,
} from "../landing/live-rows.ts";
import type { LandedVersion } from "../landing/row-files.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { type LakeTopicCatalog, openTopicCatalog } from "../topic-versions.ts";
import { readShownTable, type ShownLog, type ShownTable, type SnapshotFile } from "./shown-table.ts";

/** The rows of a table at one moment. */
export interface TableSnapshot extends ShownLog {
  readonly name: string;
  /** Landing files whose rows the table does not show yet. */
  readonly landed: readonly UnsettledLanding[];
  /** All versions of the topics of this name; null for `_quarantine`. */
  readonly versions: readonly LandedVersion[] | null;
  /** Why the table's rows cannot be read; null if they can. */
  readonly fault: BridgeError | null;
}

/**
 * Every table of a lake: tables with rows, tables of topics without rows, and `_quarantine`. Each committed
 * row is there once, whether its table shows it yet or not. A table that another writer damaged, or changed in
 * a way that we cannot read, has a fault; others do not suffer. Rejects with LAKE_MISSING, LAKE_VERSION,
 * LAKE_DAMAGED, or STORE_UNAVAILABLE.
 *
 * Tables that are not wanted have only the rows that they show: a table that was parked for weeks must not slow
 * queries of other tables.
 */
export async function readTableSnapshots(
  store: ObjectStore,
  wanted: Pick<LiveRowsOptions<ShownTable>, "isWanted" | "entriesMax"> = {},
): Promise<TableSnapshot[]> {
  const commitLog = await openCommitLog(store, { create: false });
  const { lakeId } = commitLog;
  const cut = await cutLiveRows(commitLog, {
    show: async ({ tables }) => {
      const shown = new Map<string, ShownTable>();
      for (const name of new Set([quarantineKey, ...[...tables.values()].map((table) => table.name)]))
        shown.set(name, await readShownTable(store, name, lakeId));
      return shown;
    },
    summed: async () => {
      const snapshot = await new LakeSnapshots(store).newest();
      return snapshot ? stateOfSnapshot(snapshot) : null;
    },
    ...wanted,
  });
  // After the cut: a topic version is in the lake before the first row of it.
  const catalog = await openTopicCatalog(store);
  const versions = versionsByName(catalog);
  const snapshots: TableSnapshot[] = [];
  for (const name of [...new Set([...cut.shown.keys(), ...versions.keys()])].sort()) {
    const known = cut.shown.get(name) ?? (await readShownTable(store, name, lakeId));
    const commits = cut.behind.get(name);
    const shown = commits === undefined ? known : { ...known, fault: known.fault ?? behind(name, commits) };
    const { files = [], landed = [] } = cut.unsettled.get(name) ?? {};
    const present = await withoutGoneFiles(store, name, files, { nowMs: Date.now(), isLate: false });
    const own = name === quarantineKey ? null : (versions.get(name) ?? []);
    snapshots.push(snapshotOf(name, shown, { files: present.files, landed, versions: own }));
  }
  return snapshots;
}

function behind(table: string, commits: number): BridgeError {
  return new BridgeError(
    "QUERY_REFUSED",
    `table ${table} lacks rows of the last ${commits} commits, too many to look up. Bring the table back as \`tidegate status\` says; until then, other engines read what it shows`,
    { retryable: false, details: { table, commits } },
  );
}

/** The highest versions come first. */
function versionsByName(catalog: LakeTopicCatalog): Map<string, LandedVersion[]> {
  const byName = new Map<string, LandedVersion[]>();
  const definitions = [...catalog.definitions()].sort((left, right) => right.version - left.version);
  for (const { name, topicId, version, columns } of definitions)
    byName.set(name, [...(byName.get(name) ?? []), { topicId, version, columns }]);
  return byName;
}

interface Unsettled extends Pick<TableSnapshot, "landed" | "versions"> {
  readonly files: readonly UnsettledFile[];
}

function snapshotOf(
  name: string,
  { log, fault }: ShownTable,
  { files, landed, versions }: Unsettled,
): TableSnapshot {
  const empty = emptyLog(name, versions ?? []);
  const base = log ?? empty;
  const lacks = files.length > 0 || landed.length > 0;
  const paths = new Set(base.files.map(({ path }) => path));
  // A table that lost its transactions shows files of commits that it seems to lack.
  const isNotShown = ({ path }: SnapshotFile) => !paths.has(path);
  const known = new Set(base.columns.map((column) => column.name.toLowerCase()));
  const added = lacks ? empty.columns.filter((column) => !known.has(column.name.toLowerCase())) : [];
  return {
    name,
    ...base,
    columns: [...base.columns, ...added],
    files: [...base.files, ...files.map((file) => snapshotFile(name, file)).filter(isNotShown)],
    landed,
    versions,
    fault,
  };
}

/** A table as long as its log does not exist. */
function emptyLog(name: string, versions: readonly LandedVersion[]): ShownLog {
  const typed = mergeColumns(versions.map(({ columns }) => columns).toReversed());
  const own = name === quarantineKey ? quarantineColumns : typed;
  return {
    version: -1,
    columns: [...baseColumns, ...own, ...partitionColumns],
    partitionColumns: partitionColumns.map((column) => column.name),
    files: [],
  };
}

function snapshotFile(name: string, { path, bytes, eventDate, eventHour }: UnsettledFile): SnapshotFile {
  const partitionValues = { event_date: eventDate, event_hour: String(eventHour) };
  return { path: `${name}/${path}`, bytes, partitionValues };
}
