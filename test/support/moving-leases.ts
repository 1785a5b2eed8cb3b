import type { HeldLease, LeasesStatus, PartitionLeases } from "../../bridge/leases/partition-leases.ts";

/** Leases that a test gives and takes, independent of other processes. */
export class MovingLeases implements PartitionLeases {
  readonly released: number[] = [];
  /** null = it is open. */
  closedAs: "leaving" | "restarting" | null = null;
  readonly #partitionCount: number;
  readonly #owners = new Map<number, string>();
  #held = new Map<number, HeldLease>();
  #tokens = 0;
  #listener: () => void = () => {};

  constructor(partitionCount: number) {
    this.#partitionCount = partitionCount;
  }

  /** From now on, this process owns exactly these partitions; new ones with a new token. */
  give(partitions: readonly number[]): void {
    const before = this.#held;
    this.#held = new Map(
      partitions.map((partition) => [
        partition,
        before.get(partition) ?? { token: ++this.#tokens, isDue: false },
      ]),
    );
    this.#listener();
  }

  /** Another process should get the partition. */
  call(partition: number): void {
    const lease = this.#held.get(partition);
    if (lease) this.#held.set(partition, { ...lease, isDue: true });
    this.#listener();
  }

  /** Takes the partition and gives it again at once. */
  renew(partition: number): void {
    this.#held.set(partition, { token: ++this.#tokens, isDue: false });
    this.#listener();
  }

  ownedBy(partition: number, owner: string): void {
    this.#owners.set(partition, owner);
  }

  offer(): void {}

  held(): ReadonlyMap<number, HeldLease> {
    return new Map(this.#held);
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  async release(partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) {
      this.released.push(partition);
      this.#held.delete(partition);
    }
  }

  status(): LeasesStatus {
    const partitions = Array.from({ length: this.#partitionCount }, (_, partition) => ({
      partition,
      owner: this.#held.has(partition) ? "me" : (this.#owners.get(partition) ?? null),
      token: this.#held.get(partition)?.token ?? null,
      expiresInMs: null,
      isDue: this.#held.get(partition)?.isDue ?? false,
    }));
    return { processName: "me", processes: ["me"], partitions, ageMs: 0, failure: null };
  }

  async close({ isLeaving }: { isLeaving: boolean }): Promise<void> {
    this.closedAs = isLeaving ? "leaving" : "restarting";
    this.#held.clear();
  }
}
