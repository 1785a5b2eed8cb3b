import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openTestLeases, openTestUpkeepLease } from "../support/lease-processes.ts";
import { RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";

let server: RedisServer;
before(async () => {
  server = await RedisServer.start();
});
after(() => server.destroy());

test("one process has it; another one has it as soon as that one ends, and after the lease if that one is silent", async () => {
  const first = await openTestUpkeepLease(server, { processName: "first" });
  const second = await openTestUpkeepLease(server, { processName: "second" });
  assert.deepEqual([first.isHeld(), second.isHeld()], [true, false]);
  assert.deepEqual(second.status(), { processName: "second", owner: "first", failure: null });
  await first.close();
  assert.equal(first.isHeld(), false);
  await until("the second has it", () => second.isHeld());
  const client = server.client();
  assert.equal(await client.exists("tidegate:{lake}:upkeep"), 1);
  client.disconnect();

  let skippedMs = 0;
  const monotonicMs = () => performance.now() + skippedMs;
  const options = { processName: "third", leaseMs: 60_000, monotonicMs };
  await second.close();
  const third = await openTestUpkeepLease(server, options);
  assert.equal(third.isHeld(), true);
  skippedMs = 55_000;
  assert.equal(third.isHeld(), false, "before another process may have it");
  await third.close();
});

test("it is apart from the leases of partitions, and from other lakes", async () => {
  const partitions = await openTestLeases(server, { processName: "a" });
  const upkeep = await openTestUpkeepLease(server, { processName: "b" });
  assert.deepEqual([[...partitions.held().keys()], upkeep.isHeld()], [[0, 1, 2, 3], true]);
  assert.deepEqual(partitions.status().processes, ["a"]);
  await upkeep.close();
  await partitions.close({ isLeaving: true });
});
