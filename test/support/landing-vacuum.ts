import { Registry } from "prom-client";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { LandingVacuumMetrics } from "../../bridge/lake/upkeep/landing-vacuum-metrics.ts";
import {
  type LandingReport,
  LandingVacuum,
  type LandingVacuumOptions,
} from "../../bridge/lake/upkeep/vacuum-landing.ts";
import { makeTopic, openTestLake, silentLogger, type TestLake } from "./test-lake.ts";
import { withStore } from "./with-store.ts";

export const otherTopic = makeTopic({ topicId: "topic-2", name: "other" });

/** A lake, and the clocks of a process that vacuums its landing files. */
export class VacuumedLake {
  readonly lake: TestLake;
  readonly registry = new Registry();
  readonly store: ObjectStore;
  /** Calls of the vacuum's store: folders that were listed, and entries that were read. */
  readonly listed: string[] = [];
  /** The longest dedupe window, ms. */
  windowMs = 0;
  /** How often the topics were asked for. */
  topicsAsked = 0;
  #storeAheadMs = 0;
  #elapsedMs = 5_000;
  #vacuum: LandingVacuum | undefined;

  private constructor(lake: TestLake) {
    this.lake = lake;
    this.store = withStore(lake.store, {
      now: async () => (await lake.store.now()) + this.#storeAheadMs,
      list: (prefix, options) => {
        this.listed.push(prefix);
        return lake.store.list(prefix, options);
      },
    });
  }

  static async open(): Promise<VacuumedLake> {
    return new VacuumedLake(await openTestLake([makeTopic(), otherTopic]));
  }

  /** Another process; the one before is forgotten. */
  restart(options: Partial<LandingVacuumOptions> = {}): void {
    this.#vacuum = new LandingVacuum({
      store: this.store,
      commitLog: this.lake.commitLog,
      topics: async () => {
        this.topicsAsked += 1;
        return { longestWindowMs: () => this.windowMs };
      },
      logger: silentLogger,
      metrics: new LandingVacuumMetrics(new Registry()),
      elapsedMs: () => this.#elapsedMs,
      now: Date.now,
      searchEveryMs: 24 * 3_600_000,
      ...options,
    });
  }

  run(signal = new AbortController().signal): Promise<LandingReport> {
    if (!this.#vacuum) this.restart();
    return (this.#vacuum as LandingVacuum).run(signal);
  }

  /** Moves the clocks, both by default. */
  pass(ms: number, clocks: { readonly store?: boolean; readonly elapsed?: boolean } = {}): void {
    const { store = true, elapsed = true } = clocks;
    if (store) this.#storeAheadMs += ms;
    if (elapsed) this.#elapsedMs += ms;
  }

  /** Numbers of the commits among these whose landing file exists. */
  async there(...commits: readonly number[]): Promise<number[]> {
    const found: number[] = [];
    for (const commit of commits) {
      const path = (await this.lake.commitLog.entry(commit))?.landing?.file.path;
      if (path !== undefined && (await this.lake.store.get(path)) !== null) found.push(commit);
    }
    return found;
  }

  /** An entry that moves both partitions to this stream time. */
  moveTo(streamTimeMs: number, moved?: readonly number[]): Promise<number> {
    return this.lake.append({}, streamTimeMs, moved);
  }
}
