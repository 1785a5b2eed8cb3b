import type { CommitEntry } from "../../bridge/lake/commit-log/commit-log.ts";
import type { StoredEntry } from "../../bridge/lake/commit-log/lake-schemas.ts";
import { landingFolder } from "../../bridge/lake/commit-log/landed-file.ts";
import {
  highestOf,
  type Lane,
  type LaneCommits,
  landedLanes,
  lanes,
  noCommits,
} from "../../bridge/lake/commit-log/lane-commits.ts";
import { endPosition, startPosition } from "../../bridge/streams/stream-log.ts";
import { committedFiles, committedTables } from "../support/committed-rows.ts";
import type { StoreChange } from "../support/memory-object-store.ts";
import { OrdinalRecord } from "../support/ordinal-record.ts";
import { LiveRecord, type VersionChange } from "./live-record.ts";
import { TableRecord } from "./table-record.ts";
import type { Violation } from "./violation.ts";

/** Age at which no window and no reader of an older version needs a replaced file. */
const replacedKeptMs = 7 * 86_400_000;

type Report = (rule: Violation["rule"], detail: string) => void;

interface SnapshotContent {
  readonly firstKept: number;
  readonly moves: Readonly<Record<string, { readonly to: string }>>;
  readonly past: Readonly<Record<string, { readonly ranges: readonly (readonly [number, number])[] }>>;
  readonly tables: Readonly<Record<string, SnapshotTable>>;
}

interface SnapshotTable {
  readonly ordinal: number | null;
  readonly last: LaneCommits;
  readonly settled: LaneCommits;
}

/**
 * The whole history of the lake, also of its pruned parts. Checks at each change that the lake is whole: a
 * process that opens it now can read the commit log and the tables, and finds all committed files. The first
 * object with an entry's number is the entry; objects that a late writer puts where the log was pruned do not
 * count.
 */
export class LakeRecord {
  /** All entries of the commit log, in order. */
  readonly commits: CommitEntry[] = [];
  /** By name of the table. */
  readonly tables = new Map<string, TableRecord>();
  readonly live: LiveRecord;
  readonly #report: Report;
  readonly #ordinals: OrdinalRecord;
  /** After each entry: the ordinals and bounds. */
  readonly #sums: { readonly ordinals: string; readonly bounds: string }[] = [];
  readonly #present = new Set<number>();
  /** First entry that each snapshot keeps. */
  readonly #snapshots = new Map<number, number>();
  readonly #committed = new Set<string>();
  readonly #deleted = new Set<string>();
  /** Content of our files that another writer replaced and deleted. */
  readonly replaced = new Map<string, Uint8Array>();
  prunedEntries = 0;
  /** At most, in a snapshot. */
  pastPartitions = 0;
  lateEntries = 0;
  #latestMs = 0;
  /** Age at which vacuum may delete a file. */
  vacuumAgeMs = 0;

  constructor(report: Report) {
    this.#report = report;
    this.#ordinals = new OrdinalRecord(report);
    this.live = new LiveRecord(report);
  }

  /** Table files that no entry names and no table shows. */
  unnamed(paths: Iterable<string>): string[] {
    return [...paths].filter((path) => {
      const [folder = "", ...names] = path.split("/");
      const name = names.join("/");
      const table = this.tables.get(folder);
      const isOfTable =
        table?.versions.at(-1)?.live.has(name) || (table?.replacedAtMs(name) ?? null) !== null;
      return isTableFile(path) && !this.#committed.has(path) && !isOfTable && !isMerged(path);
    });
  }

  /** Another writer is about to delete a file that its table no longer shows. */
  replacing(path: string, bytes: Uint8Array | undefined): void {
    if (bytes) this.replaced.set(path, bytes);
  }

  /** Notes a reading of the clock that stamps objects, which may step. */
  clockShows(nowMs: number): void {
    this.#latestMs = Math.max(this.#latestMs, nowMs);
  }

  changed({ operation, path, bytes, modifiedAtMs }: StoreChange): void {
    const [folder = "", name = ""] = path.split("/");
    const number = Number(/(\d{20})\.(json|checkpoint\.parquet)$/.exec(path)?.[1] ?? Number.NaN);
    if (folder === "_commits" && name === "snapshots") this.#snapshotChanged(operation, number, bytes);
    else if (folder === "_commits" && !Number.isNaN(number)) this.#entryChanged(operation, number, bytes);
    else if (name === "_delta_log") this.#tableOf(folder).changed({ operation, path, bytes }, number);
    else if (isDataFile(path) && operation === "deleted") this.#fileDeleted(path, { bytes, modifiedAtMs });
    else if (isDataFile(path)) this.live.fileWritten(path, bytes);
  }

