import type { StoreChange } from "../support/memory-object-store.ts";
import type { Violation } from "./violation.ts";

interface DeltaLine {
  readonly add?: { readonly path: string };
  readonly txn?: { readonly version: number };
}

export interface TableVersion {
  /** The last commit that the table shows. */
  readonly shown: number;
  /** Every file that it shows. */
  readonly files: ReadonlySet<string>;
}

/** All versions of one Delta table, and at each change whether the newest can still be read. */
export class TableRecord {
  readonly versions: TableVersion[] = [];
  readonly #name: string;
  readonly #report: (rule: Violation["rule"], detail: string) => void;
  readonly #present = new Set<number>();
  readonly #checkpoints = new Set<number>();

  constructor(name: string, report: (rule: Violation["rule"], detail: string) => void) {
    this.#name = name;
    this.#report = report;
  }

  get shown(): number {
    return this.versions.at(-1)?.shown ?? 0;
  }

  /** @param version That of the log file; NaN where it has none. */
  changed({ operation, path, bytes }: Omit<StoreChange, "modifiedAtMs">, version: number): void {
    if (Number.isNaN(version)) return;
    const isCheckpoint = path.endsWith(".parquet");
    if (operation === "deleted") {
      (isCheckpoint ? this.#checkpoints : this.#present).delete(version);
      this.#checkReadable(path);
    } else if (isCheckpoint) this.#checkpointWritten(version, bytes);
    else this.#entryWritten(operation, version, bytes);
  }

  #entryWritten(operation: StoreChange["operation"], version: number, bytes: Uint8Array): void {
    if (operation === "replaced") this.#report("torn", `entry ${version} of ${this.#name} was replaced`);
    if (version < this.versions.length) return;
    if (version > this.versions.length)
      this.#report("torn", `entry ${version} of ${this.#name} follows a hole`);
    this.#present.add(version);
    const files = new Set(this.versions.at(-1)?.files);
    let { shown } = this;
    for (const { add, txn } of linesOf(bytes)) {
      if (add) files.add(add.path);
      if (txn) shown = txn.version;
    }
    this.versions.push({ shown, files });
  }

  #checkpointWritten(version: number, bytes: Uint8Array): void {
    this.#checkpoints.add(version);
    const wanted = this.versions[version];
    const lines = linesOf(bytes);
    const files = lines.flatMap(({ add }) => (add ? [add.path] : []));
    const shown = lines.find(({ txn }) => txn)?.txn?.version;
    const isRight =
      wanted &&
      shown === wanted.shown &&
      files.length === wanted.files.size &&
      files.every((path) => wanted.files.has(path));
    if (!isRight) this.#report("torn", `checkpoint ${version} of ${this.#name} is not the table`);
  }

  #checkReadable(path: string): void {
    const newest = Math.max(-1, ...this.#checkpoints);
    for (let version = newest + 1; version < this.versions.length; version++)
      if (!this.#present.has(version))
        this.#report("torn", `${path} was deleted: entry ${version} of ${this.#name} is missing`);
  }
}

function linesOf(bytes: Uint8Array): DeltaLine[] {
  const lines = Buffer.from(bytes).toString().split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as DeltaLine);
}
