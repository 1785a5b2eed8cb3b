import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { PartitionCounters } from "../storage/commit-log.ts";
import type { WindowStatus } from "../window/dedup-window.ts";
import type { QuarantineReason } from "./quarantine-reason.ts";
import { WindowMetrics } from "./window-metrics.ts";

const outcomes = ["filed", "duplicates", "quarantined", "resent", "misrouted"] as const;
const commitRows = [0, 10, 100, 1000, 10_000, 100_000, 1_000_000];
const commitAgesMs = [100, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000];

/** What the consumer reports to Prometheus; message counts only once they are committed. */
export class ConsumerMetrics {
  readonly #messages: Counter<"partition" | "outcome">;
  readonly #quarantined: Counter<"reason">;
  readonly #oldDuplicates: Counter;
  readonly #forgottenProducers: Counter;
  readonly #unaccounted: Gauge<"partition">;
  readonly #halted: Gauge<"partition">;
  readonly #lagMs: Gauge<"partition">;
  readonly #lagBytes: Gauge<"partition">;
  readonly #commits: Counter;
  readonly #commitRows: Histogram;
  readonly #commitAgeMs: Histogram;
  readonly #replays: Counter;
  readonly #fenced: Counter;
  readonly #repaired: Counter;
  readonly #failures: Counter<"step">;
  readonly #restores: Counter<"way">;
  readonly #owned: Gauge;
  readonly #window: WindowMetrics;

  constructor(registry: Registry) {
    const { counter, gauge, histogram } = instrumentsIn(registry);
    this.#messages = counter(
      "tidegate_consumer_messages_total",
      "Messages of committed batches by what became of them.",
      ["partition", "outcome"],
    );
    this.#quarantined = counter(
      "tidegate_consumer_quarantined_total",
      "Messages put into a batch for the quarantine table, by reason; replays count again.",
      ["reason"],
    );
    this.#oldDuplicates = counter(
      "tidegate_consumer_old_duplicates_total",
      "Duplicates that their topic's window had forgotten and exact deduplication knew; replays count again.",
    );
    this.#forgottenProducers = counter(
      "tidegate_consumer_forgotten_producers_total",
      "Blocks whose claims could not be checked: sealed so long before that their producer was forgotten.",
    );
    this.#unaccounted = gauge(
      "tidegate_consumer_unaccounted_messages",
      "Acknowledged messages that were never read: accepted gaps and the open one.",
      ["partition"],
    );
    this.#halted = gauge("tidegate_consumer_partition_halted", "1 while a partition is not read.", [
      "partition",
    ]);
    this.#lagMs = gauge("tidegate_consumer_lag_ms", "Age of the last block read if more of them wait, ms.", [
      "partition",
    ]);
    this.#lagBytes = gauge("tidegate_consumer_lag_bytes", "Bytes in the stream that were not read yet.", [
      "partition",
    ]);
    this.#commits = counter("tidegate_consumer_commits_total", "Batches committed.");
    this.#commitRows = histogram("tidegate_consumer_commit_rows", "Rows of a committed batch.", commitRows);
    this.#commitAgeMs = histogram(
      "tidegate_consumer_commit_age_ms",
      "From a batch's first block to its commit, ms.",
      commitAgesMs,
    );
    this.#fenced = counter(
      "tidegate_consumer_fenced_batches_total",
      "Batches read again because vacuum came before their commit.",
    );
    this.#replays = counter(
      "tidegate_consumer_replayed_batches_total",
      "Batches that were given up and read again.",
    );
    this.#repaired = counter(
      "tidegate_consumer_publishes_repaired_total",
      "Tables that lagged behind the commit log when the consumer recovered.",
    );
    this.#failures = counter(
      "tidegate_consumer_failures_total",
      "Steps that failed and were or will be tried again.",
      ["step"],
    );
    this.#restores = counter(
      "tidegate_consumer_window_restores_total",
      "Partitions whose window was not at the committed position.",
      ["way"],
    );
    this.#owned = gauge("tidegate_consumer_partitions_owned", "Partitions that this process reads.");
    this.#window = new WindowMetrics(registry);
  }

  counted(partition: number, before: PartitionCounters, after: PartitionCounters): void {
    for (const outcome of outcomes)
      this.#messages.inc({ partition, outcome }, after[outcome] - before[outcome]);
  }

  quarantined(reason: QuarantineReason): void {
    this.#quarantined.inc({ reason });
  }

  oldDuplicates(messages: number): void {
    this.#oldDuplicates.inc(messages);
  }

  forgottenProducer(): void {
    this.#forgottenProducers.inc();
  }

  partition(
    partition: number,
    state: { unaccounted: number; isHalted: boolean; lagMs: number; lagBytes: number | null },
  ): void {
    this.#unaccounted.set({ partition }, state.unaccounted);
    this.#halted.set({ partition }, state.isHalted ? 1 : 0);
    this.#lagMs.set({ partition }, state.lagMs);
    if (state.lagBytes !== null) this.#lagBytes.set({ partition }, state.lagBytes);
  }

  owned(partitions: number): void {
    this.#owned.set(partitions);
  }

  /** Its gauges are the next owner's from now on. */
  handedOver(partition: number): void {
    for (const gauge of [this.#unaccounted, this.#halted, this.#lagMs, this.#lagBytes])
      gauge.remove({ partition });
  }

  committed(batch: { rows: number; ageMs: number }): void {
    this.#commits.inc();
    this.#commitRows.observe(batch.rows);
    this.#commitAgeMs.observe(batch.ageMs);
  }

  fenced(): void {
    this.#fenced.inc();
  }

  replayed(): void {
    this.#replays.inc();
  }

  repaired(tables: number): void {
    this.#repaired.inc(tables);
  }

  failed(step: "commit" | "trim" | "loop"): void {
    this.#failures.inc({ step });
  }

  windowRestored(way: "seeded" | "reapplied"): void {
    this.#restores.inc({ way });
  }

  window(status: WindowStatus): void {
    this.#window.set(status);
  }
}

function instrumentsIn(registry: Registry) {
  const registers = [registry];
  return {
    counter: <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
      new Counter({ name, help, labelNames, registers }),
    gauge: <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
      new Gauge({ name, help, labelNames, registers }),
    histogram: (name: string, help: string, buckets: number[]) =>
      new Histogram({ name, help, buckets, registers }),
  };
}
