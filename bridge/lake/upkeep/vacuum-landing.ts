import type { Logger } from "pino";
import type { TopicCatalog } from "../../topics/topic-catalog.ts";
import type { CommitLog, LakeState } from "../commit-log/commit-log.ts";
import { landingFolder } from "../commit-log/landed-file.ts";
import { landedLanes } from "../commit-log/lane-commits.ts";
import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import { DeltaTables } from "../delta/delta-tables.ts";
import { deleteObjects } from "../stores/delete-objects.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { type ClockPair, hasPassed, notAfter, readClocks } from "./clock-pair.ts";
import { defaultAgeMs } from "./file-age.ts";
import { HeldLanding, type JudgedEntry } from "./held-landing.ts";
import { holdOf, type LandingHold, type LandingNeeds, readNeeds } from "./landing-holds.ts";
import { LandingOrphans, type SweptOrphans } from "./landing-orphans.ts";
import type { LandingVacuumMetrics } from "./landing-vacuum-metrics.ts";
import { NameFilter } from "./name-filter.ts";

const hourMs = 3_600_000;
/** Bounds one piece of work. */
const entriesPerRun = 2_000;
/** Bounds the files in memory that nothing needs any more and that wait for readers. */
const freeMax = 20_000;

export interface LandingVacuumOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  /** The topics of the lake now. Not asked while nothing has landed. */
  readonly topics: () => Promise<Pick<TopicCatalog, "longestWindowMs">>;
  readonly logger: Logger;
  readonly metrics: LandingVacuumMetrics;
  /** Monotonic, ms. */
  readonly elapsedMs: () => number;
  /** This machine's clock, only for reading tables and for the fence's entry. */
  readonly now: () => number;
  /** How long a file stays that nothing needs any more, for readers that began before. Default 1 h. */
  readonly readersMs?: number;
  /** Only older files that no entry names are deleted, by the store's clock. Default 24 h. */
  readonly ageMs?: number;
  /** From one search for files that no entry names to the next. */
  readonly searchEveryMs: number;
  /** The first entry that a registered follower has not read. Default: no follower is registered. */
  readonly followedFrom?: (lake: LakeState) => number;
  /** Default: Parquet files. */
  readonly checkpoints?: CheckpointFiles;
}

export interface LandingReport {
  /** Landing files deleted because nothing needs them any more. */
  readonly settled: number;
  /** Landing files deleted that no entry named. */
  readonly orphans: number;
  readonly bytes: number;
  readonly fences: number;
  /** Landing files of kept entries that stay. */
  readonly held: number;
  /** False = entries are left that this run did not look at. */
  readonly isDone: boolean;
}

interface DeletedFiles {
  readonly files: number;
  readonly bytes: number;
}

interface FreeFile {
  readonly bytes: number;
  readonly since: ClockPair;
}

/**
 * Deletes landing files. That of a kept entry stays while something needs it (see `LandingHold`), and for an
 * hour after, by the store's clock and by elapsed time: a reader may use a version of a table, and an end of the
 * log, from before the file was settled. Each file is judged by its own entry. Files without an entry: see
 * `LandingOrphans`. One caller at a time; keeps what it read of the log in memory.
 */
export class LandingVacuum {
  readonly #options: LandingVacuumOptions;
  readonly #tables: DeltaTables;
  readonly #orphans: LandingOrphans;
  readonly #readersMs: number;
  #held = new HeldLanding();
  /** By path: files that nothing needs any more. */
  #free = new Map<string, FreeFile>();
  /** The first entry that was not looked at; null = none was. */
  #next: number | null = null;
  /** Files that were there at the first run, and the log's last entry before. */
  #listed: { readonly names: NameFilter; readonly upTo: number } | null = null;
  #searchAtMs: number;

  constructor(options: LandingVacuumOptions) {
    const { store, commitLog, now, readersMs = hourMs, ageMs = defaultAgeMs, checkpoints } = options;
    this.#options = options;
    this.#readersMs = readersMs;
    this.#tables = new DeltaTables({ store, now, ...(checkpoints && { checkpoints }) });
    this.#orphans = new LandingOrphans({ store, commitLog, ageMs, readersMs, now });
    // A crash leaves files that no commit names. Soon after a start, other work comes first.
    this.#searchAtMs = options.elapsedMs() + Math.min(options.searchEveryMs, hourMs);
  }

  async run(signal: AbortSignal): Promise<LandingReport> {
    const { store, commitLog, metrics, elapsedMs } = this.#options;
    const lake = await commitLog.load();
    if (!hasLanded(lake)) return this.#report({ files: 0, bytes: 0 }, true);
    const needs = await this.#needs(lake);
    // After the tables: what they show was settled before this moment.
    const now = await readClocks(store, elapsedMs);
    await this.#begin(lake);
    const isDone = await this.#judge(lake, needs, { now, signal });
    const settled = await this.#deleteFree(now, signal);
    const unnamed = await this.#sweepOrphans(lake, now, signal);
    const report = this.#report(settled, isDone, unnamed);
    metrics.ran({ settled, unnamed, held: report.held });
    this.#log(report);
    return report;
  }

