import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { type CommitLog, type LakeState, quarantineKey } from "../commit-log/commit-log.ts";
import { highestOf, noCommits } from "../commit-log/lane-commits.ts";
import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import { DeltaTable } from "../delta/delta-table.ts";
import { columnsOf } from "../delta/table-entry.ts";
import { scopeOf } from "../delta/table-faults.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { type LakeTopicCatalog, openTopicCatalog } from "../topic-versions.ts";
import type { UpkeepWork } from "../upkeep/upkeep-loop.ts";
import { type ExpireOutcome, expireTable } from "./expire-table.ts";
import { type AgreedTime, RetentionClock } from "./retention-clock.ts";
import { RetentionMetrics } from "./retention-metrics.ts";
import { retentionTerms } from "./retention-terms.ts";
import { type TableLeftAlone, TablesLeftAlone } from "./tables-left-alone.ts";

const hourMs = 3_600_000;
/** Soon after a start, other work comes first. */
const firstAfterMaxMs = 60_000;
/** Between the first look at the clocks and one that counts, see `RetentionClock`. */
const lookedApartMs = 600_000;
/** Between two pieces of work on a table that has more files to remove. */
const pieceAfterMs = 1_000;

export interface RetentionWorkOptions {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  readonly logger: Logger;
  readonly registry: Registry;
  /** How often each table is looked at. */
  readonly intervalMs: number;
  /** Retention of `_quarantine`; undefined = its rows stay for ever. */
  readonly quarantineMs: number | undefined;
  readonly now: () => number;
  /** Monotonic, ms. */
  readonly elapsedMs: () => number;
  /** Default: Parquet files. */
  readonly checkpoints?: CheckpointFiles;
  /** Of one entry, and of one piece of work on a table; see `expireTable`. */
  readonly removesMax?: number;
  readonly filesMax?: number;
}

export interface RetentionWork extends UpkeepWork {
  leftAlone(): readonly TableLeftAlone[];
}

/** Removes rows that are older than the retention of their table, hour by hour. */
export function retentionWork(options: RetentionWorkOptions): RetentionWork {
  return new Retention(options);
}

class Retention implements RetentionWork {
  readonly name = "retention";
  readonly #options: RetentionWorkOptions;
  readonly #metrics: RetentionMetrics;
  readonly #clock: RetentionClock;
  readonly #left: TablesLeftAlone;
  /** By table: when it was looked at to its end, by `elapsedMs`. */
  readonly #doneAtMs = new Map<string, number>();
  #topics: LakeTopicCatalog | null = null;
  #dueAtMs: number;

  constructor(options: RetentionWorkOptions) {
    const { store, logger, registry, now, elapsedMs, intervalMs } = options;
    this.#options = options;
    this.#metrics = new RetentionMetrics(registry);
    const apartMs = Math.min(lookedApartMs, intervalMs);
    this.#clock = new RetentionClock({ store, now, elapsedMs, apartMs });
    this.#left = new TablesLeftAlone({ url: store.url, logger, metrics: this.#metrics, now });
    this.#dueAtMs = elapsedMs() + Math.min(intervalMs, firstAfterMaxMs);
  }

  dueAtMs(): number {
    return this.#dueAtMs;
  }

  leftAlone(): readonly TableLeftAlone[] {
    return this.#left.list();
  }

  /** The bound of all tables follows from one look at the clocks, before anything else is read. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, intervalMs, quarantineMs, elapsedMs } = this.#options;
    const startedAtMs = elapsedMs();
    this.#topics ??= await openTopicCatalog(store);
    await this.#topics.refresh();
    const terms = retentionTerms(this.#topics.definitions(), quarantineMs);
    this.#left.keep(new Set(terms.keys()));
    const time = terms.size === 0 ? null : await this.#clock.look();
    if (time === null || time.overMs === null) {
      this.#dueAtMs = startedAtMs + (time === null ? intervalMs : Math.min(intervalMs, lookedApartMs));
      return;
    }
    const hasMore = await this.#expireAll(terms, { ...time, overMs: time.overMs }, signal);
    this.#dueAtMs = hasMore ? elapsedMs() + pieceAfterMs : startedAtMs + intervalMs;
  }

  /** Resolves with true if a table has more. A failure of the store at one table stops no other. */
  async #expireAll(
    terms: ReadonlyMap<string, number>,
    time: AgreedTime & { readonly overMs: number },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { commitLog, intervalMs, elapsedMs } = this.#options;
    const lake = await commitLog.load();
    const failures: unknown[] = [];
    let hasMore = false;
    for (const [name, retentionMs] of terms) {
      signal.throwIfAborted();
      const doneAtMs = this.#doneAtMs.get(name) ?? Number.NEGATIVE_INFINITY;
      const beganAtMs = elapsedMs();
      if (beganAtMs - doneAtMs < intervalMs / 2) continue;
      const belowHour = Math.floor((time.overMs - retentionMs) / hourMs);
      try {
        const outcome = await this.#expire(lake, name, { belowHour, storeMs: time.storeMs }, signal);
        this.#left.remove(name);
        if (outcome === "more") hasMore = true;
        else this.#doneAtMs.set(name, beganAtMs);
      } catch (error) {
        if (signal.aborted || scopeOf(error, name) === "lake") throw error;
        if (scopeOf(error, name) === "unsure") failures.push(error);
        else {
          this.#left.add(name, error);
          this.#doneAtMs.set(name, beganAtMs);
        }
      }
    }
    if (failures.length > 0) throw failures[0];
    return hasMore;
  }

  async #expire(
    lake: LakeState,
    name: string,
    bound: { readonly belowHour: number; readonly storeMs: number },
    signal: AbortSignal,
  ): Promise<ExpireOutcome> {
    const { store, commitLog, logger, checkpoints, removesMax, filesMax } = this.#options;
    const ofName = [...lake.tables].filter(([, table]) => table.name === name);
    if (ofName.length === 0 || !this.#topics) return "done";
    const topicVersions = ofName.map(([key, { version }]) => ({ key, version }));
    const settled = ofName.reduce((highest, [, table]) => highestOf(highest, table.settled), noCommits);
    return expireTable(
      {
        store,
        onRemoved: (files) => {
          this.#metrics.removed(files);
          const before = new Date(bound.belowHour * hourMs).toISOString();
          const fields = { event: "retention.removed", table: name, before, files: files.length };
          logger.info(fields, "rows that are older than the retention of their topic were removed");
        },
        onLostRace: () => this.#metrics.lostRace(),
        ...(removesMax !== undefined && { removesMax }),
        ...(filesMax !== undefined && { filesMax }),
      },
      {
        ...bound,
        // A late message may be quarantined long after its event hour. People need time to see the reason.
        ...(name === quarantineKey && { ingestBelowHour: bound.belowHour }),
        lakeId: commitLog.lakeId,
        table: new DeltaTable(store, name, checkpoints && { checkpoints }),
        columns: await columnsOf(this.#topics, topicVersions),
        settled,
      },
      signal,
    );
  }
}
