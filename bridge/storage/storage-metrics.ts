import { Counter, type Registry } from "prom-client";

/** Counters of the lake's writer, recorded per batch. */
export class StorageMetrics {
  readonly #published: Counter;
  readonly #lostRaces: Counter;
  readonly #checkpoints: Counter<"outcome">;
  readonly #deletedLogFiles: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#published = new Counter({
      name: "tidegate_tables_entries_published_total",
      help: "Entries written into the logs of Delta tables.",
      registers,
    });
    this.#lostRaces = new Counter({
      name: "tidegate_tables_lost_races_total",
      help: "Entries of Delta tables that another writer's came before; they are written again after it.",
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

  checkpointFailed(): void {
    this.#checkpoints.inc({ outcome: "failed" });
  }

  deletedLogFiles(files: number): void {
    this.#deletedLogFiles.inc(files);
  }
}
