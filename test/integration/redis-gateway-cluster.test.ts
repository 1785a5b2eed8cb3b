import assert from "node:assert/strict";
import { test } from "node:test";
import { RedisCluster } from "../support/redis-cluster.ts";
import { SharedGateways } from "../support/shared-gateways.ts";

const rate = 300;
/** Enough partitions that each node holds some. */
const partitions = 12;

test("two gateways on a Redis Cluster whose nodes, among them the one in the URL, are killed and restarted: each message is filed once", async (t) => {
  const cluster = await RedisCluster.start({ maxmemory: "256mb" });
  t.after(() => cluster.destroy());
  const environment = { TIDEGATE_STREAM_PARTITION_COUNT: String(partitions) };
  const flags = ["--stream", cluster.url, "--window", cluster.url];
  const gateways = await SharedGateways.start(2, flags, { environment });
  t.after(() => gateways.destroy());
  const fleets: { readonly ledger: string; readonly total: number }[] = [];
  for (const [node, server] of cluster.servers.slice(0, 2).entries()) {
    const fleet = gateways.fleet({ rate });
    await gateways.untilAcknowledged(rate / 3);
    // A pause first, so that the node certainly dies with appends that it has not executed.
    server.pause();
    await gateways.at(0).until("appends are under way", async () => {
      const statuses = await gateways.statuses();
      return statuses.every(({ broker }) => (broker?.inFlightMessages ?? 0) > 0);
    });
    await server.kill();
    for (const gateway of gateways.all)
      await gateway.until(`the status says that node ${node} is unreachable`, async () => {
        const answer = await fetch(`${gateway.httpUrl}/readyz`);
        return answer.status === 503 && /REDIS_UNAVAILABLE/.test(await answer.text());
      });
    await server.start();
    for (const gateway of gateways.all) await gateway.waitUntilReady();
    fleets.push({ ledger: fleet.ledger, total: await fleet.finish() });
  }
  for (const { ledger, total } of fleets) {
    const { stored, lost, duplicated, phantom, altered } = await gateways.audit(ledger);
    assert.deepEqual([stored, lost, duplicated, phantom, altered], [total, 0, 0, 0, 0]);
  }
  for (const { books, processes } of await gateways.statuses()) {
    assert.equal(books?.isBalanced, true);
    assert.deepEqual(
      processes.map(({ restarts }) => restarts),
      [0, 0, 0],
    );
  }
});
