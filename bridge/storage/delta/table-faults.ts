import { BridgeError } from "../../errors.ts";

/**
 * Whose fault a failure at a table is: of the table alone, so that others go on; of the lake or the process, which stops them all; or of
 * the store, as long as it may pass.
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
        typeof path === "string" && (path.startsWith(`${table}/`) || path.startsWith("_topics/"));
      return isOfTable ? "table" : "lake";
    }
    default:
      return error.retryable ? "unsure" : "table";
  }
}
