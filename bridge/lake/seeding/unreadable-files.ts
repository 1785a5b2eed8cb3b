import type { Logger } from "pino";
import { Counter, type Registry } from "prom-client";
import { BridgeError } from "../../errors.ts";

/** Failures before a file counts as damaged, because a disk or network may recover. */
const failuresMax = 3;
/** Bound of the files whose failures are counted. */
const filesMax = 10_000;

/** Counts failures of data files during seeding, and decides when to leave a file out. */
export class UnreadableFiles {
  readonly #logger: Logger | undefined;
  readonly #skipped: Counter | undefined;
  readonly #failures = new Map<string, number>();

  constructor(options: { readonly logger?: Logger | undefined; readonly registry?: Registry | undefined }) {
    this.#logger = options.logger;
    if (options.registry)
      this.#skipped = new Counter({
        name: "tidegate_tables_unreadable_files_total",
        help: "Unreadable data files left out of the seeding of dedupe windows. Resends of their messages may be filed again.",
        registers: [options.registry],
      });
  }

  /** Whether to leave the file out. Before that, the caller fails and retries. */
  isGivenUp(path: string, error: unknown): boolean {
    if (!isOfFile(error)) return false;
    const failures = (this.#failures.get(path) ?? 0) + 1;
    if (this.#failures.size >= filesMax) this.#failures.clear();
    this.#failures.set(path, failures);
    if (failures < failuresMax) return false;
    this.#skipped?.inc();
    this.#logger?.error(
      { event: "seed.file.unreadable", path, failures, err: error },
      "a file of the lake can't be read and is left out: resends of its messages may be filed again. Restore the file from a copy",
    );
    return true;
  }
}

/** Whether the file is damaged or gone, as opposed to a failure of the store or the engine. */
function isOfFile(error: unknown): boolean {
  if (!(error instanceof BridgeError)) return false;
  if (error.code === "LAKE_DAMAGED") return true;
  return error.code === "PARQUET_FAILED" && !/out of memory/i.test(error.message);
}
