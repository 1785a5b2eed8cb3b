import { Counter, Gauge, type Registry } from "prom-client";
import type { ExpiredFile } from "./expired-files.ts";

/** Metrics of retention: sums over all tables. */
export class RetentionMetrics {
  readonly #entries: Counter;
  readonly #files: Counter;
  readonly #rows: Counter;
  readonly #bytes: Counter;
  readonly #lostRaces: Counter;
  readonly #leftAlone: Gauge;

  constructor(registry: Registry) {
    const named = (name: string, help: string) => ({ name, help, registers: [registry] });
    this.#entries = new Counter(
      named("tidegate_retention_entries_total", "Entries of Delta tables that remove rows by retention."),
    );
    this.#files = new Counter(
      named("tidegate_retention_files_total", "Data files that retention removed from tables."),
    );
    this.#rows = new Counter(
      named("tidegate_retention_rows_total", "Rows of these files, by their statistics."),
    );
    this.#bytes = new Counter(
      named(
        "tidegate_retention_bytes_total",
        "Bytes of these files. Vacuum deletes them after the time of replaced files.",
      ),
    );
    this.#lostRaces = new Counter(
      named(
        "tidegate_retention_lost_races_total",
        "Entries of retention that lost a race against another writer's entry and were decided again.",
      ),
    );
    this.#leftAlone = new Gauge(
      named(
        "tidegate_retention_tables_left_alone",
        "Tables that are older than their retention, and from which rows may not be removed as they are.",
      ),
    );
  }

  removed(files: readonly ExpiredFile[]): void {
    this.#entries.inc();
    this.#files.inc(files.length);
    this.#rows.inc(files.reduce((sum, { rows }) => sum + rows, 0));
    this.#bytes.inc(files.reduce((sum, { size }) => sum + size, 0));
  }

  lostRace(): void {
    this.#lostRaces.inc();
  }

  leftAlone(tables: number): void {
    this.#leftAlone.set(tables);
  }
}
