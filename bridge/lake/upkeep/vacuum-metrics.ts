import { Counter, type Registry } from "prom-client";

/** Metrics of vacuum, recorded per run. */
export class VacuumMetrics {
  readonly #runs: Counter;
  readonly #deletedFiles: Counter;
  readonly #deletedBytes: Counter;
  readonly #fences: Counter;

  constructor(registry: Registry) {
    const named = (name: string, help: string) => ({
      name,
      help,
      registers: [registry],
    });
    this.#runs = new Counter(named("tidegate_vacuum_runs_total", "Runs of vacuum."));
    this.#deletedFiles = new Counter(
      named("tidegate_vacuum_deleted_files_total", "Unreferenced data files deleted."),
    );
    this.#deletedBytes = new Counter(
      named("tidegate_vacuum_deleted_bytes_total", "Bytes of unreferenced data files deleted."),
    );
    this.#fences = new Counter(
      named(
        "tidegate_vacuum_fences_total",
        "Fences written into the commit log. A batch that began before a fence and commits after it is repeated.",
      ),
    );
  }

  ran(run: { readonly orphans: number; readonly orphanBytes: number; readonly fences: number }): void {
    this.#runs.inc();
    this.#deletedFiles.inc(run.orphans);
    this.#deletedBytes.inc(run.orphanBytes);
    this.#fences.inc(run.fences);
  }
}
