import type { Logger } from "pino";
import { BridgeError } from "../../errors.ts";
import type { UpkeepMetrics } from "./upkeep-metrics.ts";
import type { UpkeepFailure, UpkeepStatus } from "./upkeep-status.ts";

/**
 * PORT: one kind of work on the lake. Two processes may do the same work at once: the entries and fences of
 * the logs must make that safe.
 */
export interface UpkeepWork {
  /** One word, for people and for labels. */
  readonly name: string;
  /** The longest delay between two attempts while it fails. Default an hour. */
  readonly retryMaxMs?: number;
  /** By `elapsedMs` of the loop. Asked before each choice, so it must be cheap. */
  dueAtMs(): number;
  /** Does one piece, and says when the next one is due. After an abort, ends at the next place where it may. */
  run(signal: AbortSignal): Promise<void>;
}

export interface UpkeepLoopOptions {
  /** By importance: of several that are due, the first is done. */
  readonly works: readonly UpkeepWork[];
  /** False = another process does the upkeep of this lake. */
  readonly isOurs: () => boolean;
  readonly logger: Logger;
  readonly metrics: UpkeepMetrics;
  readonly now: () => number;
  /** Monotonic, ms. */
  readonly elapsedMs: () => number;
  /** Resolves after this time, or when the signal aborts. Never rejects. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** How often the loop asks whether the upkeep is its own, and what is due. */
const pollMs = 1_000;
const retry = { baseMs: 10_000, maxMs: 3_600_000 };

interface Failing extends UpkeepFailure {
  /** By `elapsedMs`. */
  readonly retryAtMs: number;
}

/** Does the work on a lake, one piece at a time. Work that fails is retried with growing delays. */
export class UpkeepLoop {
  readonly #options: UpkeepLoopOptions;
  readonly #stop = new AbortController();
  /** By the name of the work. */
  readonly #failing = new Map<string, Failing>();
  #running: Promise<void> | null = null;
  #doing: UpkeepStatus["doing"] = null;
  #last: UpkeepStatus["last"] = null;
  #wasOurs: boolean | null = null;

  constructor(options: UpkeepLoopOptions) {
    this.#options = options;
    for (const { name } of options.works) options.metrics.failing(name, false);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves once the piece of work in progress has ended. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  status(): UpkeepStatus {
    const { now, elapsedMs } = this.#options;
    const next = this.#next();
    return {
      state: this.#state(),
      doing: this.#doing,
      last: this.#last,
      next: next && { work: next.work.name, atMs: now() + Math.max(0, next.dueAtMs - elapsedMs()) },
      failure: this.#failure(),
    };
  }

  #state(): UpkeepStatus["state"] {
    if (this.#doing) return "working";
    if (this.#stop.signal.aborted) return "stopped";
    return this.#options.isOurs() ? "waiting" : "standing-by";
  }

  #failure(): UpkeepFailure | null {
    for (const { name } of this.#options.works) {
      const failing = this.#failing.get(name);
      if (!failing) continue;
      const { retryAtMs: _, ...failure } = failing;
      return failure;
    }
    return null;
  }

  async #run(): Promise<void> {
    const { elapsedMs, sleep } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#noteTurn();
      const next = this.#next();
      const waitMs = next === null ? pollMs : Math.min(pollMs, next.dueAtMs - elapsedMs());
      if (next !== null && waitMs <= 0) await this.#do(next.work);
      else await sleep(waitMs, signal);
    }
  }

  /** The work that is due, or the one that is due next; null if another process does the upkeep. */
  #next(): { readonly work: UpkeepWork; readonly dueAtMs: number } | null {
    const { works, isOurs, elapsedMs } = this.#options;
    if (this.#stop.signal.aborted || !isOurs()) return null;
    const planned = works.map((work) => ({ work, dueAtMs: this.#dueAtMs(work) }));
    const due = planned.find(({ dueAtMs }) => dueAtMs <= elapsedMs());
    if (due) return due;
    const [first = null] = planned.toSorted((left, right) => left.dueAtMs - right.dueAtMs);
    return first;
  }

  #dueAtMs(work: UpkeepWork): number {
    return Math.max(work.dueAtMs(), this.#failing.get(work.name)?.retryAtMs ?? 0);
  }

  async #do(work: UpkeepWork): Promise<void> {
    const { metrics, now, elapsedMs } = this.#options;
    const { signal } = this.#stop;
    const startedAtMs = elapsedMs();
    this.#doing = { work: work.name, sinceMs: now() };
    try {
      await work.run(signal);
      this.#last = { work: work.name, endedAtMs: now(), tookMs: elapsedMs() - startedAtMs };
      metrics.ran(work.name, "done", elapsedMs() - startedAtMs);
      this.#succeeded(work);
    } catch (error) {
      metrics.ran(work.name, signal.aborted ? "aborted" : "failed", elapsedMs() - startedAtMs);
      if (!signal.aborted) this.#failed(work, error);
    } finally {
      this.#doing = null;
    }
  }

  #succeeded({ name }: UpkeepWork): void {
    const { logger, metrics } = this.#options;
    if (!this.#failing.delete(name)) return;
    metrics.failing(name, false);
    logger.info({ event: "upkeep.recovered", work: name }, `the ${name} of the lake works again`);
  }

  #failed({ name, retryMaxMs = retry.maxMs }: UpkeepWork, error: unknown): void {
    const { logger, metrics, now, elapsedMs } = this.#options;
    const earlier = this.#failing.get(name);
    const attempts = (earlier?.attempts ?? 0) + 1;
    const delayMs = Math.min(retryMaxMs, retry.baseMs * 2 ** (attempts - 1));
    const code = error instanceof BridgeError ? error.code : "INTERNAL_ERROR";
    this.#failing.set(name, {
      work: name,
      code,
      message: error instanceof Error ? error.message : String(error),
      sinceMs: earlier?.sinceMs ?? now(),
      attempts,
      retryAtMs: elapsedMs() + delayMs,
    });
    metrics.failing(name, true);
    const fields = { event: "upkeep.failed", work: name, code, attempts, err: error };
    logger.warn(fields, `the ${name} of the lake failed and is retried in ${delayMs / 1_000} s`);
  }

  #noteTurn(): void {
    const { isOurs, logger, metrics } = this.#options;
    const ours = isOurs();
    if (ours === this.#wasOurs) return;
    this.#wasOurs = ours;
    metrics.active(ours);
    if (ours) logger.info({ event: "upkeep.taken" }, "this gateway does the upkeep of the lake");
    else logger.info({ event: "upkeep.standing-by" }, "this gateway does not hold the lease of the upkeep");
  }
}
