import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { ReplicatedRedis } from "../support/replicated-redis.ts";
import type { RunningFleet } from "../support/running-fleet.ts";
import { SharedGateways } from "../support/shared-gateways.ts";

const rate = 200;

describe("a fail-over to the replica under two gateways", { concurrency: false }, () => {
  async function start(
    t: TestContext,
    replicas: number,
  ): Promise<{ redis: ReplicatedRedis; gateways: SharedGateways }> {
    const redis = await ReplicatedRedis.start();
    t.after(() => redis.destroy());
    const environment = {
      TIDEGATE_REDIS_REPLICAS: String(replicas),
      TIDEGATE_REDIS_TIMEOUT_MS: "2000",
      TIDEGATE_SHUTDOWN_TIMEOUT_MS: "3000",
    };
    const flags = ["--stream", redis.url, "--window", redis.url];
    const gateways = await SharedGateways.start(2, flags, { environment });
    t.after(() => gateways.destroy());
    return { redis, gateways };
  }

  async function assertStoredOnce(gateways: SharedGateways, fleet: RunningFleet): Promise<void> {
    const total = await fleet.finish();
    const { stored, lost, duplicated, phantom, altered } = await gateways.audit(fleet.ledger);
    assert.deepEqual([stored, lost, duplicated, phantom, altered], [total, 0, 0, 0, 0]);
    for (const { books } of await gateways.statuses()) assert.equal(books?.isBalanced, true);
  }

  /** No gateway acknowledges anything, for this reason. */
  async function untilHeld(gateways: SharedGateways, reason: RegExp): Promise<void> {
    for (const gateway of gateways.all)
      await gateway.until("the status says why nothing is acknowledged", async () => {
        const answer = await fetch(`${gateway.httpUrl}/readyz`);
        return answer.status === 503 && reason.test(await answer.text());
      });
  }

  /** The commands that resume stopped partitions, from the status. */
  async function stopped(gateways: SharedGateways): Promise<string[]> {
    const texts = await Promise.all(gateways.all.map((_, index) => gateways.statusText(index)));
    return texts.flatMap((text) => text.match(/(?<=Resume: )tidegate stream accept-gap .*/g) ?? []);
  }

  test("redis.replicas = 1: no acknowledged message is lost, and none is acknowledged until there is a replica again", async (t) => {
    const { redis, gateways } = await start(t, 1);
    const fleet = gateways.fleet({ rate });
    await gateways.untilAcknowledged(rate);
    await redis.killPrimary();
    await redis.promote();
    await untilHeld(gateways, /0 of 1 replicas/);
    await redis.rejoin();
    for (const gateway of gateways.all) await gateway.waitUntilReady();
    await assertStoredOnce(gateways, fleet);
    for (const { processes } of await gateways.statuses())
      assert.deepEqual(
        processes.map(({ restarts }) => restarts),
        [0, 0, 0],
      );
  });

  test("redis.replicas = 1, and messages that no replica had are already filed: their partitions stop, and resume without a loss or a duplicate", async (t) => {
    const { redis, gateways } = await start(t, 1);
    redis.link.set("hold");
    const first = gateways.fleet({ rate, mqttUrls: [gateways.at(0).mqttUrl] });
    await gateways.at(0).until("unacknowledged messages are filed", async () => {
      const statuses = await gateways.statuses();
      return statuses.some(({ books }) => (books?.filed ?? 0) > 0);
    });
    assert.equal(await gateways.acknowledged(), 0);
    const broker = gateways.at(0).childPid("broker") ?? assert.fail("it runs");
    // This broker alone would send the same blocks to the same positions again, and nothing would be missing.
    process.kill(broker, "SIGSTOP");
    const second = gateways.fleet({ rate, mqttUrls: [gateways.at(1).mqttUrl] });
    await redis.killPrimary();
    await redis.promote();
    await redis.rejoin();
    await gateways.at(0).until("a partition stops", async () => (await stopped(gateways)).length > 0);
    process.kill(broker, "SIGCONT");
    let running = 2;
    for (const fleet of [first, second]) void fleet.finish().then(() => running--);
    // A partition stops when its consumer reaches the loss: maybe after another one was resumed.
    await gateways.at(0).until("all partitions continue, and file everything", async () => {
      const commands = await stopped(gateways);
      for (const command of commands) await gateways.runShown(command);
      const statuses = await gateways.statuses();
      return running === 0 && commands.length === 0 && statuses.every(({ books }) => books?.isBalanced);
    });
    for (const fleet of [first, second]) await assertStoredOnce(gateways, fleet);
  });

  test("redis.replicas = 0 and a replica that was cut off: the loss is detected, the command resumes, the audit counts the loss", async (t) => {
    const { redis, gateways } = await start(t, 0);
    redis.link.set("hold");
    // A consumer files the messages that it has read, even if the stream loses them.
    const consumers = gateways.all.map((gateway) => gateway.childPid("consumer") ?? assert.fail("it runs"));
    for (const pid of consumers) process.kill(pid, "SIGSTOP");
    const fleet = gateways.fleet({ rate });
    await gateways.untilAcknowledged(rate);
    await redis.killPrimary();
    await redis.promote();
    for (const pid of consumers) process.kill(pid, "SIGCONT");
    const command = await gateways.mendCommand();
    const acknowledged = await gateways.acknowledged();
    assert.ok(acknowledged >= rate, `${acknowledged} acknowledged`);
    assert.match(await gateways.statusText(0), /THE BOOKS DO NOT BALANCE/);
    await gateways.follow(command);
    const given = /! Given up at .*: an unknown number of messages/;
    for (const index of gateways.all.keys()) assert.match(await gateways.statusText(index), given);
    const total = await fleet.finish();
    const later = gateways.fleet({ rate, durationS: 1 });
    await later.ended;
    // Partitions are filed in order: once these messages are filed, all earlier ones are, too.
    const audit = await gateways.audit(later.ledger);
    assert.deepEqual([audit.stored, audit.lost, audit.duplicated], [rate, 0, 0]);
    const { stored, lost, duplicated, phantom, altered } = await gateways.audit(fleet.ledger, 1);
    assert.deepEqual([stored, lost], [total - acknowledged, acknowledged]);
    assert.deepEqual([duplicated, phantom, altered], [0, 0, 0]);
  });
});
