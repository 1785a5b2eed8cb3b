import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isAlive } from "../support/gateway-process.ts";
import { startTwoOnRedis } from "../support/gateways-on-redis.ts";
import type { SharedGateways } from "../support/shared-gateways.ts";

/** The owner of each partition that this gateway knows; null if a partition has none. */
async function ownersOf(gateways: SharedGateways, index: number): Promise<(string | null)[]> {
  const status = (await gateways.statuses())[index];
  return status?.consumer?.leases.partitions.map(({ owner }) => owner) ?? [];
}

test("consumers that are killed, paused beyond their lease and made to own the same partitions file every message once", async (context) => {
  const { server, gateways } = await startTwoOnRedis(context);
  const admin = server.client();
  context.after(() => admin.disconnect());
  const fleet = gateways.fleet({ rate: 500 });
  const consumer = (index: number) => gateways.at(index).childPid("consumer") ?? 0;
  const [a, b] = [0, 1];

  const allOwned = async (by: number): Promise<void> => {
    const since = Date.now();
    await gateways.at(0).until(`all partitions are owned by ${by}`, async () => {
      const views = await Promise.all([ownersOf(gateways, a), ownersOf(gateways, b)]);
      return views.some(
        (owners) => owners.length === 4 && !owners.includes(null) && new Set(owners).size === by,
      );
    });
    context.diagnostic(`all partitions owned by ${by} after ${Date.now() - since} ms`);
  };

  await allOwned(2);
  await gateways.untilAcknowledged(1_000);
  const killed = consumer(a);
  process.kill(killed, "SIGKILL");
  while (isAlive(killed)) await delay(20);
  await gateways
    .at(a)
    .until("the killed consumer runs again", () => consumer(a) !== killed && consumer(a) !== 0);
  await allOwned(2);

  // A pause beyond the lease: the other consumer takes over, and the paused one wakes up in the middle of a
  // batch, still believing that it owns its partitions.
  process.kill(consumer(b), "SIGSTOP");
  await allOwned(1);
  process.kill(consumer(b), "SIGCONT");
  await allOwned(2);

  // The leases are lost while no process may renew them: the first consumer to ask gets all, and the other
  // one still believes in its own.
  process.kill(consumer(a), "SIGSTOP");
  for (const key of await admin.keys("*lease*")) await admin.unlink(key);
  await delay(500);
  process.kill(consumer(a), "SIGCONT");
  await gateways.untilAcknowledged(300);
  await allOwned(2);
  for (const index of [a, b])
    assert.match(await gateways.statusText(index), /\(this one\)/, "status shows the owners");

  const total = await fleet.finish();
  const { stored, lost, duplicated, phantom, altered } = await gateways.audit(fleet.ledger);
  assert.deepEqual([stored, lost, duplicated, phantom, altered], [total, 0, 0, 0, 0]);
  for (const { books } of await gateways.statuses()) assert.equal(books?.isBalanced, true);
});
