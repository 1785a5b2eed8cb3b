import type { CommitEntry } from "../../bridge/lake/commit-log/commit-log.ts";
import type { StoredEntry } from "../../bridge/lake/commit-log/lake-schemas.ts";
import { endPosition, startPosition } from "../../bridge/streams/stream-log.ts";
import { committedFiles, committedTables } from "../support/committed-rows.ts";
import type { StoreChange } from "../support/memory-object-store.ts";
import { OrdinalRecord } from "../support/ordinal-record.ts";
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
  readonly last: { readonly direct: number };
  readonly settled: { readonly direct: number };
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
  }

  /** Data files that no entry names. */
  unnamed(paths: Iterable<string>): string[] {
    return [...paths].filter((path) => isDataFile(path) && !this.#committed.has(path) && !isMerged(path));
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
    else if (operation === "deleted" && isDataFile(path)) this.#fileDeleted(path, { bytes, modifiedAtMs });
  }

  #tableOf(name: string): TableRecord {
    const known = this.tables.get(name);
    if (known) return known;
    const table = new TableRecord(name, this.#report);
    this.tables.set(name, table);
    return table;
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
    for (const { path } of committedFiles(entry)) {
      this.#committed.add(path);
      if (this.#deleted.has(path)) this.#report("missing", `entry ${number} names ${path}, which is gone`);
    }
  }

  /** Checks that each table shows what the log says. */
  #checkBounds(number: number): void {
    const { named, bounds } = this.#ordinals;
    for (const { key, name } of named.values()) {
      const [bound, shown] = [bounds.get(key) ?? 0, this.tables.get(name)?.shown ?? 0];
      if (bound > shown) this.#report("unsettled", `entry ${number}: ${name} shows ${shown}, not ${bound}`);
    }
    const ordinals = [...named].map(([ordinal, { key }]) => [key, Number(ordinal)] as const);
    const sum = {
      ordinals: sortedText(Object.fromEntries(ordinals)),
      bounds: sortedText(Object.fromEntries(bounds)),
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
    for (const name of entry ? committedTables(entry).values() : []) {
      const shown = this.tables.get(name)?.shown ?? 0;
      if (shown < number) this.#report("torn", `entry ${number} went, ${name} shows commits up to ${shown}`);
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
    const lastCommits: Record<string, number> = {};
    const entries = this.commits.slice(0, number);
    for (const entry of entries) {
      for (const [key, move] of Object.entries(entry.moves)) positions[key] = move.to;
      for (const key of committedTables(entry).keys()) lastCommits[key] = entry.number;
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
      sortedText(lastCommits) === sortedText(mapped(tables, ({ last }) => last.direct)) &&
      this.#isSumOfOrdinals(number, tables);
    if (!isSum) this.#report("torn", `snapshot ${number} is not the sum of the entries`);
  }

  #isSumOfOrdinals(number: number, tables: SnapshotContent["tables"]): boolean {
    const ordinals: Record<string, number> = { _quarantine: 0 };
    const bounds: Record<string, number> = {};
    for (const [key, { ordinal, settled }] of Object.entries(tables)) {
      if (ordinal !== null) ordinals[key] = ordinal;
      if (settled.direct > 0) bounds[key] = settled.direct;
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

function isDataFile(path: string): boolean {
  return path.endsWith(".parquet") && !path.includes("/_delta_log/");
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
