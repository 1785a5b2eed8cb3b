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

  /** Nobody acknowledges anything, for this reason. */
  async function untilHeld(gateways: SharedGateways, reason: RegExp): Promise<void> {
    for (const gateway of gateways.all)
      await gateway.until("it says why nothing is acknowledged", async () => {
        const answer = await fetch(`${gateway.httpUrl}/readyz`);
        return answer.status === 503 && reason.test(await answer.text());
      });
  }

  /** The commands with which stopped partitions go on, as the status shows them. */
  async function stopped(gateways: SharedGateways): Promise<string[]> {
    const texts = await Promise.all(gateways.all.map((_, index) => gateways.statusText(index)));
    return texts.flatMap((text) => text.match(/(?<=Resume: )tidegate stream accept-gap .*/g) ?? []);
  }

  test("redis.replicas = 1: nothing acknowledged is lost, and nothing is acknowledged before there is a replica again", async (t) => {
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
        [0, 0],
      );
  });

  test("redis.replicas = 1, and what no replica had was filed already: its partitions stop, and go on without a loss or a duplicate", async (t) => {
    const { redis, gateways } = await start(t, 1);
    redis.link.set("hold");
    const first = gateways.fleet({ rate, mqttUrls: [gateways.at(0).mqttUrl] });
    await gateways.at(0).until("messages are filed that are not acknowledged", async () => {
      const statuses = await gateways.statuses();
      return statuses.some(({ books }) => (books?.filed ?? 0) > 0);
    });
    assert.equal(await gateways.acknowledged(), 0);
    const broker = gateways.at(0).childPid("broker") ?? assert.fail("it runs");
    // Alone it would send the same blocks into the same places again, and nothing would be missing.
    process.kill(broker, "SIGSTOP");
    const second = gateways.fleet({ rate, mqttUrls: [gateways.at(1).mqttUrl] });
    await redis.killPrimary();
    await redis.promote();
    await redis.rejoin();
    await gateways.at(0).until("a partition stops", async () => (await stopped(gateways)).length > 0);
    process.kill(broker, "SIGCONT");
    let running = 2;
    for (const fleet of [first, second]) void fleet.finish().then(() => running--);
    await gateways.at(0).until("all go on", async () => {
      const commands = await stopped(gateways);
      for (const command of commands) await gateways.runShown(command);
      return running === 0 && commands.length === 0;
    });
    for (const fleet of [first, second]) await assertStoredOnce(gateways, fleet);
  });

  test("redis.replicas = 0 and a replica that had been cut off: the loss is found, the command resumes, the audit counts it", async (t) => {
    const { redis, gateways } = await start(t, 0);
    redis.link.set("hold");
    // What a consumer has read it files, even where the stream loses it.
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
    // Partitions are filed in order: once this is filed, what was published before it is, too.
    const audit = await gateways.audit(later.ledger);
    assert.deepEqual([audit.stored, audit.lost, audit.duplicated], [rate, 0, 0]);
    const { stored, lost, duplicated, phantom, altered } = await gateways.audit(fleet.ledger, 1);
    assert.deepEqual([stored, lost], [total - acknowledged, acknowledged]);
    assert.deepEqual([duplicated, phantom, altered], [0, 0, 0]);
  });
});
