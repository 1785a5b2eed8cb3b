import assert from "node:assert/strict";
import { ownEverything, type PartitionLeases } from "../../leases/partition-leases.ts";
import type { StreamEntry } from "../../streams/stream-log.ts";
import type { LakeState } from "../commit-log/commit-log.ts";
import { isRetryable } from "./back-off.ts";
import { recordPartitions } from "./commit/record-partitions.ts";
import type { ConsumerHistory } from "./consumer-history.ts";
import type { ConsumerOptions } from "./consumer-options.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { type ConsumerState, type ConsumerStatus, endedPartitions } from "./consumer-status.ts";
import { createContext } from "./create-context.ts";
import { DrainGoal } from "./drain-goal.ts";
import type { AcceptedGap } from "./gaps/accept-gap.ts";
import { AcceptRequests, stopped } from "./gaps/accept-requests.ts";
import { PoisonGuard } from "./guard/poison-guard.ts";
import { OpenBatch } from "./open-batch.ts";
import { PartitionObserver } from "./partition-observer.ts";
import { PartitionShare } from "./partitions/partition-share.ts";
import { type ReadOutcome, readPartition } from "./read-partition.ts";
import { recover } from "./recover.ts";
import { RetentionAlarm } from "./retention-alarm.ts";

/** Longest wait for new blocks before the consumer checks halted partitions and the stream's state again. */
const idleMaxMs = 1000;
/**
 * How long to gather blocks that follow closely. A call to stream and window costs as much as dozens of
 * messages, and so does a wake-up with cold caches. Batches are seconds old, so this delay does not matter.
 */
const gatherMs = 200;

/** Files each message of the stream in the lake's tables exactly once. */
export interface Consumer {
  /**
   * Runs until `stop`. Rejects with the first failure that a retry cannot repair; the process should then
   * end.
   */
  run(): Promise<void>;
  /**
   * With `drain`, files and commits what is in the stream now, then ends. Otherwise ends after the current
   * step, and the open batch is read again next time. A second call without `drain` ends the draining.
   * Resolves when `run` has ended.
   */
  stop(options: { drain: boolean }): Promise<void>;
  status(): ConsumerStatus;
  /** The status after asking the stream what it holds, if it answers within a second. Never rejects. */
  lookedUp(): Promise<ConsumerStatus>;
  /**
   * Accepts the loss of a partition that halted at lost or damaged blocks, and continues after them; the
   * books count the loss. Rejects with STREAM_NO_GAP if there is nothing to accept, with CONSUMER_NOT_OWNER
   * if another process reads the partition, with CONSUMER_STOPPED if the consumer ended or recovered
   * meanwhile.
   */
  acceptGap(partition: number): Promise<AcceptedGap>;
}

/**
 * `superseded`: another process moved a partition or its window. `rebalanced`: the leases give other
 * partitions than before.
 */
type SessionEnd = "ended" | "superseded" | "rebalanced";

class ConsumerLoop implements Consumer {
  readonly #context: ConsumerContext;
  readonly #guard: PoisonGuard;
  readonly #leases: PartitionLeases;
  readonly #share: PartitionShare;
  readonly #batch: OpenBatch;
  readonly #alarm: RetentionAlarm;
  readonly #observer: PartitionObserver;
  readonly #history: ConsumerHistory;
  readonly #requests = new AcceptRequests();
  readonly #onStep: (() => void) | undefined;
  #state: ConsumerState = "recovering";
  #lake: LakeState | undefined;
  #observedAtMs = 0;
  #draining: DrainGoal | null = null;
  #firstToRead = 0;
  #run: Promise<void> | undefined;
  #failures = 0;

