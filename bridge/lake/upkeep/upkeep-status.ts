/** Work that fails, and is retried. */
export interface UpkeepFailure {
  readonly work: string;
  readonly code: string;
  readonly message: string;
  /** The first of these failures, by the wall clock. */
  readonly sinceMs: number;
  /** Failures without a success between them. */
  readonly attempts: number;
}

/** What the upkeep of a lake does. Times are of the wall clock, ms since the epoch. */
export interface UpkeepStatus {
  /** `waiting` = until work is due; `standing-by` = another process does the upkeep. */
  readonly state: "working" | "waiting" | "standing-by" | "stopped";
  readonly doing: { readonly work: string; readonly sinceMs: number } | null;
  /** The last work that succeeded, in this process. */
  readonly last: { readonly work: string; readonly endedAtMs: number; readonly tookMs: number } | null;
  /** null if another process does the upkeep. */
  readonly next: { readonly work: string; readonly atMs: number } | null;
  /** Of the most important work that fails; null = none does. */
  readonly failure: UpkeepFailure | null;
}
