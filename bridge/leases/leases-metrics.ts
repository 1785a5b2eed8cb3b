import { Counter, type Registry } from "prom-client";

/** Counters of the leases, for Prometheus. */
export class LeasesMetrics {
  readonly #changes: Counter<"change">;
  readonly #renewals: Counter<"outcome">;

  constructor(registry: Registry) {
    const named = (name: string, help: string) => ({
      name,
      help,
      registers: [registry],
    });
    this.#changes = new Counter({
      ...named(
        "tidegate_leases_changes_total",
        "Leases that this process got, released or lost: of partitions, or of the upkeep.",
      ),
      labelNames: ["change"],
    });
    this.#renewals = new Counter({
      ...named("tidegate_leases_renewals_total", "Renewals of this process's leases by outcome."),
      labelNames: ["outcome"],
    });
  }

  changed(change: "got" | "released" | "lost", partitions: number): void {
    this.#changes.inc({ change }, partitions);
  }

  renewed(outcome: "renewed" | "replaced" | "failed"): void {
    this.#renewals.inc({ outcome });
  }
}
