/** Time as the producer sees it; a parameter so that tests decide what time it is. */
export interface ProducerClock {
  /** Ms since the epoch. */
  now(): number;
  /** Calls back once, not before `delayMs`. Answers how to call it off. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: ProducerClock = {
  now: Date.now,
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
