import type { Gauge, Registry } from "prom-client";
import { instrumentsIn } from "./instruments.ts";

export interface PartitionFacts {
  readonly unaccounted: number;
  readonly isHalted: boolean;
  readonly lagMs: number;
  /** Null if the stream does not say. */
  readonly lagBytes: number | null;
}

/** Gauges of the partitions that this process reads. */
export class PartitionMetrics {
  readonly #unaccounted: Gauge<"partition">;
  readonly #halted: Gauge<"partition">;
  readonly #lagMs: Gauge<"partition">;
  readonly #lagBytes: Gauge<"partition">;

  constructor(registry: Registry) {
    const { gauge } = instrumentsIn(registry);
    this.#unaccounted = gauge(
      "tidegate_consumer_unaccounted_messages",
      "Acknowledged messages that were never read, in accepted gaps and the open gap.",
      ["partition"],
    );
    this.#halted = gauge("tidegate_consumer_partition_halted", "1 while a partition is not read.", [
      "partition",
    ]);
    this.#lagMs = gauge(
      "tidegate_consumer_lag_ms",
      "Age of the last block read, ms; 0 if no more blocks wait.",
      ["partition"],
    );
    this.#lagBytes = gauge("tidegate_consumer_lag_bytes", "Unread bytes in the stream.", ["partition"]);
  }

  set(partition: number, { unaccounted, isHalted, lagMs, lagBytes }: PartitionFacts): void {
    this.#unaccounted.set({ partition }, unaccounted);
    this.#halted.set({ partition }, isHalted ? 1 : 0);
    this.#lagMs.set({ partition }, lagMs);
    if (lagBytes !== null) this.#lagBytes.set({ partition }, lagBytes);
  }

  remove(partition: number): void {
    for (const gauge of [this.#unaccounted, this.#halted, this.#lagMs, this.#lagBytes])
      gauge.remove({ partition });
  }
}
