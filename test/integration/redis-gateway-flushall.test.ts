import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { startTwoOnRedis } from "../support/gateways-on-redis.ts";
import { stopReading } from "../support/kill-gateway.ts";
import type { SharedGateways } from "../support/shared-gateways.ts";

const settleMs = 1_500;

describe("a Redis that is emptied under two gateways and a fleet", { concurrency: false }, () => {
  async function untilStopped(gateways: SharedGateways): Promise<void> {
    await gateways.at(0).until("the partitions have stopped", async () => {
      const partitions = (await gateways.statuses()).flatMap(({ consumer }) => consumer?.partitions ?? []);
      return partitions.length === 4 && partitions.every(({ halt }) => halt?.code === "STREAM_GAP");
    });
  }

  async function filed(gateways: SharedGateways): Promise<number> {
    return (await gateways.statuses()).reduce((sum, { books }) => sum + (books?.filed ?? 0), 0);
  }

  test("FLUSHALL: all partitions stop, no process ends, the command in the status resumes, and the audit finds only unread messages missing", async (context) => {
    const { server, gateways } = await startTwoOnRedis(context);
    const fleet = gateways.fleet({ rate: 800 });
    await gateways.untilAcknowledged(1_500);
    for (const gateway of gateways.all) stopReading(gateway);
    await gateways.untilAcknowledged(800);
    const admin = server.client();
    await admin.flushall();
    admin.disconnect();
    for (const gateway of gateways.all) process.kill(gateway.childPid("consumer") ?? 0, "SIGCONT");
    const command = await gateways.mendCommand();
    await untilStopped(gateways);
    const before = await gateways.acknowledged();
    await delay(settleMs);
    assert.equal(await gateways.acknowledged(), before, "no message is acknowledged any more");
    const [acknowledged, inTables] = [await gateways.acknowledged(), await filed(gateways)];
    for (const { processes } of await gateways.statuses())
      assert.deepEqual(
        processes.map(({ restarts }) => restarts),
        [0, 0, 0],
      );
    await gateways.follow(command);
    const total = await fleet.finish();
    const { stored, lost, ...flaws } = await gateways.audit(fleet.ledger, 5);
    assert.deepEqual([flaws.duplicated, flaws.phantom, flaws.altered], [0, 0, 0]);
    assert.ok(lost > 0, "unfiled messages are lost");
    // Messages that were filed but not acknowledged when the server was emptied were sent again.
    assert.ok(
      lost >= acknowledged - inTables && lost <= acknowledged,
      `${lost} lost, ${acknowledged} acknowledged`,
    );
    assert.equal(stored, total - lost);
  });
});
