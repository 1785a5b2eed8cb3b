import { SimulatorError } from "../errors.ts";
import { chainFaults } from "./commit-chain.ts";
import { type CommitEntry, parseEntry } from "./commit-entry.ts";
import { type GivenUp, lastOfTables, nothingGivenUp } from "./given-up-entries.ts";
import { record } from "./json-fields.ts";
import { type LakeFiles, readWhole } from "./lake-files.ts";
import { type LaneNumbers, landedLanes, numberOfLane } from "./lanes.ts";
import { parseSnapshot, type Snapshot, snapshotFaults } from "./log-snapshot.ts";
import { boundFaults, boundsOf } from "./settled-bounds.ts";
import { TableOrdinals } from "./table-ordinals.ts";

const folder = "_commits";
const lakeFile = `${folder}/lake.json`;
const entryPattern = /^(\d{20})\.json$/;
/**
 * This many consecutive entries from before the requested time end the reading: clocks of gateways may step.
 */
const olderMax = 100;
/** Listing and reading race with commits and pruning. */
const attempts = 3;

/** The commit log since a given time. */
export interface CommitLogState {
  /** null = no lake file: the audit judges the folder by its tables alone. */
  readonly lakeId: string | null;
  /** Consecutive entries, in order. */
  readonly entries: readonly CommitEntry[];
  /** True if those entries are the whole log. */
  readonly isWhole: boolean;
  /** By table name, and in it by lane: the table shows every commit up to this one, according to the log. */
  readonly bounds: ReadonlyMap<string, LaneNumbers>;
  /** True if a commit has a landing file, as far as the log still says. */
  readonly hasLanding: boolean;
  readonly givenUp: GivenUp;
  readonly faults: readonly string[];
}

const nothing: CommitLogState = {
  lakeId: null,
  entries: [],
  isWhole: false,
  bounds: new Map(),
  hasLanding: false,
  givenUp: nothingGivenUp,
  faults: [],
};

/** The commit log of a lake, read without the writer's code. */
export class CommitLog {
  readonly #lake: LakeFiles;
  readonly #sinceMs: number;
  readonly #entries = new Map<number, CommitEntry>();

  /** Entries from before `sinceMs` are not read, though their names must exist. */
  constructor(lake: LakeFiles, sinceMs: number) {
    this.#lake = lake;
    this.#sinceMs = sinceMs;
  }

