import assert from "node:assert/strict";
import { test } from "node:test";
import { RedisCluster } from "../support/redis-cluster.ts";
import { type RunningFleet, SharedGateways } from "../support/shared-gateways.ts";

const rate = 300;
const durationS = 3;
const total = rate * durationS;
/** So many that each node holds some. */
const partitions = 12;

test("two gateways on a Redis Cluster, of which the node that the URL names and another are killed and come back: each message is filed once", async (t) => {
  const cluster = await RedisCluster.start({ maxmemory: "256mb" });
  t.after(() => cluster.destroy());
  const environment = { TIDEGATE_STREAM_PARTITION_COUNT: String(partitions) };
  const flags = ["--stream", cluster.url, "--window", cluster.url];
  const gateways = await SharedGateways.start(2, flags, { environment });
  t.after(() => gateways.destroy());
  const fleets: RunningFleet[] = [];
  for (const [node, server] of cluster.servers.slice(0, 2).entries()) {
    const before = await gateways.acknowledged();
    const fleet = gateways.fleet({ rate, durationS });
    await gateways.untilAcknowledged(rate / 3);
    // So that it surely dies with appends that it has not run.
    server.pause();
    await gateways.at(0).until("appends are under way", async () => {
      const statuses = await gateways.statuses();
      return statuses.every(({ broker }) => (broker?.inFlightMessages ?? 0) > 0);
    });
    await server.kill();
    for (const gateway of gateways.all)
      await gateway.until(`it says that node ${node} is away`, async () => {
        const answer = await fetch(`${gateway.httpUrl}/readyz`);
        return answer.status === 503 && /REDIS_UNAVAILABLE/.test(await answer.text());
      });
    assert.ok((await gateways.acknowledged()) < before + total, `node ${node} was killed in time`);
    await server.start();
    for (const gateway of gateways.all) await gateway.waitUntilReady();
    const { acked, gaveUp, unsent } = (await fleet.ended).json as Record<string, number>;
    assert.deepEqual({ acked, gaveUp, unsent }, { acked: total, gaveUp: 0, unsent: 0 });
    fleets.push(fleet);
  }
  const audits = await Promise.all(fleets.map(({ ledger }) => gateways.audit(ledger)));
  for (const { stored, lost, duplicated, phantom, altered } of audits)
    assert.deepEqual([stored, lost, duplicated, phantom, altered], [total, 0, 0, 0, 0]);
  for (const { books, processes } of await gateways.statuses()) {
    assert.equal(books?.isBalanced, true);
    assert.deepEqual(
      processes.map(({ restarts }) => restarts),
      [0, 0],
    );
  }
});
