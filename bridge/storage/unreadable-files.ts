import type { Logger } from "pino";
import { Counter, type Registry } from "prom-client";
import { BridgeError } from "../errors.ts";

/** Times that a file must fail before it is taken for damaged: a disk or network may recover. */
const failuresMax = 3;
/** Files in mind at a time. */
const filesMax = 10_000;

/** What becomes of data files that can't be read when windows are seeded. */
export class UnreadableFiles {
  readonly #logger: Logger | undefined;
  readonly #skipped: Counter | undefined;
  readonly #failures = new Map<string, number>();

  constructor(options: { readonly logger?: Logger | undefined; readonly registry?: Registry | undefined }) {
    this.#logger = options.logger;
    if (options.registry)
      this.#skipped = new Counter({
        name: "tidegate_tables_unreadable_files_total",
        help: "Data files left out when dedupe windows were seeded, since they can't be read: resends of their messages may be filed again.",
        registers: [options.registry],
      });
  }

  /** True once the file is to be left out; before that the failure is the caller's, who tries again. */
  isGivenUp(path: string, error: unknown): boolean {
    if (!isOfFile(error)) return false;
    const failures = (this.#failures.get(path) ?? 0) + 1;
    if (this.#failures.size >= filesMax) this.#failures.clear();
    this.#failures.set(path, failures);
    if (failures < failuresMax) return false;
    this.#skipped?.inc();
    this.#logger?.error(
      { event: "seed.file.unreadable", path, failures, err: error },
      "a file of the lake can't be read and is left out: resends of its messages may be filed again. Restore it from a copy",
    );
    return true;
  }
}

/** Damaged or gone, not a store or an engine that lacks something. */
function isOfFile(error: unknown): boolean {
  if (!(error instanceof BridgeError)) return false;
  if (error.code === "LAKE_DAMAGED") return true;
  return error.code === "PARQUET_FAILED" && !/out of memory/i.test(error.message);
}
