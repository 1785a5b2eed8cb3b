import { Counter, Gauge, type Registry } from "prom-client";

const causes = ["settled", "unnamed"] as const;
type Cause = (typeof causes)[number];

/** Metrics of the vacuum of landing files, recorded per run. */
export class LandingVacuumMetrics {
  readonly #files: Counter<"cause">;
  readonly #bytes: Counter<"cause">;
  readonly #fences: Counter;
  readonly #held: Gauge;

  constructor(registry: Registry) {
    const named = (name: string, help: string) => ({ name, help, registers: [registry] });
    const labelNames = ["cause"] as const;
    this.#files = new Counter({
      ...named(
        "tidegate_vacuum_landing_deleted_files_total",
        "Landing files deleted, by cause: settled (nothing needs the file any more) or unnamed (no commit took it).",
      ),
      labelNames,
    });
    this.#bytes = new Counter({
      ...named("tidegate_vacuum_landing_deleted_bytes_total", "Bytes of landing files deleted, by cause."),
      labelNames,
    });
    this.#fences = new Counter(
      named(
        "tidegate_vacuum_landing_fences_total",
        "Fences written into the commit log before unnamed landing files were deleted.",
      ),
    );
    this.#held = new Gauge(
      named(
        "tidegate_vacuum_landing_held_files",
        "Landing files of commits that stay, because something may still need them.",
      ),
    );
    for (const cause of causes) this.#deleted(cause, { files: 0, bytes: 0 });
  }

  ran(run: {
    readonly settled: { readonly files: number; readonly bytes: number };
    readonly unnamed: { readonly files: number; readonly bytes: number; readonly fences: number };
    readonly held: number;
  }): void {
    for (const cause of causes) this.#deleted(cause, run[cause]);
    this.#fences.inc(run.unnamed.fences);
    this.#held.set(run.held);
  }

  #deleted(cause: Cause, { files, bytes }: { readonly files: number; readonly bytes: number }): void {
    this.#files.inc({ cause }, files);
    this.#bytes.inc({ cause }, bytes);
  }
}
