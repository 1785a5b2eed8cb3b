import { pino } from "pino";
import { Registry } from "prom-client";
import type { BatchWriter } from "../../bridge/lake/batch-writer.ts";
import type { CommitLog } from "../../bridge/lake/commit-log/commit-log.ts";
import { LakeCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import type { ConsumerOptions } from "../../bridge/lake/consumer/consumer-options.ts";
import type { CheckpointFiles } from "../../bridge/lake/delta/checkpoint-files.ts";
import { createTablePublisher } from "../../bridge/lake/delta/table-publisher.ts";
import type { CommittedRows } from "../../bridge/lake/follow/committed-rows.ts";
import { createCommittedRows } from "../../bridge/lake/follow/followed-rows.ts";
import type { RowReader } from "../../bridge/lake/follow/row-reader.ts";
import { createSeedSource } from "../../bridge/lake/seeding/lake-seed-source.ts";
import type { SettleTablesOptions } from "../../bridge/lake/settle/settle-tables.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { type VacuumOptions, vacuum } from "../../bridge/lake/upkeep/vacuum.ts";
import { createMemoryWindow } from "../../bridge/lake/window/memory/memory-window.ts";
import type { TopicCatalog } from "../../bridge/topics/topic-catalog.ts";
import { dataFileName, JsonBatchWriter, jsonCheckpoints, readJsonSeedRows } from "../support/json-lake.ts";
import { createJsonRowFiles } from "../support/json-landing.ts";
import { JsonLandingBatchWriter } from "../support/json-landing-batch.ts";
import { jsonRowReader } from "../support/json-row-reader.ts";
import { sdkEventTimeMs } from "./event-hour.ts";
import { gatedStore, gatedStream, gatedVacuumStore, gatedWindow } from "./gated-ports.ts";
import { KnownTopics } from "./known-topics.ts";
import { CommitLogAsBefore } from "./older-writers.ts";
import type { Process, Scheduler } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { partitionCount } from "./workload.ts";
import type { World } from "./world.ts";

const logger = pino({ level: "silent" });
export const lakeId = "lake";
/** Each requested entry is a step, so larger reads would only make runs longer. */
const readAhead = 2;

/**
 * Settings for snapshots and checkpoints of the lake's logs, and for keeping older entries; the same for all
 * processes of a run.
 */
export interface LakePeriods {
  readonly entriesPerSnapshot: number;
  readonly commitRetentionMs: number;
  readonly checkpointEntries: number;
  readonly logRetentionMs: number;
  readonly vacuumAgeMs: number;
}

/** The lake of one process; a broken variant may change it. */
export interface LakeFaults {
  readonly breakStore?: (store: ObjectStore) => ObjectStore;
  readonly breakVacuum?: (options: VacuumOptions) => VacuumOptions;
  /** The lake of processes that settle. */
  readonly breakSettlerStore?: (store: ObjectStore, world: World) => ObjectStore;
  /** The lake of followers. */
  readonly breakReader?: (reader: RowReader) => RowReader;
  /** Drawn from the seed if absent. */
  readonly periods?: Partial<LakePeriods>;
}

export interface QueryPorts {
  readonly store: ObjectStore;
  readonly commitLog: CommitLog;
  readonly checkpoints: CheckpointFiles;
}

/** How a run lands rows. */
export interface LandingOfRun {
  /** Rows of one table and event hour that become a table file at once. */
  readonly directRows: number;
}

export interface ProcessFactoryOptions {
  readonly random: SeededRandom;
  readonly scheduler: Scheduler;
  readonly world: World;
  /** True if the window is on a server, which outlives processes. */
  readonly usesServer: boolean;
  readonly faults: LakeFaults;
  /** Number of the last entry of an older version. */
  readonly writtenBefore: number;
  /** null = batches become table files of one event hour. */
  readonly landing: LandingOfRun | null;
}

/** Makes the ports of processes, each with its own clock and settings. */
export class ProcessFactory {
  readonly #options: ProcessFactoryOptions;
  readonly #periods: LakePeriods;
  #files = 0;

  constructor(options: ProcessFactoryOptions) {
    this.#options = options;
    const { random } = options;
    this.#periods = {
      entriesPerSnapshot: 3 + random.below(3),
      commitRetentionMs: random.below(60_000),
      checkpointEntries: 3 + random.below(3),
      logRetentionMs: random.below(30_000),
      vacuumAgeMs: random.chance(0.5) ? 0 : random.below(40_000),
      ...options.faults.periods,
    };
    options.world.lake.vacuumAgeMs = this.#periods.vacuumAgeMs;
  }

  open(process: Process): ConsumerOptions {
    const { random, scheduler, world, usesServer } = this.#options;
    const skewMs = random.below(20_000) - 10_000;
    const now = () => world.clock.nowMs + skewMs;
    // It does not affect filing and forgetting.
    const wallOffMs = random.chance(0.7) ? skewMs : Math.round((random.next() - 0.5) * 40 * 86_400_000);
    const sleep = (delayMs: number) =>
      scheduler.call(process, `sleep ${delayMs}`, () => {
        world.clock.nowMs += random.below(delayMs + 1);
      });
    const stream = gatedStream(scheduler, process, world.stream.open());
    const window = usesServer
      ? world.window
      : createMemoryWindow({ maxBytes: 64 * 1024 * 1024, partitionCount });
    const topics = new KnownTopics({
      all: () => world.workload.topics,
      ask: (effect) => scheduler.call(process, "refresh topics", effect),
    });
    return {
      stream,
      window: gatedWindow(scheduler, process, window),
      ...this.#lakePorts(process, { topics, now, sleep }),
      topics,
      trim: (partition, upTo) => stream.trim(partition, upTo),
      config: {
        maxBatchBytes: 100 * (1 + random.below(30)),
        maxBatchAgeMs: random.below(3000),
        readMaxBytes: 1024 * 1024,
        readMaxEntries: 1 + random.below(4),
        retryMaxMs: 1000,
      },
      logger,
      registry: new Registry(),
      now: () => world.clock.nowMs + wallOffMs,
      elapsedMs: () => world.clock.nowMs,
      random: () => random.next(),
      sleep,
      // A killed process has no timers, so simulated ones are used.
      repeat: () => () => {},
    };
  }

  /** The committed rows for a process that only follows. */
  openFollower(process: Process): CommittedRows {
    const { random, scheduler, world, faults } = this.#options;
    const gated = gatedStore(scheduler, process, world.store);
    const store = faults.breakStore?.(gated) ?? gated;
    const now = () => world.clock.nowMs;
    const { commitRetentionMs: retentionMs } = this.#periods;
    return createCommittedRows({
      store,
      commitLog: new LakeCommitLog(store, lakeId, { create: true, retentionMs, readAhead, now }),
      readAhead: 1 + random.below(3),
      checkpoints: jsonCheckpoints(store),
      openReader: async () => faults.breakReader?.(jsonRowReader(store)) ?? jsonRowReader(store),
      limits: { rowsMax: 1 + random.below(10), bytesMax: Number.POSITIVE_INFINITY },
    });
  }

  /** What a process needs that settles tables. */
  openSettler(process: Process): SettleTablesOptions {
    const { scheduler, world, faults } = this.#options;
    const gated = gatedStore(scheduler, process, world.store);
    const store = faults.breakSettlerStore?.(gated, world) ?? faults.breakStore?.(gated) ?? gated;
    const now = () => world.clock.nowMs;
    const { checkpointEntries, logRetentionMs } = this.#periods;
    return {
      store,
      commitLog: new LakeCommitLog(store, lakeId, { create: true, readAhead, now }),
      topics: new KnownTopics({
        all: () => world.workload.topics,
        ask: (effect) => scheduler.call(process, "refresh topics", effect),
      }),
      rowFiles: createJsonRowFiles(store, () => dataFileName(++this.#files)),
      logger,
      registry: new Registry(),
      now,
      elapsedMs: now,
      checkpoints: jsonCheckpoints(store),
      checkpointEntries,
      logRetentionMs,
      readAhead,
    };
  }

  /** What a process needs that reads the tables as `query` does. */
  openQuery(process: Process): QueryPorts {
    const { scheduler, world, faults } = this.#options;
    const gated = gatedStore(scheduler, process, world.store);
    const store = faults.breakStore?.(gated) ?? gated;
    const now = () => world.clock.nowMs;
    const commitLog = new LakeCommitLog(store, lakeId, { create: true, readAhead, now });
    return { store, commitLog, checkpoints: jsonCheckpoints(store) };
  }

  /** A file of a process that died before its commit. */
  async leaveFile(): Promise<void> {
    const { random, world } = this.#options;
    const table = random.pick(world.workload.topics).name;
    const path = `${table}/event_date=1970-01-01/event_hour=0/${dataFileName(++this.#files)}.parquet`;
    await world.store.put(path, Buffer.from("[]"));
  }

  /** Deletes the files without a commit, as each process does from time to time. */
  async vacuum(process: Process): Promise<void> {
    const { scheduler, world, faults } = this.#options;
    const store = gatedVacuumStore(scheduler, process, world.store);
    const now = () => world.clock.nowMs;
    const options = {
      store,
      commitLog: new LakeCommitLog(store, lakeId, { create: true, now, readAhead }),
      topics: new KnownTopics({ all: () => world.workload.topics, ask: (effect) => effect() }),
      logger,
      checkpoints: jsonCheckpoints(store),
      ageMs: this.#periods.vacuumAgeMs,
      now,
    };
    await vacuum(faults.breakVacuum?.(options) ?? options);
  }

  #batchWriter(store: ObjectStore): BatchWriter {
    const { landing, world, writtenBefore } = this.#options;
    const nextFile = () => dataFileName(++this.#files);
    if (!landing) return new JsonBatchWriter(store, nextFile, { oneHourMs: sdkEventTimeMs });
    // The older version knows no landing files.
    const directRows = () => (world.lake.commits.length < writtenBefore ? 0 : landing.directRows);
    return new JsonLandingBatchWriter(store, nextFile, { directRows });
  }

  #lakePorts(
    process: Process,
    ports: { topics: TopicCatalog; now: () => number; sleep: (delayMs: number) => Promise<void> },
  ): Pick<ConsumerOptions, "commitLog" | "publisher" | "batch" | "seeds"> {
    const { random, scheduler, world, faults, writtenBefore } = this.#options;
    const { topics, now, sleep } = ports;
    const { entriesPerSnapshot, commitRetentionMs, checkpointEntries, logRetentionMs } = this.#periods;
    const gated = gatedStore(scheduler, process, world.store);
    const store = faults.breakStore?.(gated) ?? gated;
    const checkpoints = jsonCheckpoints(store);
    const commitLog = new CommitLogAsBefore(store, lakeId, {
      lastEntry: writtenBefore,
      create: true,
      entriesPerSnapshot,
      retentionMs: commitRetentionMs,
      readAhead,
      now,
      random: () => random.next(),
      sleep,
    });
    return {
      commitLog,
      publisher: createTablePublisher({
        store,
        commitLog,
        topics,
        logger,
        registry: new Registry(),
        now,
        elapsedMs: () => world.clock.nowMs,
        checkpoints,
        checkpointEntries,
        logRetentionMs,
        commitRetentionMs,
        readAhead,
      }),
      batch: this.#batchWriter(store),
      seeds: createSeedSource({ store, commitLog, checkpoints, readRows: readJsonSeedRows }),
    };
  }
}