  async read(): Promise<CommitLogState> {
    const bytes = await readWhole(this.#lake, lakeFile);
    if (bytes === null) return nothing;
    const { lakeId } = record(JSON.parse(bytes.toString("utf8")), lakeFile);
    for (let attempt = 1; ; attempt++) {
      const state = await this.#readOnce(String(lakeId));
      if (state.faults.length === 0 || attempt === attempts) return state;
    }
  }

  async #readOnce(lakeId: string): Promise<CommitLogState> {
    const snapshots = numbersOf(await this.#lake.list(`${folder}/snapshots`));
    const numbers = numbersOf(await this.#lake.list(folder));
    const faults: string[] = [];
    const snapshot = await this.#snapshot(snapshots.at(-1), faults);
    const firstKept = snapshot?.firstKept ?? 1;
    const newest = Math.max(0, snapshot?.number ?? 0, numbers.at(-1) ?? 0);
    faults.push(...holes(numbers, firstKept, newest));
    const read = await this.#since({ firstKept, newest, summed: snapshot?.number ?? 0 }, faults);
    const isWhole = read[0]?.number === 1;
    const ordinals = new TableOrdinals(isWhole ? new Map() : (snapshot?.ordinals ?? new Map()));
    const entries = read.map((entry) => ordinals.take(entry, faults));
    faults.push(...chainFaults(entries), ...boundFaults(entries));
    if (snapshot) faults.push(...snapshotFaults(snapshot, entries));
    const bounds = boundsOf(snapshot, entries, ordinals);
    const hasLanding =
      entries.some(({ landing }) => landing !== null) ||
      [...(snapshot?.lastCommits.values() ?? [])].some((last) =>
        landedLanes.some((lane) => numberOfLane(last, lane) > 0),
      );
    const givenUp = await this.#givenUp(snapshot, entries, new Set(numbers));
    return { lakeId, entries, isWhole, bounds, hasLanding, givenUp, faults };
  }

  /** Entries below the snapshot's first one are deleted at any time, and it is no fault if one is unreadable. */
  async #givenUp(
    snapshot: Snapshot | null,
    kept: readonly CommitEntry[],
    numbers: ReadonlySet<number>,
  ): Promise<GivenUp> {
    const ordinals = new TableOrdinals(snapshot?.ordinals ?? new Map());
    const firstKept = Math.max(snapshot?.firstKept ?? 1, ...kept.map((entry) => entry.firstKept));
    const entries = kept.filter(({ number }) => number < firstKept);
    for (let each = (snapshot?.firstKept ?? 1) - 1; numbers.has(each) || this.#entries.has(each); each--) {
      const entry = await this.#entry(each, []);
      if (!entry || entry.committedAtMs < this.#sinceMs) break;
      entries.push(ordinals.take(entry, []));
    }
    return { firstKept, entries, last: lastOfTables(snapshot) };
  }

  /**
   * From the newest entry back to entries before the requested time, or to a gap. Entries after the snapshot
   * are read whatever their time, because they name tables.
   */
  async #since(
    { firstKept, newest, summed }: { firstKept: number; newest: number; summed: number },
    faults: string[],
  ): Promise<CommitEntry[]> {
    const entries: CommitEntry[] = [];
    let older = 0;
    for (let each = newest; each >= firstKept && (older < olderMax || each > summed); each--) {
      const entry = await this.#entry(each, faults);
      if (!entry) break;
      entries.push(entry);
      older = !entry.isMoved && entry.committedAtMs < this.#sinceMs ? older + 1 : 0;
    }
    return entries.reverse();
  }

  async #entry(each: number, faults: string[]): Promise<CommitEntry | null> {
    const known = this.#entries.get(each);
    if (known) return known;
    const bytes = await readWhole(this.#lake, `${folder}/${padded(each)}.json`);
    // Told by its name.
    if (bytes === null) return null;
    try {
      const entry = parseEntry(bytes.toString("utf8"));
      if (entry.number !== each) throw new Error(`it says number ${entry.number}`);
      this.#entries.set(each, entry);
      return entry;
    } catch (error) {
      if (error instanceof SimulatorError) throw error;
      faults.push(`commit ${each} can't be read: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  }

  async #snapshot(each: number | undefined, faults: string[]): Promise<Snapshot | null> {
    if (each === undefined) return null;
    const bytes = await readWhole(this.#lake, `${folder}/snapshots/${padded(each)}.json`);
    try {
      const snapshot = parseSnapshot(bytes?.toString("utf8") ?? "");
      if (snapshot.number !== each) throw new Error(`it says number ${snapshot.number}`);
      return snapshot;
    } catch (error) {
      if (error instanceof SimulatorError) throw error;
      faults.push(
        `snapshot ${each} can't be read: ${error instanceof Error ? error.message : String(error)}`,
      );
      return null;
    }
  }
}

/** The missing numbers from the first to the last. */
function holes(numbers: readonly number[], first: number, last: number): string[] {
  const faults: string[] = [];
  let next = first;
  for (const each of [...numbers.filter((number) => number >= first), last + 1]) {
    if (each > next) {
      const missing = each === next + 1 ? `commit ${next} is` : `commits ${next} to ${each - 1} are`;
      faults.push(`${missing} missing, though later ones exist`);
    }
    next = Math.max(next, each + 1);
  }
  return faults;
}

function numbersOf(names: readonly string[]): number[] {
  const numbers = names.flatMap((name) => entryPattern.exec(name)?.[1] ?? []).map(Number);
  return numbers.sort((left, right) => left - right);
}

function padded(each: number): string {
  return String(each).padStart(20, "0");
}
