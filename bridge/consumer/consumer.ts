import assert from "node:assert/strict";
import type { Registry } from "prom-client";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import type { LakeState } from "../storage/commit-log.ts";
import { moveOf } from "../storage/past-partitions.ts";
import type { StreamEntry } from "../streams/stream-log.ts";
import type { AcceptedGap } from "./accept-gap.ts";
import { AcceptRequests, stopped } from "./accept-requests.ts";
import { BackOff, isRetryable, type Sleep, sleepWithTimer } from "./back-off.ts";
import type { ConsumerConfig } from "./consumer-config.ts";
import { ConsumerMetrics } from "./consumer-metrics.ts";
import type { ConsumerContext, ConsumerPorts } from "./consumer-ports.ts";
import { type ConsumerState, type ConsumerStatus, endedPartitions } from "./consumer-status.ts";
import { cutBatch } from "./cut-batch.ts";
import { DedupeKeyMaker } from "./dedupe-key.ts";
import { DrainGoal } from "./drain-goal.ts";
import { FilingGuard } from "./filing-guard.ts";
import { MessageJudge } from "./judge-message.ts";
import { JudgingFaults } from "./judging-faults.ts";
import { LookUpBudget, type LookUpLimits, lookUpLimits } from "./look-up-budget.ts";
import { NameReadings } from "./name-readings.ts";
import { ownEverything, type PartitionLeases } from "./partition-leases.ts";
import { PartitionObserver } from "./partition-observer.ts";
import { PartitionShare } from "./partition-share.ts";
import { type AttemptStore, PoisonGuard } from "./poison-guard.ts";
import { type ReadOutcome, readPartition } from "./read-partition.ts";
import { recordPartitions } from "./record-partitions.ts";
import { recover } from "./recover.ts";
import { RecoveryProgress } from "./recovery-progress.ts";
import { type Repeat, RetentionAlarm } from "./retention-alarm.ts";
import { processCpuMs, SchemaChecks } from "./schema-checks.ts";
import type { TopicVersion } from "./topic-catalog.ts";
import { WindowAlarm } from "./window-alarm.ts";

/** Longest wait for new blocks before halted partitions and the stream's state are looked at again. */
const IDLE_MAX_MS = 1000;
/**
 * Blocks that follow one another closely are read together: a call to stream and window costs as much as dozens of messages, and so does
 * waking up with cold caches. Batches are seconds old, so nobody waits for this.
 */
const GATHER_MS = 200;
/** Age of a batch while the stream is short of room. Not less: others may be the ones that fill it, and a commit for each run of blocks helps nobody. */
const PRESSED_BATCH_AGE_MS = 250;

export interface ConsumerOptions extends ConsumerPorts {
  readonly config: ConsumerConfig;
  readonly registry: Registry;
  /** Default: a timer. */
  readonly sleep?: Sleep;
  /** For the alarm of what the stream may forget; by a timer if absent. */
  readonly repeat?: Repeat;
  /** Of the lake, for messages whose id only the exact mode still knows. */
  readonly lookUpLimits?: LookUpLimits;
  /** Called for each step of its loop: at least every few seconds, unless it waits for a call. */
  readonly onStep?: () => void;
  /** Where to keep what survives the process's death; without it a batch that kills it does so for ever. */
  readonly attempts?: AttemptStore;
  /** Which partitions to read. The consumer closes them when it ends. Default: all. */
  readonly leases?: PartitionLeases;
}

/** Carries messages from the stream into the lake's tables, each exactly once. */
export interface Consumer {
  /** Runs until `stop`. Rejects with the first failure that trying again can't mend; the process should then end. */
  run(): Promise<void>;
  /**
   * `drain`: files and commits what is in the stream now, then ends; otherwise ends after the step that is under way, and the
   * open batch is read again next time. May be called again to stop draining. Resolves when `run` has ended.
   */
  stop(options: { drain: boolean }): Promise<void>;
  status(): ConsumerStatus;
  /** The same, after the stream was asked what it holds, if it answers within a second. Never rejects. */
  lookedUp(): Promise<ConsumerStatus>;
  /**
   * Lets a partition that stopped at lost or damaged blocks go on behind them; what is lost is part of its books from then on.
   * Rejects with STREAM_NO_GAP where nothing is to be accepted, with CONSUMER_NOT_OWNER where another process reads the partition, with
   * CONSUMER_STOPPED where the consumer ended or recovered meanwhile.
   */
  acceptGap(partition: number): Promise<AcceptedGap>;
}

