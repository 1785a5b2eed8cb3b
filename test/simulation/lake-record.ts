import type { CommitEntry } from "../../bridge/storage/commit-log.ts";
import { END_POSITION, START_POSITION } from "../../bridge/streams/stream-log.ts";
import type { StoreChange } from "../support/memory-object-store.ts";
import { TableRecord } from "./table-record.ts";
import type { Violation } from "./violation.ts";

/** No window and no reader of an older version wants a file that was replaced so long ago. */
const replacedKeptMs = 7 * 86_400_000;

type Report = (rule: Violation["rule"], detail: string) => void;

interface SnapshotContent {
  readonly firstKept: number;
  readonly moves: Readonly<Record<string, { readonly to: string }>>;
  readonly past: Readonly<Record<string, { readonly ranges: readonly (readonly [number, number])[] }>>;
  readonly tables: Readonly<Record<string, { readonly lastCommit: number }>>;
}

/**
 * What ever became of the lake, also after it was pruned, and at each change whether the lake is still whole: a process that opens it
 * now can read the commit log and the tables, and finds every committed file. The first object with an entry's number is the entry;
 * what a late writer puts where the log was pruned is none.
 */
export class LakeRecord {
  /** All entries of the commit log, in order. */
  readonly commits: CommitEntry[] = [];
  /** By name of the table. */
  readonly tables = new Map<string, TableRecord>();
  readonly #report: Report;
  readonly #present = new Set<number>();
  /** First entry that each says to be kept. */
  readonly #snapshots = new Map<number, number>();
  readonly #committed = new Set<string>();
  readonly #deleted = new Set<string>();
  /** What files of ours held that another writer replaced, and that are deleted. */
  readonly replaced = new Map<string, Uint8Array>();
  prunedEntries = 0;
  /** At most, in a snapshot. */
  pastPartitions = 0;
  lateEntries = 0;
  #latestMs = 0;
  /** How old a file must be before vacuum may take it. */
  vacuumAgeMs = 0;

  constructor(report: Report) {
    this.#report = report;
  }

  /** Data files that no entry names. */
  unnamed(paths: Iterable<string>): string[] {
    return [...paths].filter((path) => isDataFile(path) && !this.#committed.has(path) && !isMerged(path));
  }

  /** Another writer is about to delete a file that its table does not show any more. */
  replacing(path: string, bytes: Uint8Array | undefined): void {
    if (bytes) this.replaced.set(path, bytes);
  }

  /** The clock that stamps objects, which may step, was asked. */
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
    const entry = JSON.parse(Buffer.from(bytes).toString()) as CommitEntry;
    this.commits.push(entry);
    this.#present.add(number);
    for (const { name, adds } of Object.values(entry.tables))
      for (const add of adds) {
        const path = `${name}/${add.path}`;
        this.#committed.add(path);
        if (this.#deleted.has(path)) this.#report("missing", `entry ${number} names ${path}, which is gone`);
      }
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

  /** An entry may go only after every table shows its files. */
  #checkPublished(number: number): void {
    for (const { name } of Object.values(this.commits[number - 1]?.tables ?? {})) {
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

  /** A snapshot holds what the entries up to its number add up to. */
  #checkSum(number: number, { moves, past, tables }: SnapshotContent): void {
    const positions: Record<string, string> = {};
    const lastCommits: Record<string, number> = {};
    const entries = this.commits.slice(0, number);
    for (const entry of entries) {
      for (const [key, move] of Object.entries(entry.moves)) positions[key] = move.to;
      for (const key of Object.keys(entry.tables)) lastCommits[key] = entry.number;
    }
    const gone = Object.entries(past).flatMap(([streamId, { ranges }]) =>
      ranges.flatMap(([first, last]) =>
        Array.from({ length: last - first + 1 }, (_, index) => `${streamId}/${first + index}`),
      ),
    );
    this.pastPartitions = Math.max(this.pastPartitions, gone.length);
    const kept = mapped(moves, ({ to }) => to);
    const all = { ...kept, ...Object.fromEntries(gone.map((key) => [key, END_POSITION])) };
    const isSum =
      number <= this.commits.length &&
      sortedText(positions) === sortedText(all) &&
      gone.toSorted().join() === pastOf(entries, positions).toSorted().join() &&
      gone.every((key) => kept[key] === undefined) &&
      sortedText(lastCommits) === sortedText(mapped(tables, ({ lastCommit }) => lastCommit));
    if (!isSum) this.#report("torn", `snapshot ${number} is not the sum of the entries`);
  }

  /** From the newest snapshot on there is every entry, and so is what the snapshots say to be kept. */
  #checkWhole(what: string): void {
    const newest = Math.max(0, ...this.#snapshots.keys());
    const firstKept = Math.max(1, ...this.#snapshots.values());
    for (let number = Math.min(newest + 1, firstKept); number <= this.commits.length; number++)
      if (!this.#present.has(number)) this.#report("torn", `${what}: entry ${number} is missing`);
  }
}

/** Partitions that were held to their end, and whose place others took that were recorded and have begun, all of them. */
function pastOf(entries: readonly CommitEntry[], positions: Readonly<Record<string, string>>): string[] {
  const children = new Map<string, Set<string>>();
  for (const { moves } of entries)
    for (const [key, { parents = [] }] of Object.entries(moves))
      for (const parent of parents) {
        const parentKey = key.replace(/\d+$/, String(parent));
        children.set(parentKey, (children.get(parentKey) ?? new Set()).add(key));
      }
  const isOver = (key: string) => positions[key] === END_POSITION;
  const hasBegun = (key: string) => positions[key] !== START_POSITION;
  return [...children].filter(([key, of]) => isOver(key) && [...of].every(hasBegun)).map(([key]) => key);
}

function isDataFile(path: string): boolean {
  return path.endsWith(".parquet") && !path.includes("/_delta_log/");
}

/** Of another writer. */
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
