import { SimulatorError } from "../errors.ts";
import type { MessageShapes } from "../scenario/message-shapes.ts";
import { createRunTopics, specificTopic } from "./run-topics.ts";
import { TopicApi, type TopicApiAddress } from "./topic-api.ts";
import { type TopicChangeCounts, TopicChanges } from "./topic-changes.ts";

export interface RunAdminOptions {
  /** undefined = all topics are there, and stay as they are. */
  readonly api: TopicApiAddress | undefined;
  /** Dedupe window of topics that are created; undefined = the gateway's own. */
  readonly dedupeWindowMs: number | undefined;
  /** How long a gateway that does not answer is asked again. */
  readonly patienceMs: number;
  /** Of each second, in which a topic is changed; undefined = none. */
  readonly changeShare: number | undefined;
}

const nothingDone: TopicChangeCounts = { created: 0, changed: 0, deleted: 0 };

/** The admin of a run's topics. */
export class RunAdmin {
  readonly #options: RunAdminOptions;
  readonly #shapes: MessageShapes;
  #changes: TopicChanges | null = null;
  #debt = 0;

  constructor(shapes: MessageShapes, options: RunAdminOptions) {
    this.#shapes = shapes;
    this.#options = options;
  }

  get counts(): TopicChangeCounts {
    return this.#changes?.counts ?? nothingDone;
  }

  /**
   * Creates topics that are missing. Throws SIMULATE_API, and SIMULATE_USAGE if there is nothing to
   * change.
   */
  async prepare(): Promise<void> {
    const { api: address, dedupeWindowMs, patienceMs, changeShare } = this.#options;
    if (!address) return;
    const api = new TopicApi(address, patienceMs);
    await createRunTopics(api, this.#shapes, { dedupeWindowMs });
    if (changeShare === undefined) return;
    const specific = specificTopic(this.#shapes.main, dedupeWindowMs);
    if (!specific)
      throw new SimulatorError(
        "SIMULATE_USAGE",
        `--faults topics: --topic ${this.#shapes.main.filter} leaves no room for a more specific topic; use a further level, as in plant/{device}/{part}`,
        { retryable: false },
      );
    this.#changes = new TopicChanges(api, specific);
  }

  /** Begins what is due after that time. Throws what kept an earlier change from being done. */
  act(elapsedMs: number): void {
    if (!this.#changes) return;
    if (this.#changes.fault) throw this.#changes.fault;
    this.#debt += (elapsedMs / 1000) * (this.#options.changeShare ?? 0);
    if (this.#debt < 1) return;
    this.#debt = 0;
    this.#changes.next();
  }

  /** Resolves once no change is under way. */
  async settled(): Promise<void> {
    await this.#changes?.settled();
  }
}
