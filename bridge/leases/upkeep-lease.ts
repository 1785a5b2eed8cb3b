export interface UpkeepLeaseStatus {
  readonly processName: string;
  /** Name of the process that does the upkeep, as this one last knew it; null = none is known. */
  readonly owner: string | null;
  /** Why the lease can't be renewed; null if it is. */
  readonly failure: { readonly code: string; readonly message: string } | null;
}

/**
 * PORT: whether this process does the upkeep of a lake that several gateways share. Only a hint, which saves
 * work: two processes may believe that the upkeep is theirs, and the logs of the lake make that safe.
 * - `isHeld` answers at once, by this process's monotonic clock. False if the lease may have run out.
 * - `close` hands the lease over at once. It never rejects.
 */
export interface UpkeepLease {
  isHeld(): boolean;
  status(): UpkeepLeaseStatus;
  close(): Promise<void>;
}
