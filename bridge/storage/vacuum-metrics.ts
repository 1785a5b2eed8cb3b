import { Counter, type Registry } from "prom-client";

/** Counters of vacuum, recorded per run. */
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
    this.#runs = new Counter(
      named("tidegate_vacuum_runs_total", "Times that unreferenced files were looked for."),
    );
    this.#deletedFiles = new Counter(
      named("tidegate_vacuum_deleted_files_total", "Unreferenced data files deleted."),
    );
    this.#deletedBytes = new Counter(
      named("tidegate_vacuum_deleted_bytes_total", "Bytes of unreferenced data files deleted."),
    );
    this.#fences = new Counter(
      named(
        "tidegate_vacuum_fences_total",
        "Fences in the commit log; a batch that is cut by one is read again.",
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
