import { Counter, Gauge, type Registry } from "prom-client";

/** Metrics of publishing and of the tables' upkeep. */
export class StorageMetrics {
  readonly #published: Counter;
  readonly #lostRaces: Counter;
  readonly #checkpoints: Counter<"outcome">;
  readonly #deletedLogFiles: Counter;
  readonly #unkempt: Gauge;
  readonly #parked: Gauge<"table">;
  readonly #goneRows: Counter<"table">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#published = new Counter({
      name: "tidegate_tables_entries_published_total",
      help: "Entries written into the logs of Delta tables.",
      registers,
    });
    this.#lostRaces = new Counter({
      name: "tidegate_tables_lost_races_total",
      help: "Entries of Delta tables that lost a race against another writer's entry and were written again after it.",
      registers,
    });
    this.#checkpoints = new Counter({
      name: "tidegate_tables_checkpoints_total",
      help: "Checkpoints of Delta tables, by outcome.",
      labelNames: ["outcome"],
      registers,
    });
    this.#deletedLogFiles = new Counter({
      name: "tidegate_tables_deleted_log_files_total",
      help: "Log entries and checkpoints of Delta tables deleted because a later checkpoint replaces them.",
      registers,
    });
    this.#unkempt = new Gauge({
      name: "tidegate_tables_without_checkpoint",
      help: "Tables whose last due checkpoint could not be written.",
      registers,
    });
    this.#parked = new Gauge({
      name: "tidegate_tables_parked",
      help: "Entries that the commit log keeps for a parked table; absent for other tables.",
      labelNames: ["table"],
      registers,
    });
    this.#goneRows = new Counter({
      name: "tidegate_tables_gone_rows_total",
      help: "Committed rows whose files another writer deleted before their table could show them.",
      labelNames: ["table"],
      registers,
    });
  }

  parked(table: string, heldCommits: number): void {
    this.#parked.set({ table }, heldCommits);
  }

  unparked(table: string): void {
    this.#parked.remove({ table });
  }

  goneRows(table: string, rows: number): void {
    this.#goneRows.inc({ table }, rows);
  }

  published(): void {
    this.#published.inc();
  }

  lostRace(): void {
    this.#lostRaces.inc();
  }

  checkpointed(): void {
    this.#checkpoints.inc({ outcome: "written" });
  }

  /** @param tables Number of tables without a due checkpoint. */
  unkempt(tables: number): void {
    this.#unkempt.set(tables);
  }

  checkpointFailed(): void {
    this.#checkpoints.inc({ outcome: "failed" });
  }

  deletedLogFiles(files: number): void {
    this.#deletedLogFiles.inc(files);
  }
}
