import { type BootClock, openBootClock } from "../boot-clock.ts";

/** Time as the producer sees it; a parameter so that tests decide what time it is. */
export interface ProducerClock extends BootClock {
  /** Wall clock, ms since the epoch. What is compared is measured by `elapsedMs`. */
  now(): number;
  /** Calls back once, not before `delayMs`. Answers how to call it off. */
  after(delayMs: number, callback: () => void): () => void;
}

export function systemClock(bootClock: BootClock = openBootClock()): ProducerClock {
  return {
    bootId: bootClock.bootId,
    elapsedMs: () => bootClock.elapsedMs(),
    now: Date.now,
    after: (delayMs, callback) => {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
  };
}
