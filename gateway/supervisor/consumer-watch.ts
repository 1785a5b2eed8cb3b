import type { ConsumerProcessStatus } from "./gateway-status.ts";
import { StuckWork } from "./stuck-work.ts";
import type { ChildStatus } from "./supervised-child.ts";
import { recoveryText } from "./what-waits.ts";

export interface ConsumerWatchOptions {
  /** null = this gateway runs none. */
  readonly child: () => ChildStatus | null;
  /** null = it does not answer. */
  readonly ask: () => Promise<ConsumerProcessStatus | null>;
  readonly stuckAfterMs: number;
  /** ms on a clock that never goes back. */
  readonly elapsedMs: () => number;
}

const intervalMaxMs = 5_000;
/** A process that works answers sooner. */
const answerMs = 500;

/** Asks the consumer now and then how it is, so that a monitor's question never has to wait for it. */
export class ConsumerWatch {
  readonly #options: ConsumerWatchOptions;
  readonly #stuck: StuckWork;
  #last: ConsumerProcessStatus | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** null = nothing is asked. */
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

  /** What it is at if it files nothing yet; [] = it files, or does not answer. */
  progress(): string[] {
    const recovery = this.#last?.recovery;
    return recovery ? [recoveryText(recovery)] : [];
  }

  /** What does not go on, although publishes are acknowledged. */
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

  /** What anyone else who asked the consumer was told. */
  saw(status: ConsumerProcessStatus | null): void {
    const { child, elapsedMs } = this.#options;
    const state = child();
    this.#last = status;
    if (state && state.state !== "stopping" && state.state !== "stopped")
      this.#stuck.look({ child: state, status }, elapsedMs());
  }
}
