import { Gauge, type Registry } from "prom-client";

/** In the order of a recovery. */
export const recoverySteps = ["partitions", "tables", "log", "window", "seeding", "trimming"] as const;
export type RecoveryStep = (typeof recoverySteps)[number];

export interface RecoveryStatus {
  /**
   * `partitions`: learn which exist. `tables`: publish all commits. `log`: read the commit log. `window`:
   * apply the ids of a few commits again. `seeding`: fill the window from the lake's files. `trimming`: tell
   * the stream what is filed.
   */
  readonly step: RecoveryStep;
  readonly forMs: number;
  /** Progress of seeding: files read, all files, and ids found so far; null before it is known. */
  readonly seeding: { readonly files: number; readonly filesTotal: number; readonly ids: number } | null;
}

/** Progress of a consumer's recovery, which in the worst case reads all files of the lake. */
export class RecoveryProgress {
  readonly #elapsedMs: () => number;
  #step: RecoveryStep | null = null;
  #startedAtMs = 0;
  #seeding: RecoveryStatus["seeding"] = null;

  constructor(elapsedMs: () => number, registry: Registry) {
    this.#elapsedMs = elapsedMs;
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers: [registry],
        collect() {
          this.set(read());
        },
      });
    gauge("tidegate_consumer_recovering", "1 while the consumer recovers and files nothing.", () =>
      this.#step ? 1 : 0,
    );
    const filesHelp = "Files that the last seeding of the window has read so far.";
    gauge("tidegate_consumer_seeding_files", filesHelp, () => this.#seeding?.files ?? 0);
    gauge(
      "tidegate_consumer_seeding_files_wanted",
      "All files of the last seeding of the window.",
      () => this.#seeding?.filesTotal ?? 0,
    );
  }

  get status(): RecoveryStatus | null {
    if (this.#step === null) return null;
    return {
      step: this.#step,
      forMs: this.#elapsedMs() - this.#startedAtMs,
      seeding: this.#step === "seeding" ? this.#seeding : null,
    };
  }

  at(step: RecoveryStep): void {
    if (this.#step === null) this.#startedAtMs = this.#elapsedMs();
    if (step === "seeding") this.#seeding = null;
    this.#step = step;
  }

  /** @param files Number of files read so far. */
  seeded(files: number, filesTotal: number): void {
    this.#seeding = { files, filesTotal, ids: this.#seeding?.ids ?? 0 };
  }

  found(ids: number): void {
    if (this.#seeding) this.#seeding = { ...this.#seeding, ids: this.#seeding.ids + ids };
  }

  end(): void {
    this.#step = null;
  }
}
