import type { HeldLease, LeasesStatus, PartitionLeases } from "../../bridge/leases/partition-leases.ts";
import type { SeededRandom } from "./seeded-random.ts";

/**
 * The partitions that one process believes to own. They change at any time, independent of other processes.
 */
export class WanderingLeases implements PartitionLeases {
  readonly #random: SeededRandom;
  #held = new Map<number, HeldLease>();
  #offered: readonly number[] = [];
  #tokens = 0;
  #listener: () => void = () => {};

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Each partition is kept, got, got with a new token, due, or lost. */
  wander(): void {
    const random = this.#random;
    for (const partition of this.#offered) {
      const lease = this.#held.get(partition);
      const dice = random.next();
      if (dice < 0.25) this.#held.delete(partition);
      else if (dice < 0.5 && lease) this.#held.set(partition, { ...lease, isDue: true });
      else if (dice < 0.75) this.#held.set(partition, { token: ++this.#tokens, isDue: false });
    }
    this.#listener();
  }

  offer(partitions: readonly number[]): void {
    const isNew = partitions.some((partition) => !this.#offered.includes(partition));
    this.#offered = partitions;
    if (isNew) this.wander();
  }

  held(): ReadonlyMap<number, HeldLease> {
    return new Map([...this.#held].filter(([partition]) => this.#offered.includes(partition)));
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  async release(partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) this.#held.delete(partition);
  }

  status(): LeasesStatus {
    return { processName: "", processes: [], partitions: [], ageMs: null, failure: null };
  }

  async close(): Promise<void> {
    this.#held.clear();
  }
}
