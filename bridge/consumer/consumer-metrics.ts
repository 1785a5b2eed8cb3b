import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { PartitionCounters } from "../storage/commit-log.ts";
import type { WindowStatus } from "../window/dedup-window.ts";
import type { QuarantineReason } from "./quarantine-reason.ts";
import { WindowMetrics } from "./window-metrics.ts";

const outcomes = ["filed", "duplicates", "quarantined", "resent", "misrouted"] as const;

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
    const named = namedIn(registry);
    const labelNames = ["partition"] as const;
    this.#messages = new Counter({
      ...named("messages_total", "Messages of committed batches by what became of them."),
      labelNames: ["partition", "outcome"],
    });
    this.#quarantined = new Counter({
      ...named(
        "quarantined_total",
        "Messages put into a batch for the quarantine table, by reason; replays count again.",
      ),
      labelNames: ["reason"],
    });
    this.#oldDuplicates = new Counter(
      named(
        "old_duplicates_total",
        "Duplicates that their topic's window had forgotten and exact deduplication knew; replays count again.",
      ),
    );
    this.#forgottenProducers = new Counter(
      named(
        "forgotten_producers_total",
        "Blocks whose claims could not be checked: sealed so long before that their producer was forgotten.",
      ),
    );
    this.#unaccounted = new Gauge({
      ...named(
        "unaccounted_messages",
        "Acknowledged messages that were never read: accepted gaps and the open one.",
      ),
      labelNames,
    });
    this.#halted = new Gauge({
      ...named("partition_halted", "1 while a partition is not read."),
      labelNames,
    });
    const lagHelp = "Age of the last block read where more of them wait, ms.";
    this.#lagMs = new Gauge({ ...named("lag_ms", lagHelp), labelNames });
    this.#lagBytes = new Gauge({
      ...named("lag_bytes", "Bytes in the stream that were not read yet."),
      labelNames,
    });
    this.#commits = new Counter(named("commits_total", "Batches committed."));
    this.#commitRows = new Histogram({
      ...named("commit_rows", "Rows of a committed batch."),
      buckets: [0, 10, 100, 1000, 10_000, 100_000, 1_000_000],
    });
    this.#commitAgeMs = new Histogram({
      ...named("commit_age_ms", "From a batch's first block to its commit, ms."),
      buckets: [100, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000],
    });
    this.#fenced = new Counter(
      named("fenced_batches_total", "Batches read again because vacuum came before their commit."),
    );
    this.#replays = new Counter(
      named("replayed_batches_total", "Batches that were given up and read again."),
    );
    this.#repaired = new Counter(
      named(
        "publishes_repaired_total",
        "Tables that lagged behind the commit log when the consumer recovered.",
      ),
    );
    this.#failures = new Counter({
      ...named("failures_total", "Steps that failed and were or will be tried again."),
      labelNames: ["step"],
    });
    this.#restores = new Counter({
      ...named("window_restores_total", "Partitions whose window was not at the committed position."),
      labelNames: ["way"],
    });
    this.#owned = new Gauge(named("partitions_owned", "Partitions that this process reads."));
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

function namedIn(registry: Registry) {
  return (name: string, help: string) => ({ name: `tidegate_consumer_${name}`, help, registers: [registry] });
}
