/**
 * A table that does not show its committed rows until it can be published again. Other tables are not
 * affected.
 */
export interface ParkedTable {
  readonly table: string;
  readonly code: string;
  /** For people: the cause, and what to do. */
  readonly reason: string;
  readonly wayOut: string;
  /** When this process learned of it, ms since the epoch. */
  readonly sinceMs: number;
  /** Entries that the commit log keeps because of this table; they may concern other tables, too. */
  readonly heldCommits: number;
}

/**
 * A table whose Delta log could not be checkpointed. Its rows are visible, but readers read more and more
 * entries.
 */
export interface UnkemptTable {
  readonly table: string;
  readonly reason: string;
  /** ms since the epoch. */
  readonly sinceMs: number;
}

/** Problems of tables, as this process knows them. */
export interface TableTroubles {
  readonly parked: readonly ParkedTable[];
  readonly unkempt: readonly UnkemptTable[];
}

/** PORT: makes committed files visible in their tables. */
export interface TablePublisher {
  /**
   * Writes Delta entries for the tables that lag behind the commit log, and resolves with their number.
   * Idempotent and safe to race. A table that cannot be published is parked: later calls retry it once
   * `isRetryDue`, and the commit log keeps its entries.
   */
  publishPending(): Promise<{ published: number }>;
  isRetryDue(): boolean;
  troubles(): TableTroubles;
}
