import { Counter, Gauge, type Registry } from "prom-client";

/** Metrics of the upkeep loop. */
export class UpkeepMetrics {
  readonly #runs: Counter<"work" | "outcome">;
  readonly #seconds: Counter<"work">;
  readonly #failing: Gauge<"work">;
  readonly #active: Gauge;

  constructor(registry: Registry) {
    const named = (name: string, help: string) => ({ name, help, registers: [registry] });
    this.#runs = new Counter({
      ...named("tidegate_upkeep_runs_total", "Pieces of work on the lake by outcome: done, failed, aborted."),
      labelNames: ["work", "outcome"],
    });
    this.#seconds = new Counter({
      ...named("tidegate_upkeep_seconds_total", "Time that the work on the lake took."),
      labelNames: ["work"],
    });
    this.#failing = new Gauge({
      ...named("tidegate_upkeep_failing", "1 while the last attempt of this work on the lake has failed."),
      labelNames: ["work"],
    });
    this.#active = new Gauge(
      named(
        "tidegate_upkeep_active",
        "1 while this gateway does the upkeep of the lake; 0: another one does.",
      ),
    );
  }

  ran(work: string, outcome: "done" | "failed" | "aborted", tookMs: number): void {
    this.#runs.inc({ work, outcome });
    this.#seconds.inc({ work }, tookMs / 1_000);
  }

  failing(work: string, isFailing: boolean): void {
    this.#failing.set({ work }, isFailing ? 1 : 0);
  }

  active(isActive: boolean): void {
    this.#active.set(isActive ? 1 : 0);
  }
}
