/** What the code of an error says to whoever reads it. docs/reference/errors.md is made from these entries. */
export interface ErrorEntry {
  /** What happened. */
  readonly meaning: string;
  /** Whether the same call may succeed later although nobody changed anything. `depends`: `retryable` of the error says so. */
  readonly retry: "yes" | "no" | "depends";
  /** What to do. */
  readonly remedy: string;
}
