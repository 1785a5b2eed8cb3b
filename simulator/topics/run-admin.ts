import { SimulatorError } from "../errors.ts";
import type { MessageShapes } from "../scenario/message-shapes.ts";
import { createRunTopics, specificTopic } from "./run-topics.ts";
import { TopicApi, type TopicApiAddress } from "./topic-api.ts";
import { type TopicChangeCounts, TopicChanges } from "./topic-changes.ts";

export interface RunAdminOptions {
  /** undefined = all topics exist, and stay as they are. */
  readonly api: TopicApiAddress | undefined;
  /** Dedupe window of created topics; undefined = the gateway's default. */
  readonly dedupeWindowMs: number | undefined;
  /** How long to retry a gateway that does not answer. */
  readonly patienceMs: number;
  /** Share of the seconds in which a topic is changed; undefined = none. */
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

  /** Creates missing topics. Throws SIMULATE_API, and SIMULATE_USAGE if there is nothing to change. */
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

  /** Begins the changes that are due after that time. Throws the reason why an earlier change failed. */
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
