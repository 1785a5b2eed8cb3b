import { Counter, type Registry } from "prom-client";

/** What the leases report to Prometheus. */
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
      ...named("tidegate_leases_changes_total", "Partitions that this process got, gave back or lost."),
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
