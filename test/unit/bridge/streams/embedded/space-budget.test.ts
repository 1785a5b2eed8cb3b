import assert from "node:assert/strict";
import { test } from "node:test";
import { SpaceBudget } from "../../../../../bridge/streams/embedded/space-budget.ts";

const mib = 1024 ** 2;

async function budgetOn(
  disk: { freeBytes: number; totalBytes: number; fileBytes: number },
  limits: { maxBytes?: number; reserveBytes?: number } = {},
): Promise<SpaceBudget> {
  const budget = new SpaceBudget({
    folder: "/nowhere",
    maxBytes: limits.maxBytes ?? 1000 * mib,
    reserveBytes: limits.reserveBytes ?? 100 * mib,
    readDisk: async () => disk,
  });
  await budget.poll();
  return budget;
}

test("blocks that wait for trimming are held at stream.maxBytes", async () => {
  const disk = { freeBytes: 5000 * mib, totalBytes: 9000 * mib, fileBytes: 0 };
  const budget = await budgetOn(disk, { maxBytes: 10 * mib });
  assert.equal(budget.refusal(9 * mib, mib), null);
  assert.match(budget.refusal(9 * mib, mib + 1) ?? "", /maxBytes/);
});

test("the disk's reserve is kept, counting bytes appended since the last poll", async () => {
  const budget = await budgetOn({ freeBytes: 150 * mib, totalBytes: 9000 * mib, fileBytes: 0 });
  assert.equal(budget.refusal(0, 50 * mib), null);
  budget.appended(30 * mib);
  assert.match(budget.refusal(0, 50 * mib) ?? "", /reserve/);
  assert.equal(budget.refusal(0, 20 * mib), null);
  await budget.poll();
  assert.equal(budget.refusal(0, 50 * mib), null);
});

test("the reserve is at most a tenth of the disk", async () => {
  const budget = await budgetOn(
    { freeBytes: 20 * mib, totalBytes: 100 * mib, fileBytes: 0 },
    { reserveBytes: 1024 * mib },
  );
  assert.equal(budget.refusal(0, 10 * mib), null);
  assert.match(budget.refusal(0, 11 * mib) ?? "", /reserve/);
  assert.equal(budget.status(0).diskReserveBytes, 10 * mib);
});

test("below the reserve, blocks that fit into room left by trimming still pass", async () => {
  const budget = await budgetOn({ freeBytes: 0, totalBytes: 1000 * mib, fileBytes: 100 * mib });
  assert.equal(budget.refusal(60 * mib, 10 * mib), null);
  assert.match(budget.refusal(70 * mib, 10 * mib) ?? "", /reserve/);
});

test("if the disk can't be read, the last poll stays valid", async () => {
  let isBroken = false;
  const budget = new SpaceBudget({
    folder: "/nowhere",
    maxBytes: 1000 * mib,
    reserveBytes: 100 * mib,
    readDisk: async () => {
      if (isBroken) throw new Error("EIO");
      return { freeBytes: 101 * mib, totalBytes: 9000 * mib, fileBytes: 0 };
    },
  });
  await budget.poll();
  isBroken = true;
  await budget.poll();
  assert.equal(budget.refusal(0, mib), null);
  assert.match(budget.refusal(0, 2 * mib) ?? "", /reserve/);
});
