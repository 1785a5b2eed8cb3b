/** A partition that this process may read now. */
export interface HeldLease {
  /** Fencing token: higher than that of every owner before. */
  readonly token: number;
  /** True once another process is to have it: the consumer ends its open batch, then releases it. */
  readonly isDue: boolean;
}

/** One row of the lease table, for people. */
export interface PartitionLease {
  readonly partition: number;
  /** Name of the process; null = nobody owns it, as far as is known. */
  readonly owner: string | null;
  readonly token: number | null;
  /** Until others may take it, unless it is renewed; null = it does not run out. */
  readonly expiresInMs: number | null;
  readonly isDue: boolean;
}

export interface LeasesStatus {
  readonly processName: string;
  /** All processes that share the stream's partitions, this one included, by name. */
  readonly processes: readonly string[];
  /** Every partition that there is to read, as this process knew it last. */
  readonly partitions: readonly PartitionLease[];
  /** Age of that knowledge; null where there is none yet. */
  readonly ageMs: number | null;
  /** Why the leases can't be renewed at the moment. */
  readonly failure: { readonly code: string; readonly message: string } | null;
}

/**
 * PORT: which partitions this process should read now, so that processes which share a stream do not do each other's work.
 * Nothing is wrong if two of them believe that they own the same partition: the compare on commit lets one of them through.
 * - `offer` says which partitions there are to read now, as far as this process knows; others are not given to it, and it keeps none.
 * - `held` is asked often and answers at once, by this process's own monotonic clock: a lease that may have run out is not in it.
 * - `onChange` calls back after each change that the consumer should act on; running out is none, `held` tells it.
 * - `release` is called once nothing of these partitions is open any more. It never rejects: what can't be handed over runs out.
 * - After `close` nothing is held. `isLeaving`: everything is handed over at once; otherwise it is kept for a restart of this process,
 *   which inherits it, until it runs out. It never rejects either.
 */
export interface PartitionLeases {
  offer(partitions: readonly number[]): void;
  held(): ReadonlyMap<number, HeldLease>;
  onChange(listener: () => void): void;
  release(partitions: readonly number[]): Promise<void>;
  status(): LeasesStatus;
  close(options: { readonly isLeaving: boolean }): Promise<void>;
}

/** All partitions for ever, for a consumer that is the only one of its stream. */
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
