import { type BootClock, openBootClock } from "../boot-clock.ts";

/** The producer's clocks and timers; a parameter, so that tests control time. */
export interface ProducerClock extends BootClock {
  /** Wall clock, ms since the epoch. Durations come from `elapsedMs`. */
  now(): number;
  /** Calls back once, not before `delayMs`. Returns a function that cancels the call. */
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
