import type { Logger } from "pino";
import type { TopicVersion } from "../topics/topic-catalog.ts";

const lineIntervalMs = 60_000;

/**
 * Logs messages that could not be judged or filed because of a fault of Tidegate: for each topic version, at
 * most one line a minute, with the stack and the number of messages.
 */
export class JudgingFaults {
  readonly #logger: Logger;
  readonly #elapsedMs: () => number;
  readonly #step: "judging" | "filing";
  readonly #topics = new WeakMap<TopicVersion, { toldAtMs: number; untold: number }>();

  /** @param step The step that failed; `filing` = no file with the messages could be written. */
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
