import { setImmediate as nextTurn } from "node:timers/promises";

/** A clock that stands still until a test moves it. */
export class ManualClock {
  #nowMs: number;
  #timers: { dueAtMs: number; callback: () => void }[] = [];

  constructor(nowMs = 1_795_000_000_000) {
    this.#nowMs = nowMs;
  }

  readonly now = (): number => this.#nowMs;

  readonly after = (delayMs: number, callback: () => void): (() => void) => {
    const timer = { dueAtMs: this.#nowMs + Math.max(0, delayMs), callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  };

  get pendingTimers(): number {
    return this.#timers.length;
  }

  /** Moves on step by step, so that each timer fires at its own time and what it starts may settle first. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await nextTurn();
    for (;;) {
      const next = this.#timers
        .filter((timer) => timer.dueAtMs <= untilMs)
        .sort((left, right) => left.dueAtMs - right.dueAtMs)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueAtMs);
      next.callback();
      await nextTurn();
    }
    this.#nowMs = untilMs;
  }
}
