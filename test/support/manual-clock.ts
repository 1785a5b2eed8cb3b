import { setImmediate as nextTurn } from "node:timers/promises";

/**
 * Clocks of a machine that stand still until a test moves them: a wall clock, a boot clock, and timers by
 * the boot clock.
 */
export class ManualClock {
  readonly bootId = "00000000000000b1";
  #wallMs: number;
  #elapsedMs = 50_000_000;
  #timers: { dueAtMs: number; callback: () => void }[] = [];

  constructor(nowMs = 1_795_000_000_000) {
    this.#wallMs = nowMs - this.#elapsedMs;
  }

  readonly now = (): number => this.#wallMs + this.#elapsedMs;

  readonly elapsedMs = (): number => this.#elapsedMs;

  /** Sets the wall clock forward, or back. */
  step(byMs: number): void {
    this.#wallMs += byMs;
  }

  /** Stops the process for this time: timers that came due meanwhile fire afterwards, all at once. */
  async sleep(forMs: number): Promise<void> {
    this.#elapsedMs += forMs;
    await this.advance(0);
  }

  readonly after = (delayMs: number, callback: () => void): (() => void) => {
    const timer = { dueAtMs: this.#elapsedMs + Math.max(0, delayMs), callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  };

  get pendingTimers(): number {
    return this.#timers.length;
  }

  /**
   * Advances step by step, so that each timer fires at its own time, and work that it starts may settle
   * first.
   */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#elapsedMs + byMs;
    await nextTurn();
    for (;;) {
      const next = this.#timers
        .filter((timer) => timer.dueAtMs <= untilMs)
        .sort((left, right) => left.dueAtMs - right.dueAtMs)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueAtMs);
      next.callback();
      await nextTurn();
    }
    this.#elapsedMs = untilMs;
  }
}
