import type { Logger } from "pino";
import type { TopicVersion } from "./topic-catalog.ts";

const lineIntervalMs = 60_000;

/** Tells of messages that could not be judged or written for a fault of ours: a line with the stack a minute for each topic version, with their number. */
export class JudgingFaults {
  readonly #logger: Logger;
  readonly #elapsedMs: () => number;
  readonly #step: "judging" | "filing";
  readonly #topics = new WeakMap<TopicVersion, { toldAtMs: number; untold: number }>();

  /** @param step What failed: `filing` = no file could be written with them. */
  constructor(logger: Logger, elapsedMs: () => number, step: "judging" | "filing" = "judging") {
    this.#logger = logger;
    this.#elapsedMs = elapsedMs;
    this.#step = step;
  }

  met(error: unknown, topic: TopicVersion): void {
    const nowMs = this.#elapsedMs();
    const state = this.#topics.get(topic) ?? { toldAtMs: Number.NEGATIVE_INFINITY, untold: 0 };
    this.#topics.set(topic, state);
    state.untold += 1;
    if (nowMs - state.toldAtMs < lineIntervalMs) return;
    const fields = { topic: topic.name, version: topic.version, messages: state.untold, err: error };
    state.toldAtMs = nowMs;
    state.untold = 0;
    this.#logger.error(
      { event: `consumer.${this.#step}.failed`, ...fields },
      `a fault of Tidegate: messages are in _quarantine as ${this.#step}-failed; please report it`,
    );
  }
}
