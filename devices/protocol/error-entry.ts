/** What the code of an error means. docs/reference/errors.md is made from these entries. */
export interface ErrorEntry {
  /** What happened. */
  readonly meaning: string;
  /**
   * Whether the same call may succeed later without any change. `depends`: `retryable` of the error says so.
   */
  readonly retry: "yes" | "no" | "depends";
  /** What to do. */
  readonly remedy: string;
}