  async #needs(lake: LakeState): Promise<LandingNeeds> {
    const { commitLog, topics, followedFrom = () => Number.POSITIVE_INFINITY } = this.#options;
    return readNeeds(lake, {
      lakeId: commitLog.lakeId,
      named: (table) => this.#tables.named(table),
      longestWindowMs: (await topics()).longestWindowMs(),
      followedFrom: followedFrom(lake),
    });
  }

  /** Lists the files once, because the files of most kept entries are gone. */
  async #begin({ number, firstKept }: LakeState): Promise<void> {
    const isOfOlderLog = this.#next !== null && number < this.#next - 1;
    if (this.#next !== null && !isOfOlderLog) return;
    this.#held = new HeldLanding();
    this.#free = new Map();
    const names = new NameFilter();
    let count = 0;
    for await (const { path } of this.#options.store.list(`${landingFolder}/`)) {
      names.add(path);
      count += 1;
    }
    this.#listed = { names, upTo: number };
    this.#next = count === 0 ? number + 1 : firstKept;
  }

  /** Resolves with false if entries are left. */
  async #judge(
    lake: LakeState,
    needs: LandingNeeds,
    run: { readonly now: ClockPair; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const budget = { left: Math.min(entriesPerRun, freeMax - this.#free.size) };
    const judge = async (numbers: readonly number[], before: LandingHold | null) => {
      run.signal.throwIfAborted();
      return this.#judged(numbers, { needs, before, now: run.now });
    };
    await this.#held.review(needs, lake.firstKept, budget, judge);
    const first = Math.max(this.#next ?? 0, lake.firstKept);
    this.#next = await this.#held.read({ first, end: lake.number + 1 }, budget, judge);
    if (this.#listed && this.#next > this.#listed.upTo) this.#listed = null;
    return budget.left > 0 || this.#free.size >= freeMax;
  }

  async #judged(
    numbers: readonly number[],
    options: { readonly needs: LandingNeeds; readonly before: LandingHold | null; readonly now: ClockPair },
  ): Promise<JudgedEntry[]> {
    const { needs, now } = options;
    let { before } = options;
    const judged: JudgedEntry[] = [];
    const { commitLog } = this.#options;
    for (const entry of await Promise.all(numbers.map((number) => commitLog.entry(number)))) {
      const { number = 0, landing } = entry ?? {};
      if (!entry || !landing || this.#isGone(number, landing.file.path)) continue;
      const hold = holdOf({ ...entry, landing }, needs, before);
      const { path, bytes } = landing.file;
      if (!hold && !this.#free.has(path)) this.#free.set(path, { bytes, since: now });
      judged.push({ number, hold });
      before = hold ?? before;
    }
    return judged;
  }

  #isGone(commit: number, path: string): boolean {
    return this.#listed !== null && commit <= this.#listed.upTo && !this.#listed.names.has(path);
  }

  async #deleteFree(now: ClockPair, signal: AbortSignal): Promise<DeletedFiles> {
    const paths: string[] = [];
    let bytes = 0;
    for (const [path, file] of this.#free) {
      const since = notAfter(file.since, now);
      if (since !== file.since) this.#free.set(path, { ...file, since });
      if (!hasPassed(this.#readersMs, since, now)) continue;
      paths.push(path);
      bytes += file.bytes;
    }
    signal.throwIfAborted();
    await deleteObjects(this.#options.store, paths);
    for (const path of paths) {
      this.#free.delete(path);
      this.#orphans.forget(path);
    }
    return { files: paths.length, bytes };
  }

  async #sweepOrphans(lake: LakeState, now: ClockPair, signal: AbortSignal): Promise<SweptOrphans> {
    const swept = await this.#orphans.sweep(now, signal);
    if (!this.#orphans.isWaiting && now.elapsedMs >= this.#searchAtMs) {
      const isWhole = await this.#orphans.search(lake, now, signal);
      if (isWhole) this.#searchAtMs = now.elapsedMs + this.#options.searchEveryMs;
    }
    return swept;
  }

  #report(
    settled: DeletedFiles,
    isDone: boolean,
    unnamed: SweptOrphans = { files: 0, bytes: 0, fences: 0 },
  ): LandingReport {
    return {
      settled: settled.files,
      orphans: unnamed.files,
      bytes: settled.bytes + unnamed.bytes,
      fences: unnamed.fences,
      held: this.#held.files + this.#free.size,
      isDone,
    };
  }

  #log({ isDone: _, ...report }: LandingReport): void {
    if (report.settled + report.orphans + report.fences === 0) return;
    this.#options.logger.info({ event: "vacuum.landing.done", ...report }, "landing files were deleted");
  }
}

function hasLanded({ tables }: LakeState): boolean {
  return [...tables.values()].some(({ last }) => landedLanes.some((lane) => last[lane] > 0));
}
