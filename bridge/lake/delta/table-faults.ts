import { BridgeError } from "../../errors.ts";
import { topicsFolder } from "../stores/lake-folders.ts";

/**
 * Failures of the store at one table in a row before they count as the table's own. All tables wait for each
 * such failure.
 */
const storeFailuresMax = 5;

/**
 * What a failure at a table concerns. `table`: this table only, so others go on. `lake`: the whole lake or
 * process, so publishing stops. `unsure`: the store, which may recover.
 */
export function scopeOf(error: unknown, table: string): "table" | "lake" | "unsure" {
  if (!(error instanceof BridgeError)) return "table";
  switch (error.code) {
    case "STORE_FLUSH_FAILED":
    case "LAKE_MISSING":
    case "LAKE_MOVED":
    case "LAKE_VERSION":
      return "lake";
    case "LAKE_DAMAGED": {
      const { path } = error.details;
      const isOfTable =
        typeof path === "string" && (path.startsWith(`${table}/`) || path.startsWith(`${topicsFolder}/`));
      return isOfTable ? "table" : "lake";
    }
    default:
      return error.retryable ? "unsure" : "table";
  }
}

/** Decides whether a failure concerns one table only. */
export class TableFaults {
  /** By table name: failures of the store since the last success. */
  readonly #storeFailures = new Map<string, number>();

  /** A failure of the store may concern all tables, unless it repeats for this one. */
  isOfTable(name: string, error: unknown): boolean {
    const scope = scopeOf(error, name);
    if (scope !== "unsure") return scope === "table";
    const failures = (this.#storeFailures.get(name) ?? 0) + 1;
    this.#storeFailures.set(name, failures);
    return failures >= storeFailuresMax;
  }

  published(name: string): void {
    this.#storeFailures.delete(name);
  }
}
