import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { QuarantineReason } from "../../decoders/quarantine-reason.ts";
import type { PartitionCounters } from "../commit-log/commit-log.ts";
import type { WindowStatus } from "../window/dedup-window.ts";
import { instrumentsIn } from "./instruments.ts";
import { type PartitionFacts, PartitionMetrics } from "./partition-metrics.ts";
import { WindowMetrics } from "./window-metrics.ts";

const outcomes = ["filed", "duplicates", "quarantined", "resent", "misrouted"] as const;
const commitRows = [0, 10, 100, 1000, 10_000, 100_000, 1_000_000];
const commitAgesMs = [100, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000];

/** Metrics of the consumer. Messages count once they are committed. */
export class ConsumerMetrics {
  readonly #messages: Counter<"partition" | "outcome">;
  readonly #quarantined: Counter<"reason">;
  readonly #oldDuplicates: Counter;
  readonly #forgottenProducers: Counter;
  readonly #partitions: PartitionMetrics;
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
      "Messages of committed batches, by outcome.",
      ["partition", "outcome"],
    );
    this.#quarantined = counter(
      "tidegate_consumer_quarantined_total",
      "Messages put into a batch for the quarantine table, by reason; replays count again.",
      ["reason"],
    );
    this.#oldDuplicates = counter(
      "tidegate_consumer_old_duplicates_total",
      "Duplicates that only exact deduplication still knew, not their topic's window; replays count again.",
    );
    this.#forgottenProducers = counter(
      "tidegate_consumer_forgotten_producers_total",
      "Blocks whose claims could not be checked, because they are so old that their producer was forgotten.",
    );
    this.#partitions = new PartitionMetrics(registry);
    this.#commits = counter("tidegate_consumer_commits_total", "Batches committed.");
    this.#commitRows = histogram("tidegate_consumer_commit_rows", "Rows of a committed batch.", commitRows);
    this.#commitAgeMs = histogram(
      "tidegate_consumer_commit_age_ms",
      "Time from a batch's first block to its commit, ms.",
      commitAgesMs,
    );
    this.#fenced = counter(
      "tidegate_consumer_fenced_batches_total",
      "Batches read again because vacuum ran before their commit.",
    );
    this.#replays = counter(
      "tidegate_consumer_replayed_batches_total",
      "Batches that were given up and read again.",
    );
    this.#repaired = counter(
      "tidegate_consumer_publishes_repaired_total",
      "Tables that lagged behind the commit log when the consumer recovered.",
    );
    this.#failures = counter("tidegate_consumer_failures_total", "Failed steps that are retried.", ["step"]);
    this.#restores = counter(
      "tidegate_consumer_window_restores_total",
      "Windows of partitions that had to be brought to the committed position.",
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

  partition(partition: number, state: PartitionFacts): void {
    this.#partitions.set(partition, state);
  }

  owned(partitions: number): void {
    this.#owned.set(partitions);
  }

  /** Removes the partition's gauges, because its next owner reports them. */
  handedOver(partition: number): void {
    this.#partitions.remove(partition);
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
