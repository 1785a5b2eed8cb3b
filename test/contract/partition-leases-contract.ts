import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PartitionLeases } from "../../bridge/leases/partition-leases.ts";
import { until } from "../support/until.ts";

export const contractPartitions: readonly number[] = [0, 1, 2, 3, 4];

/** The contract of PartitionLeases for a single process. `open` returns leases of a new stream. */
export function partitionLeasesContract(name: string, open: () => Promise<PartitionLeases>): void {
  const all = contractPartitions;
  const heldBy = (leases: PartitionLeases) =>
    [...leases.held()].filter(([, { isDue }]) => !isDue).map(([partition]) => partition);

  describe(`PartitionLeases: ${name}`, () => {
    test("a process that is alone holds every partition, and the lease table shows that", async () => {
      const leases = await open();
      await until("all are held", () => heldBy(leases).length === contractPartitions.length);
      const { processName, processes, partitions, failure } = leases.status();
      assert.deepEqual(processes, [processName]);
      assert.deepEqual(
        partitions.map(({ partition, owner, isDue }) => [partition, owner, isDue]),
        all.map((partition) => [partition, processName, false]),
      );
      for (const { partition, token } of partitions)
        assert.equal(token, leases.held().get(partition)?.token, "the token of the lease");
      assert.equal(failure, null);
      await leases.close({ isLeaving: true });
    });

    test("a lease that is released without need is acquired again", async () => {
      const leases = await open();
      leases.onChange(() => {});
      await leases.release(all);
      await leases.release(all);
      await until("all are held again", () => heldBy(leases).length === contractPartitions.length);
      await leases.close({ isLeaving: true });
    });

    test("only offered partitions are leased, and partitions that are no longer offered are released", async () => {
      const leases = await open();
      leases.onChange(() => {});
      leases.offer([1, 3, 70]);
      assert.ok(
        heldBy(leases).every((partition) => [1, 3, 70].includes(partition)),
        "at once",
      );
      await until("all offered partitions are held", () => heldBy(leases).length === 3);
      assert.deepEqual(
        leases.status().partitions.map(({ partition }) => partition),
        [1, 3, 70],
      );
      leases.offer([]);
      assert.deepEqual(heldBy(leases), []);
      leases.offer(all);
      await until("all again", () => heldBy(leases).length === contractPartitions.length);
      await leases.close({ isLeaving: true });
    });

    test("after close no lease is held, and a second close or a release does not fail", async () => {
      const leases = await open();
      await leases.close({ isLeaving: true });
      assert.deepEqual(heldBy(leases), []);
      await leases.close({ isLeaving: true });
      await leases.release(all);
      assert.deepEqual(heldBy(leases), []);
    });
  });
}