/** `superseded`: somebody else moved a partition or its window; `rebalanced`: the leases give others than before. */
type SessionEnd = "ended" | "superseded" | "rebalanced";

class ConsumerLoop implements Consumer {
  readonly #context: ConsumerContext;
  readonly #guard: PoisonGuard;
  readonly #leases: PartitionLeases;
  readonly #share: PartitionShare;
  readonly #alarm: RetentionAlarm;
  readonly #observer: PartitionObserver;
  readonly #requests = new AcceptRequests();
  readonly #onStep: (() => void) | undefined;
  #state: ConsumerState = "recovering";
  #lake: LakeState | undefined;
  #openedAtMs: number | null = null;
  #observedAtMs = 0;
  #draining: DrainGoal | null = null;
  #firstToRead = 0;
  #run: Promise<void> | undefined;
  #failures = 0;
  /** The log was told of a failure, and not yet of its end. */
  #isFailing = false;
  #lastCommit: ConsumerStatus["lastCommit"] = null;
  #lastFailure: ConsumerStatus["lastFailure"] = null;
  #batches = 0;
  #replayedBatches = 0;
  #publishesRepaired = 0;

  constructor(options: ConsumerOptions) {
    const { config, random, stream, logger, registry, elapsedMs, repeat } = options;
    const sleep = options.sleep ?? sleepWithTimer;
    const judgingFaults = new JudgingFaults(logger, elapsedMs);
    const unexpected = (error: unknown, topic: TopicVersion) => judgingFaults.met(error, topic);
    this.#context = {
      ...options,
      metrics: new ConsumerMetrics(options.registry),
      judge: new MessageJudge(unexpected),
      checks: new SchemaChecks({ elapsedMs, cpuMs: processCpuMs, unexpected }),
      readings: new NameReadings(options.topics),
      windowAlarm: new WindowAlarm(options.logger),
      progress: new RecoveryProgress(elapsedMs, registry),
      lookUps: new LookUpBudget(options.lookUpLimits ?? lookUpLimits, elapsedMs),
      keys: new DedupeKeyMaker(),
      filing: new FilingGuard(options, new JudgingFaults(logger, elapsedMs, "filing")),
      backOff: new BackOff({ maxMs: config.retryMaxMs, random, sleep }),
    };
    this.#onStep = options.onStep;
    this.#guard = new PoisonGuard(options.attempts, options.logger);
    this.#leases = options.leases ?? ownEverything();
    this.#leases.onChange(() => this.#context.backOff.wake());
    stream.onPartitionsChange(() => this.#context.backOff.wake());
    this.#share = new PartitionShare(this.#leases, stream);
    const cursors = () => this.#share.cursors;
    this.#alarm = new RetentionAlarm({ stream, cursors, logger, registry, elapsedMs, repeat });
    this.#observer = new PartitionObserver(this.#context, this.#alarm);
  }

