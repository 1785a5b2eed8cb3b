import type { Logger } from "pino";
import { CodedError } from "../../../devices/protocol/coded-error.ts";
import type { ConsumerMetrics } from "./consumer-metrics.ts";
import type { ConsumerStatus } from "./consumer-status.ts";

type HistoryStatus = Pick<
  ConsumerStatus,
  "lastCommit" | "batches" | "replayedBatches" | "publishesRepaired" | "lastFailure"
>;

interface HistoryPorts {
  readonly logger: Logger;
  readonly metrics: ConsumerMetrics;
  /** ms since the epoch. */
  readonly now: () => number;
}

/** Counts and logs what a consumer has done since its start. */
export class ConsumerHistory {
  readonly #ports: HistoryPorts;
  /** A failure was logged, but not its end yet. */
  #isFailing = false;
  #lastCommit: ConsumerStatus["lastCommit"] = null;
  #lastFailure: ConsumerStatus["lastFailure"] = null;
  #batches = 0;
  #replayedBatches = 0;
  #publishesRepaired = 0;

  constructor(ports: HistoryPorts) {
    this.#ports = ports;
  }

  get status(): HistoryStatus {
    return {
      lastCommit: this.#lastCommit,
      batches: this.#batches,
      replayedBatches: this.#replayedBatches,
      publishesRepaired: this.#publishesRepaired,
      lastFailure: this.#lastFailure,
    };
  }

  committed(number: number): void {
    this.#batches += 1;
    this.#lastCommit = { number, atMs: this.#ports.now() };
  }

  /** A batch was given up, and is read again. */
  replayed(): void {
    this.#replayedBatches += 1;
    this.#ports.metrics.replayed();
  }

  /** @param tables Number of tables that a recovery published. */
  repaired(tables: number): void {
    this.#publishesRepaired += tables;
    this.#ports.metrics.repaired(tables);
  }

  /** Nothing is filed until a retry succeeds. */
  failed(error: unknown): void {
    const code = error instanceof CodedError ? error.code : "unexpected";
    const message = error instanceof Error ? error.message : String(error);
    this.#lastFailure = { code, message, atMs: this.#ports.now() };
  }

  /** @param failures Failures in a row before this one. */
  retrying(error: CodedError, failures: number): void {
    const { logger, metrics } = this.#ports;
    metrics.failed("loop");
    this.#isFailing = true;
    logger.warn({ event: "consumer.failed", code: error.code, failures, err: error }, "recovering");
  }

  recovered(): void {
    if (this.#isFailing)
      this.#ports.logger.info({ event: "consumer.recovered" }, "the consumer reads and files again");
    this.#isFailing = false;
  }
}
