import type { ChildStatus } from "../status/child-status.ts";
import type { ConsumerProcessStatus } from "../status/gateway-status.ts";
import { recoveryText } from "../status/what-waits.ts";
import { StuckWork } from "./stuck-work.ts";

export interface ConsumerWatchOptions {
  /** null = this gateway runs no consumer. */
  readonly child: () => ChildStatus | null;
  /** null = the consumer does not answer. */
  readonly ask: () => Promise<ConsumerProcessStatus | null>;
  readonly stuckAfterMs: number;
  /** ms of a monotonic clock. */
  readonly elapsedMs: () => number;
}

const intervalMaxMs = 5_000;
/** A working process answers sooner. */
const answerMs = 500;

/** Polls the status of the consumer, so that requests of monitors never wait for it. */
export class ConsumerWatch {
  readonly #options: ConsumerWatchOptions;
  readonly #stuck: StuckWork;
  #last: ConsumerProcessStatus | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** null = no request is open. */
  #askedAtMs: number | null = null;

  constructor(options: ConsumerWatchOptions) {
    this.#options = options;
    this.#stuck = new StuckWork(options.stuckAfterMs);
  }

  start(): void {
    const intervalMs = Math.min(intervalMaxMs, this.#options.stuckAfterMs / 4);
    this.#timer = setInterval(() => void this.look().catch(() => {}), intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Progress of a recovery; [] = the consumer files, or does not answer. */
  progress(): string[] {
    const recovery = this.#last?.recovery;
    return recovery ? [recoveryText(recovery)] : [];
  }

  /** Stuck work, although publishes are acknowledged. */
  degraded(): string[] {
    const child = this.#options.child();
    const nowMs = this.#options.elapsedMs();
    const isSilent = this.#askedAtMs !== null && nowMs - this.#askedAtMs > answerMs;
    return child ? this.#stuck.reasons(nowMs, { child, isSilent }) : [];
  }

  async look(): Promise<void> {
    const { child, ask, elapsedMs } = this.#options;
    if (this.#askedAtMs !== null || child() === null) return;
    this.#askedAtMs = elapsedMs();
    const status = await ask().finally(() => {
      this.#askedAtMs = null;
    });
    this.saw(status);
  }

  /** Takes over a status that another caller has requested. */
  saw(status: ConsumerProcessStatus | null): void {
    const { child, elapsedMs } = this.#options;
    const state = child();
    this.#last = status;
    if (state && state.state !== "stopping" && state.state !== "stopped")
      this.#stuck.look({ child: state, status }, elapsedMs());
  }
}