  #tableOf(name: string): TableRecord {
    const known = this.tables.get(name);
    if (known) return known;
    const table = new TableRecord(name, {
      report: this.#report,
      isCommitted: (path) => this.#committed.has(path),
      onVersion: (...change) => this.#versionCreated(...change),
    });
    this.tables.set(name, table);
    return table;
  }

  #versionCreated(name: string, version: number, change: VersionChange): void {
    this.live.versionCreated(name, version, change);
    for (const path of change.added)
      if (this.#deleted.has(path))
        this.#report("missing", `version ${version} of ${name} names ${path}, which is gone`);
  }

  #entryChanged(operation: StoreChange["operation"], number: number, bytes: Uint8Array): void {
    if (operation === "deleted") {
      if (this.#present.delete(number)) this.prunedEntries++;
      this.#checkPublished(number);
      this.#checkWhole(`entry ${number} was deleted`);
      return;
    }
    if (operation === "replaced") this.#report("torn", `entry ${number} was replaced`);
    if (number <= this.commits.length) {
      this.lateEntries++;
      return;
    }
    if (number !== this.commits.length + 1) this.#report("torn", `entry ${number} follows a hole`);
    const entry = this.#ordinals.read(JSON.parse(Buffer.from(bytes).toString()) as StoredEntry);
    this.commits.push(entry);
    this.#checkBounds(number);
    this.#present.add(number);
    this.live.committed(entry, this.#boundsByName(entry));
    const landed = entry.landing ? [{ path: entry.landing.file.path }] : [];
    for (const { path } of [...committedFiles(entry), ...landed]) {
      this.#committed.add(path);
      if (this.#deleted.has(path)) this.#report("missing", `entry ${number} names ${path}, which is gone`);
    }
  }

  /** What the log says that tables show; empty if the entry says nothing about it. */
  #boundsByName({ upkeep }: CommitEntry): ReadonlyMap<string, LaneCommits> {
    const byName = new Map<string, LaneCommits>();
    if (!upkeep) return byName;
    for (const { key, name } of this.#ordinals.named.values()) {
      const bound = this.#ordinals.bounds.get(key);
      if (bound) byName.set(name, highestOf(byName.get(name) ?? noCommits, bound));
    }
    return byName;
  }

  /** Checks that each table shows what the log says. */
  #checkBounds(number: number): void {
    const { named, bounds } = this.#ordinals;
    for (const { key, name } of named.values()) {
      const bound = bounds.get(key) ?? noCommits;
      const shown = this.tables.get(name)?.shown ?? noCommits;
      for (const lane of lanes)
        if (bound[lane] > shown[lane])
          this.#report("unsettled", `entry ${number}: ${name} shows ${shown[lane]}, not ${bound[lane]}`);
    }
    const ordinals = [...named].map(([ordinal, { key }]) => [key, Number(ordinal)] as const);
    const sum = {
      ordinals: sortedText(Object.fromEntries(ordinals)),
      bounds: sortedText(mapped(Object.fromEntries(bounds), lanesText)),
    };
    this.#sums.push(sum);
  }

  #fileDeleted(path: string, { bytes, modifiedAtMs }: { bytes: Uint8Array; modifiedAtMs: number }): void {
    if (this.replaced.has(path)) return;
    const [folder = "", ...names] = path.split("/");
    const name = names.join("/");
    const table = this.tables.get(folder);
    const replacedAtMs = table?.replacedAtMs(name) ?? null;
    if (table?.versions.at(-1)?.live.has(name)) this.#report("missing", `${path} is shown and was deleted`);
    else if (replacedAtMs !== null && this.#latestMs - replacedAtMs >= replacedKeptMs) {
      this.replaced.set(path, bytes);
      return;
    }
    this.#deleted.add(path);
    const ageMs = this.#latestMs - modifiedAtMs;
    if (ageMs < this.vacuumAgeMs) this.#report("hasty", `${path} was deleted ${ageMs} ms old`);
    if (this.#committed.has(path)) this.#report("missing", `${path} is committed and was deleted`);
  }

  /** Checks that an entry is deleted only after every table shows its files. */
  #checkPublished(number: number): void {
    const entry = this.commits[number - 1];
    if (!entry) return;
    for (const [key, brought] of broughtLanes(entry)) {
      const name = entry.tables[key]?.name ?? entry.landing?.tables[key]?.name ?? key;
      const shown = this.tables.get(name)?.shown ?? noCommits;
      for (const lane of brought)
        if (shown[lane] < number)
          this.#report("torn", `entry ${number} went, ${name} shows ${lane} commits up to ${shown[lane]}`);
    }
  }

  #snapshotChanged(operation: StoreChange["operation"], number: number, bytes: Uint8Array): void {
    if (operation === "deleted") {
      this.#snapshots.delete(number);
      this.#checkWhole(`snapshot ${number} was deleted`);
      return;
    }
    const snapshot = JSON.parse(Buffer.from(bytes).toString()) as SnapshotContent;
    this.#snapshots.set(number, snapshot.firstKept);
    this.#checkSum(number, snapshot);
  }

  /** Checks that a snapshot equals the sum of the entries up to its number. */
  #checkSum(number: number, { moves, past, tables }: SnapshotContent): void {
    const positions: Record<string, string> = {};
    const lastCommits: Record<string, LaneCommits> = {};
    const entries = this.commits.slice(0, number);
    for (const entry of entries) {
      for (const [key, move] of Object.entries(entry.moves)) positions[key] = move.to;
      for (const [key, brought] of broughtLanes(entry))
        lastCommits[key] = lanesWith(lastCommits[key] ?? noCommits, brought, entry.number);
    }
    const gone = Object.entries(past).flatMap(([streamId, { ranges }]) =>
      ranges.flatMap(([first, last]) =>
        Array.from({ length: last - first + 1 }, (_, index) => `${streamId}/${first + index}`),
      ),
    );
    this.pastPartitions = Math.max(this.pastPartitions, gone.length);
    const kept = mapped(moves, ({ to }) => to);
    const all = { ...kept, ...Object.fromEntries(gone.map((key) => [key, endPosition])) };
    const isSum =
      number <= this.commits.length &&
      sortedText(positions) === sortedText(all) &&
      gone.toSorted().join() === pastOf(entries, positions).toSorted().join() &&
      gone.every((key) => kept[key] === undefined) &&
      sortedText(mapped(lastCommits, lanesText)) ===
        sortedText(mapped(tables, ({ last }) => lanesText(last))) &&
      this.#isSumOfOrdinals(number, tables);
    if (!isSum) this.#report("torn", `snapshot ${number} is not the sum of the entries`);
  }

  #isSumOfOrdinals(number: number, tables: SnapshotContent["tables"]): boolean {
    const ordinals: Record<string, number> = { _quarantine: 0 };
    const bounds: Record<string, string> = {};
    for (const [key, { ordinal, settled }] of Object.entries(tables)) {
      if (ordinal !== null) ordinals[key] = ordinal;
      if (lanes.some((lane) => settled[lane] > 0)) bounds[key] = lanesText(settled);
    }
    const sum = this.#sums[number - 1];
    return sum?.ordinals === sortedText(ordinals) && sum.bounds === sortedText(bounds);
  }

  /** Checks that all entries from the newest snapshot on exist, and those that the snapshots keep. */
  #checkWhole(what: string): void {
    const newest = Math.max(0, ...this.#snapshots.keys());
    const firstKept = Math.max(1, ...this.#snapshots.values());
    for (let number = Math.min(newest + 1, firstKept); number <= this.commits.length; number++)
      if (!this.#present.has(number)) this.#report("torn", `${what}: entry ${number} is missing`);
  }
}

/** Partitions that were filed to their end and whose successors are all recorded and have begun. */
function pastOf(entries: readonly CommitEntry[], positions: Readonly<Record<string, string>>): string[] {
  const children = new Map<string, Set<string>>();
  for (const { moves } of entries)
    for (const [key, { parents = [] }] of Object.entries(moves))
      for (const parent of parents) {
        const parentKey = key.replace(/\d+$/, String(parent));
        children.set(parentKey, (children.get(parentKey) ?? new Set()).add(key));
      }
  const isOver = (key: string) => positions[key] === endPosition;
  const hasBegun = (key: string) => positions[key] !== startPosition;
  return [...children].filter(([key, of]) => isOver(key) && [...of].every(hasBegun)).map(([key]) => key);
}

/** By table: the lanes in which the entry brings rows. */
function broughtLanes(entry: CommitEntry): Map<string, Lane[]> {
  const brought = new Map<string, Lane[]>([...committedTables(entry).keys()].map((key) => [key, ["direct"]]));
  for (const [key, { rows }] of Object.entries(entry.landing?.tables ?? {}))
    for (const lane of landedLanes)
      if (rows[lane] !== undefined) brought.set(key, [...(brought.get(key) ?? []), lane]);
  return brought;
}

function lanesWith(before: LaneCommits, brought: readonly Lane[], commit: number): LaneCommits {
  return { ...before, ...Object.fromEntries(brought.map((lane) => [lane, commit])) };
}

function lanesText(commits: LaneCommits): string {
  return lanes.map((lane) => commits[lane]).join();
}

function isDataFile(path: string): boolean {
  return path.endsWith(".parquet") && !path.includes("/_delta_log/");
}

function isTableFile(path: string): boolean {
  return isDataFile(path) && !path.startsWith(`${landingFolder}/`);
}

/** The file is of another writer. */
function isMerged(path: string): boolean {
  return path.includes("/merged-");
}

function mapped<From, To>(
  record: Readonly<Record<string, From>>,
  map: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

function sortedText(record: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.entries(record).toSorted(([left], [right]) => (left < right ? -1 : 1)));
}
