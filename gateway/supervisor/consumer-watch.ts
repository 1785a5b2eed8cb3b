import type { ConsumerProcessStatus } from "./gateway-status.ts";
import { recoveryText } from "./what-waits.ts";

export interface ConsumerWatchOptions {
  /** null = it does not answer. */
  readonly ask: () => Promise<ConsumerProcessStatus | null>;
  readonly intervalMs?: number;
}

const defaultIntervalMs = 5_000;

/** Asks the consumer now and then how it is, so that a monitor's question never has to wait for it. */
export class ConsumerWatch {
  readonly #options: ConsumerWatchOptions;
  #last: ConsumerProcessStatus | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;

  constructor(options: ConsumerWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { intervalMs = defaultIntervalMs } = this.#options;
    this.#timer = setInterval(() => void this.look(), intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What it is at if it files nothing yet; [] = it files, or does not answer. */
  progress(): string[] {
    const recovery = this.#last?.recovery;
    return recovery ? [recoveryText(recovery)] : [];
  }

  async look(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#last = await this.#options.ask();
    this.#isAsking = false;
  }
}