  run(): Promise<void> {
    assert(!this.#run, "a consumer runs once");
    this.#run = this.#loop();
    return this.#run;
  }

  async stop(options: { drain: boolean }): Promise<void> {
    const { stream, elapsedMs } = this.#context;
    if (options.drain) this.#draining ??= new DrainGoal(stream, elapsedMs);
    else this.#context.backOff.stop();
    this.#context.backOff.wake();
    await this.#run?.catch(() => {});
  }

  async acceptGap(partition: number): Promise<AcceptedGap> {
    if (!this.#run || this.#state === "stopped") throw stopped();
    const accepted = this.#requests.add(partition);
    this.#context.backOff.wake();
    return await accepted;
  }

  status(): ConsumerStatus {
    const { stream, commitLog, publisher } = this.#context;
    const isRecovering = this.#state === "recovering" || this.#state === "backing-off";
    return {
      state: this.#state,
      recovery: this.#context.progress.status,
      lakeId: commitLog.lakeId,
      streamId: stream.streamId,
      partitions: this.#observer.status(this.#share.cursors, { isRecovering }),
      ...endedPartitions(this.#lake, stream.streamId, this.#share.cursors),
      tables: publisher.troubles(),
      leases: this.#leases.status(),
      window: this.#context.windowAlarm.status,
      lastCommit: this.#lastCommit,
      batches: this.#batches,
      replayedBatches: this.#replayedBatches,
      publishesRepaired: this.#publishesRepaired,
      lastFailure: this.#lastFailure,
    };
  }

  async lookedUp(): Promise<ConsumerStatus> {
    await this.#observer.lookAgain(this.#share.cursors);
    return this.status();
  }

  async #loop(): Promise<void> {
    const { backOff } = this.#context;
    let isLeaving = false;
    this.#alarm.start();
    try {
      while (!backOff.isStopping) {
        this.#onStep?.();
        const end = await this.#sessionOrFailure();
        await this.#giveUpBatch();
        if (end === "ended") break;
        await this.#share.handOver();
        if (end === "rebalanced") continue;
        this.#state = "backing-off";
        this.#context.progress.end();
        await backOff.afterFailure(this.#failures++);
      }
      await this.#guard.end();
      isLeaving = true;
    } finally {
      this.#state = "stopped";
      this.#context.progress.end();
      this.#alarm.stop();
      this.#requests.refuse();
      await this.#leases.close({ isLeaving });
    }
  }

  async #sessionOrFailure(): Promise<SessionEnd | "failed"> {
    const { logger, metrics, now } = this.#context;
    try {
      return await this.#session();
    } catch (error) {
      const code = error instanceof CodedError ? error.code : "unexpected";
      const message = error instanceof Error ? error.message : String(error);
      this.#lastFailure = { code, message, atMs: now() };
      if (!isRetryable(error)) throw error;
      if (code === "FILING_FAILED") await this.#context.filing.failed(this.#share.cursors, error);
      metrics.failed("loop");
      this.#isFailing = true;
      logger.warn({ event: "consumer.failed", code, failures: this.#failures, err: error }, "recovering");
      return "failed";
    }
  }

  /** From recovery until something makes another one necessary. */
  async #session(): Promise<SessionEnd> {
    this.#state = "recovering";
    this.#context.progress.at("partitions");
    this.#share.offer(await recordPartitions(this.#context));
    this.#adopt();
    const recovered = await recover(this.#context, this.#share.cursors);
    if (!recovered) return "superseded";
    this.#lake = recovered.lake;
    this.#publishesRepaired += recovered.published;
    this.#context.metrics.repaired(recovered.published);
    if (await this.#guard.begin(this.#share.cursors)) this.#countReplay();
    this.#context.filing.begin(this.#share.cursors);
    this.#state = "running";
    this.#context.progress.end();
    this.#tellRecovery();
    await this.#observe();
    for (;;) {
      if (this.#context.backOff.isStopping) return "ended";
      this.#onStep?.();
      if (!this.#share.isCurrent) return (await this.#cut()) ? "rebalanced" : "superseded";
      const pass = await this.#pass();
      if (pass === "superseded") return pass;
      const isDrained = await this.#isDrained(pass);
      if (this.#isDue() || isDrained || !this.#requests.isEmpty)
        if (!(await this.#cut())) return "superseded";
      if (!(await this.#serveRequests())) return "superseded";
      if (isDrained && this.#share.isCurrent) return "ended";
      if (pass !== "progress") await this.#rest(pass);
    }
  }

  #tellRecovery(): void {
    if (this.#isFailing)
      this.#context.logger.info({ event: "consumer.recovered" }, "the consumer reads and files again");
    this.#isFailing = false;
  }

  #adopt(): void {
    for (const partition of this.#share.adopt()) this.#observer.handedOver(partition);
    this.#context.metrics.owned(this.#share.cursors.length);
  }

  /** One run of blocks from each partition, each time beginning with another one. Answers what the one with the most left does. */
  async #pass(): Promise<ReadOutcome> {
    const { elapsedMs, config } = this.#context;
    let pass: ReadOutcome = "idle";
    const { cursors } = this.#share;
    const first = ++this.#firstToRead % cursors.length || 0;
    for (const cursor of [...cursors.slice(first), ...cursors.slice(0, first)]) {
      if (this.#isFull()) break;
      if (cursor.halt && (cursor.halt.retryAtMs === null || cursor.halt.retryAtMs > elapsedMs())) continue;
      const maxEntries = Math.min(config.readMaxEntries, this.#blocksMax - this.#openBlocks());
      const guarded = {
        beforeTaking: (entries: readonly StreamEntry[]) => this.#guard.beforeTaking(cursors, cursor, entries),
        nothingTaken: () => this.#guard.nothingTaken(cursors),
      };
      const outcome = await readPartition(this.#context, cursor, { maxEntries, ...guarded });
      if (outcome === "superseded") return outcome;
      if (cursor.hasMoved) this.#openedAtMs ??= elapsedMs();
      if (outcome === "progress" || pass === "idle") pass = outcome;
    }
    return pass;
  }

  async #isDrained(pass: ReadOutcome): Promise<boolean> {
    return this.#draining !== null && (await this.#draining.isReached(this.#share.cursors, pass === "idle"));
  }

  #isFull(): boolean {
    const { batch, config } = this.#context;
    return batch.bytes >= config.maxBatchBytes || this.#openBlocks() >= this.#blocksMax;
  }

  get #blocksMax(): number {
    return Math.min(this.#guard.blocksMax, this.#context.filing.blocksMax);
  }

  #openBlocks(): number {
    return this.#share.cursors.reduce((sum, cursor) => sum + cursor.openBlocks, 0);
  }

  #isDue(): boolean {
    if (this.#openedAtMs === null) return false;
    const ageMs = this.#context.elapsedMs() - this.#openedAtMs;
    return ageMs >= this.#batchAgeMaxMs() || this.#isFull();
  }

  #batchAgeMaxMs(): number {
    const { config, isUnderPressure } = this.#context;
    return isUnderPressure?.() ? Math.min(config.maxBatchAgeMs, PRESSED_BATCH_AGE_MS) : config.maxBatchAgeMs;
  }

  /** False: recover. */
  async #cut(): Promise<boolean> {
    if (this.#openedAtMs === null) return true;
    const open = {
      openedAtMs: this.#openedAtMs,
      guard: this.#guard,
      isStanding: () => this.#share.isStanding,
    };
    const committed = await cutBatch(this.#context, this.#share.cursors, open);
    if (committed.outcome !== "committed") return false;
    this.#lake = committed.lake;
    this.#share.offer(committed.lake);
    this.#openedAtMs = null;
    this.#failures = 0;
    this.#batches += 1;
    this.#lastCommit = { number: committed.lake.number, atMs: this.#context.now() };
    await this.#observe();
    return true;
  }

  #serveRequests(): Promise<boolean> {
    return this.#requests.serve(this.#context, this.#share, (lake) => {
      this.#lake = lake;
      this.#share.offer(lake);
    });
  }

  /** Until there may be more to read than a few blocks, or the batch is due. */
  async #rest(pass: "idle" | "tail"): Promise<void> {
    const { stream, backOff, elapsedMs } = this.#context;
    if (elapsedMs() - this.#observedAtMs >= IDLE_MAX_MS) await this.#observe();
    const waitMs = Math.min(this.#dueInMs(), IDLE_MAX_MS);
    if (waitMs <= 0 || !this.#requests.isEmpty || !this.#share.isCurrent) return;
    const read = this.#share.cursors.filter(({ halt }) => halt === null);
    const partitions = read.map(({ partition }) => partition);
    // Blocks that are not read here must not keep it awake.
    if (partitions.length === 0) return await backOff.pause(waitMs);
    if (pass === "idle") await backOff.until(stream.waitForAppend(waitMs, partitions));
    await backOff.pause(Math.min(Math.max(this.#dueInMs(), 0), GATHER_MS));
  }

  #dueInMs(): number {
    if (this.#openedAtMs === null) return IDLE_MAX_MS;
    return this.#openedAtMs + this.#batchAgeMaxMs() - this.#context.elapsedMs();
  }

  async #observe(): Promise<void> {
    const { window, windowAlarm, metrics, publisher, elapsedMs } = this.#context;
    this.#observedAtMs = elapsedMs();
    if (publisher.isRetryDue()) await publisher.publishPending();
    if (this.#share.isOfferOld) this.#share.offer(await recordPartitions(this.#context));
    const status = await window.status();
    metrics.window(status);
    windowAlarm.observe(status);
    await this.#observer.observe(this.#share.cursors);
  }

  async #giveUpBatch(): Promise<void> {
    await this.#context.batch.discard();
    if (this.#openedAtMs === null) return;
    for (const cursor of this.#share.cursors) cursor.rewind(this.#lake && moveOf(this.#lake, cursor.key));
    this.#openedAtMs = null;
    this.#countReplay();
  }

  #countReplay(): void {
    this.#replayedBatches += 1;
    this.#context.metrics.replayed();
  }
}

export function createConsumer(options: ConsumerOptions): Consumer {
  return new ConsumerLoop(options);
}
