import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { openTestLeases, PuppetProcess } from "../support/lease-processes.ts";
import { RedisServer } from "../support/redis-server.ts";

const leaseMs = 60_000;
let server: RedisServer;
let client: Redis;
before(async () => {
  server = await RedisServer.start();
  client = server.client();
});
after(async () => {
  client.disconnect();
  await server.destroy();
});
beforeEach(() => client.flushall());

test("a lease lasts from the time of its request, however late the answer came", async () => {
  const answerTookMs = 20_000;
  let calls = 0;
  let nowMs: number | undefined;
  const monotonicMs = () => nowMs ?? answerTookMs * calls++;
  const leases = await openTestLeases(server, { leaseMs, monotonicMs });
  nowMs = leaseMs * 0.9 - 1;
  assert.equal(leases.held().size, 4);
  nowMs = leaseMs * 0.9;
  assert.equal(leases.held().size, 0, "the server may give them to others now");
  await leases.close({ isLeaving: true });
});

test("a lease that must be handed over gets no longer when its owner renews, and no other lease gets shorter", async () => {
  const owner = new PuppetProcess(client, "a", { leaseMs });
  await owner.ask("join");
  await new PuppetProcess(client, "b", { leaseMs }).ask("join");
  await owner.ask("renew");
  await delay(100);
  const { rows } = await owner.ask("renew");
  const lasts = [0, 1, 2, 3].map((partition) => rows.get(partition)?.expiresInMs ?? -1);
  assert.deepEqual(lasts.slice(0, 2), [leaseMs, leaseMs]);
  for (const left of lasts.slice(2)) assert.ok(left > 0 && left <= leaseMs - 90, `${left} ms are left`);
});
