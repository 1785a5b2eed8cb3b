/** A partition that this process may read now. */
export interface HeldLease {
  /** Fencing token: higher than those of all earlier owners. */
  readonly token: number;
  /**
   * True if another process should get the partition: the consumer commits its open batch, then releases the
   * partition.
   */
  readonly isDue: boolean;
}

/** One row of the lease table, for people. */
export interface PartitionLease {
  readonly partition: number;
  /** Name of the process; null = no known owner. */
  readonly owner: string | null;
  readonly token: number | null;
  /** Time until others may take the partition, unless the lease is renewed; null = it does not run out. */
  readonly expiresInMs: number | null;
  readonly isDue: boolean;
}

export interface LeasesStatus {
  readonly processName: string;
  /** All processes that share the stream's partitions, this one included, by name. */
  readonly processes: readonly string[];
  /** All partitions to read, as this process last knew them. */
  readonly partitions: readonly PartitionLease[];
  /** Age of that knowledge; null if there is none. */
  readonly ageMs: number | null;
  /** Why the leases can't be renewed; null if they are. */
  readonly failure: { readonly code: string; readonly message: string } | null;
}

/**
 * PORT: the partitions that this process should read, so that processes that share a stream divide the work.
 * Two processes may believe that they own the same partition. The compare on commit then lets only one of
 * them succeed.
 * - `offer` tells which partitions this process knows to be readable. It gets and keeps no others.
 * - `held` returns at once, by this process's monotonic clock. Leases that may have run out are not in it.
 * - `onChange` calls back after each change that the consumer should act on. A lease that runs out is no
 *   such change; `held` shows it.
 * - `release` is called once no batch holds rows of these partitions. It never rejects: leases that can't be
 *   handed over run out.
 * - After `close` no lease is held. With `isLeaving`, leases are handed over at once. Otherwise they are
 *   kept until they run out, for a restart of this process. `close` never rejects either.
 */
export interface PartitionLeases {
  offer(partitions: readonly number[]): void;
  held(): ReadonlyMap<number, HeldLease>;
  onChange(listener: () => void): void;
  release(partitions: readonly number[]): Promise<void>;
  status(): LeasesStatus;
  close(options: { readonly isLeaving: boolean }): Promise<void>;
}

/** Leases of a consumer that is the only one of its stream: all partitions, for ever. */
export function ownEverything(processName = "consumer"): PartitionLeases {
  const lease: HeldLease = { token: 1, isDue: false };
  let held: ReadonlyMap<number, HeldLease> = new Map();
  let isClosed = false;
  return {
    offer: (partitions) => {
      if (!isClosed) held = new Map(partitions.map((partition) => [partition, lease]));
    },
    held: () => held,
    onChange: () => {},
    release: async () => {},
    status: () => ({
      processName,
      processes: held.size === 0 ? [] : [processName],
      partitions: [...held].map(([partition, { token }]) => ({
        partition,
        owner: processName,
        token,
        expiresInMs: null,
        isDue: false,
      })),
      ageMs: 0,
      failure: null,
    }),
    close: async () => {
      isClosed = true;
      held = new Map();
    },
  };
}
