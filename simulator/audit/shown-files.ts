import { type CommitEntry, type CommittedFile, streamOfKey } from "./commit-entry.ts";
import type { CommitLogState } from "./commit-log.ts";
import type { DataFile } from "./delta-actions.ts";
import type { DeltaTable } from "./delta-table.ts";
import { laneOf } from "./lane-transactions.ts";
import { numberOfLane } from "./lanes.ts";
import { highest } from "./settled-bounds.ts";
import { shownBy } from "./settling-faults.ts";

/** How long checkpoints keep the removal of a file. */
const removalsKeptMs = 7 * 86_400_000;
/**
 * An entry of a table shows its commit and earlier commits that no process had published: one or two, because
 * each commit waits for them.
 */
const shownTogetherMax = 10;
/** The gateway's pattern for file names; most other writers use another one. */
const ownFile = /\/event_date=[^/]+\/event_hour=[^/]+\/[0-9a-f-]{36}\.parquet$/;

/** The tables as they were read, and what their files said. */
export interface ShownTables {
  readonly tables: ReadonlyMap<string, DeltaTable>;
  /** The stream of all rows of a file; null = the file has several or none, or was not read. */
  streamOf(path: string): string | null;
}

/**
 * Contradictions between the commit log and the tables. Each file that an entry names must be in its table,
 * or be removed from it later. An entry must name each file that the gateway added. Files of other writers
 * are not checked.
 */
export function shownFaults(log: CommitLogState, shown: ShownTables, nowMs: number): string[] {
  const { lakeId, entries } = log;
  const { tables } = shown;
  if (lakeId === null) return [];
  const named = new Map<string, CommitEntry>();
  const faults: string[] = [];
  for (const entry of entries)
    for (const { name, files } of entry.tables.values())
      for (const file of files) {
        const first = named.get(file.path);
        if (first) faults.push(`${file.path} is named by the commits ${first.number} and ${entry.number}`);
        named.set(file.path, entry);
        const fault = fileFault(entry, file, { log, name, table: tables.get(name), nowMs });
        if (fault) faults.push(`commit ${entry.number}, ${file.path}: ${fault}`);
      }
  const streams = streamsOf(log);
  const isOwn = ({ path }: DataFile) => ownFile.test(path) && streams.has(shown.streamOf(path) ?? "");
  for (const table of tables.values())
    for (const file of table.files.values())
      if (!named.has(file.path) && !isSettled(file, table) && isUnnamed(file, log, isOwn))
        faults.push(`${file.path} is in its table, and no commit names it`);
  return faults;
}

function fileFault(
  entry: CommitEntry,
  file: CommittedFile,
  {
    log,
    name,
    table,
    nowMs,
  }: { log: CommitLogState; name: string; table: DeltaTable | undefined; nowMs: number },
): string | null {
  const shown = table?.files.get(file.path);
  if (!shown) {
    if (log.hasLanding && entry.number > directUpTo(log, name, table)) return null;
    const isForgotten = table?.isFromCheckpoint && entry.committedAtMs < nowMs - removalsKeptMs;
    return isForgotten || table?.removed.has(file.path) ? null : "its table does not show it";
  }
  const { partitionValues, size, addedBy } = shown;
  const upTo = addedBy?.get("direct") ?? 0;
  if (upTo > 0 && upTo < entry.number) return `its table shows it with commit ${upTo}`;
  if (size !== file.bytes) return `the commit says ${file.bytes} bytes, the table ${size}`;
  const isSame =
    partitionValues["event_date"] === file.eventDate &&
    partitionValues["event_hour"] === String(file.eventHour);
  return isSame ? null : `the commit files it under ${file.eventDate}, ${file.eventHour}, the table does not`;
}

/** In a lake with landing files, a table's files wait until an entry of the table's log settles them. */
function directUpTo({ lakeId, bounds }: CommitLogState, name: string, table: DeltaTable | undefined): number {
  return numberOfLane(highest(shownBy(table, String(lakeId)), bounds.get(name)), "direct");
}

/**
 * True if landed rows may be in the file, which no commit names then. A checkpoint does not say who added a
 * file.
 */
function isSettled({ addedBy }: DataFile, { transactions }: DeltaTable): boolean {
  const added = addedBy ? [...addedBy.keys()] : [...transactions.keys()].map(laneOf);
  return added.some((lane) => lane !== undefined && lane !== "direct");
}

/** True if a commit that was read must name the file. */
function isUnnamed(
  file: DataFile,
  { entries, isWhole }: CommitLogState,
  isOwn: (file: DataFile) => boolean,
): boolean {
  const addedBy = file.addedBy && (file.addedBy.get("direct") ?? 0);
  const [first, last] = [entries[0]?.number ?? 0, entries.at(-1)?.number ?? 0];
  // A checkpoint does not say who added a file.
  if (addedBy === null) return isWhole && isOwn(file);
  // 0 = another writer.
  return addedBy !== 0 && addedBy <= last && (isWhole || addedBy >= first + shownTogetherMax);
}

function streamsOf({ entries }: CommitLogState): ReadonlySet<string> {
  return new Set(entries.flatMap(({ moves }) => [...moves.keys()].map(streamOfKey)));
}