  constructor(options: ConsumerOptions) {
    const { stream, logger, registry, elapsedMs, repeat } = options;
    this.#context = createContext(options);
    this.#onStep = options.onStep;
    this.#guard = new PoisonGuard(options.attempts, options.logger);
    this.#leases = options.leases ?? ownEverything();
    this.#leases.onChange(() => this.#context.backOff.wake());
    stream.onPartitionsChange(() => this.#context.backOff.wake());
    this.#share = new PartitionShare(this.#leases, stream);
    this.#batch = new OpenBatch(this.#context, this.#share, this.#guard);
    const cursors = () => this.#share.cursors;
    this.#alarm = new RetentionAlarm({ stream, cursors, logger, registry, elapsedMs, repeat });
    this.#observer = new PartitionObserver(this.#context, this.#alarm);
    this.#history = this.#context.history;
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
      eventTimesOutside: this.#context.outsideTimes.status,
      leases: this.#leases.status(),
      window: this.#context.windowAlarm.status,
      ...this.#history.status,
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
        if (await this.#batch.giveUp(this.#lake)) this.#history.replayed();
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
    try {
      return await this.#session();
    } catch (error) {
      this.#history.failed(error);
      if (!isRetryable(error)) throw error;
      if (error.code === "FILING_FAILED") await this.#context.filing.failed(this.#share.cursors, error);
      this.#history.retrying(error, this.#failures);
      return "failed";
    }
  }

  /** Reads from a recovery until the next one is necessary. */
  async #session(): Promise<SessionEnd> {
    this.#state = "recovering";
    this.#context.progress.at("partitions");
    this.#share.offer(await recordPartitions(this.#context));
    this.#adopt();
    const recovered = await recover(this.#context, this.#share.cursors);
    if (!recovered) return "superseded";
    this.#lake = recovered.lake;
    this.#history.repaired(recovered.published);
    if (await this.#guard.begin(this.#share.cursors)) this.#history.replayed();
    this.#context.filing.begin(this.#share.cursors);
    this.#state = "running";
    this.#context.progress.end();
    this.#history.recovered();
    await this.#observe();
    for (;;) {
      if (this.#context.backOff.isStopping) return "ended";
      this.#onStep?.();
      if (!this.#share.isCurrent) return (await this.#cut()) ? "rebalanced" : "superseded";
      const pass = await this.#pass();
      if (pass === "superseded") return pass;
      const isDrained = await this.#isDrained(pass);
      if (this.#batch.isDue || isDrained || !this.#requests.isEmpty)
        if (!(await this.#cut())) return "superseded";
      if (!(await this.#serveRequests())) return "superseded";
      if (isDrained && this.#share.isCurrent) return "ended";
      if (pass !== "progress") await this.#rest(pass);
    }
  }

  #adopt(): void {
    for (const partition of this.#share.adopt()) this.#observer.handedOver(partition);
    this.#context.metrics.owned(this.#share.cursors.length);
  }

  /**
   * Reads one run of blocks from each partition, and starts with another partition each time. Resolves with
   * the outcome of the partition with the most left to read.
   */
  async #pass(): Promise<ReadOutcome> {
    const { elapsedMs, config } = this.#context;
    let pass: ReadOutcome = "idle";
    const { cursors } = this.#share;
    const first = ++this.#firstToRead % cursors.length || 0;
    for (const cursor of [...cursors.slice(first), ...cursors.slice(0, first)]) {
      if (this.#batch.isFull) break;
      if (cursor.halt && (cursor.halt.retryAtMs === null || cursor.halt.retryAtMs > elapsedMs())) continue;
      const maxEntries = Math.min(config.readMaxEntries, this.#batch.blocksLeft);
      const guarded = {
        beforeTaking: (entries: readonly StreamEntry[]) => this.#guard.beforeTaking(cursors, cursor, entries),
        nothingTaken: () => this.#guard.nothingTaken(cursors),
      };
      const outcome = await readPartition(this.#context, cursor, { maxEntries, ...guarded });
      if (outcome === "superseded") return outcome;
      this.#batch.wasRead(cursor);
      if (outcome === "progress" || pass === "idle") pass = outcome;
    }
    return pass;
  }

  async #isDrained(pass: ReadOutcome): Promise<boolean> {
    return this.#draining !== null && (await this.#draining.isReached(this.#share.cursors, pass === "idle"));
  }

  /** Resolves with false if a recovery is necessary. */
  async #cut(): Promise<boolean> {
    const committed = await this.#batch.cut();
    if (committed === null) return true;
    if (committed.outcome !== "committed") return false;
    this.#lake = committed.lake;
    this.#share.offer(committed.lake);
    this.#failures = 0;
    this.#history.committed(committed.lake.number);
    await this.#observe();
    return true;
  }

  #serveRequests(): Promise<boolean> {
    return this.#requests.serve(this.#context, this.#share, (lake) => {
      this.#lake = lake;
      this.#share.offer(lake);
    });
  }

  /** Waits until more than a few blocks may be readable, or the batch is due. */
  async #rest(pass: "idle" | "tail"): Promise<void> {
    const { stream, backOff, elapsedMs } = this.#context;
    if (elapsedMs() - this.#observedAtMs >= idleMaxMs) await this.#observe();
    const waitMs = Math.min(this.#batch.dueInMs, idleMaxMs);
    if (waitMs <= 0 || !this.#requests.isEmpty || !this.#share.isCurrent) return;
    const read = this.#share.cursors.filter(({ halt }) => halt === null);
    const partitions = read.map(({ partition }) => partition);
    // Blocks of halted partitions must not wake the consumer.
    if (partitions.length === 0) return await backOff.pause(waitMs);
    if (pass === "idle") await backOff.until(stream.waitForAppend(waitMs, partitions));
    await backOff.pause(Math.min(Math.max(this.#batch.dueInMs, 0), gatherMs));
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
    const nowMs = elapsedMs();
    for (const cursor of this.#share.cursors)
      if (cursor.isIdle(nowMs)) window.idle?.(cursor.partition, nowMs);
  }
}

export function createConsumer(options: ConsumerOptions): Consumer {
  return new ConsumerLoop(options);
}
