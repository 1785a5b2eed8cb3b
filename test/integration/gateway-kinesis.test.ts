import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { DeleteStreamCommand } from "@aws-sdk/client-kinesis";
import { timeOutAfterSuccess } from "../../simulator/prove/fault-proxies/http-fault.ts";
import { expiredIterator, throttled } from "../../simulator/prove/fault-proxies/kinesis-faults.ts";
import { byChance, failEntries } from "../../simulator/prove/fault-proxies/put-records-faults.ts";
import { KinesisAdmin, localKinesisClient } from "../../simulator/prove/servers/kinesis-admin.ts";
import { endsInTime, errorOf, freePorts, GatewayProcess, runCli } from "../support/gateway-process.ts";
import { KinesisUnderTest } from "../support/kinesis-stream.ts";
import { RedisServer } from "../support/redis-server.ts";
import type { RunningFleet } from "../support/running-fleet.ts";
import { SharedGateways } from "../support/shared-gateways.ts";
import { streamMembers } from "../support/stream-members.ts";

let kinesis: KinesisUnderTest;
before(async () => {
  kinesis = await KinesisUnderTest.start("kinesalite");
});
after(() => kinesis.destroy());

const environment = { TIDEGATE_KINESIS_TIMEOUT_MS: "1000", TIDEGATE_KINESIS_SHARD_REFRESH_MS: "1000" };
let streams = 0;

/** A stream that does not exist yet. */
function newStream(): { url: string; admin: KinesisAdmin } {
  const name = `gateway-${streams++}`;
  const url = `kinesis://us-east-1/${name}?endpoint=${kinesis.proxy.url}`;
  return { url, admin: new KinesisAdmin(localKinesisClient(kinesis.server.url), name) };
}

/** @param expected Messages that were published, all acknowledged. */
async function assertStored(gateways: SharedGateways, ledger: string, expected: number): Promise<void> {
  const { stored, lost, duplicated, phantom, altered } = await gateways.audit(ledger);
  assert.deepEqual([stored, lost, duplicated, phantom, altered], [expected, 0, 0, 0, 0]);
}

async function assertExact(gateways: SharedGateways, fleet: RunningFleet, expected: number): Promise<void> {
  const { acked, gaveUp } = await fleet.summary();
  assert.deepEqual({ acked, gaveUp }, { acked: expected, gaveUp: 0 });
  await assertStored(gateways, fleet.ledger, expected);
}

test("a single gateway: stream created, shards split, faults, processes killed; no message is lost or duplicated", async () => {
  const { url, admin } = newStream();
  const gateways = await SharedGateways.start(1, ["--stream", url, "--create"], {
    environment: { ...environment, ...endsInTime },
  });
  const { proxy } = kinesis;
  try {
    proxy.inject(failEntries(byChance(0.3), "InternalFailure"), { on: ["PutRecords"], chance: 0.1 });
    proxy.inject(timeOutAfterSuccess(), { on: ["PutRecords"], chance: 0.02 });
    proxy.inject(throttled(), { on: ["PutRecords", "GetRecords"], chance: 0.02 });
    proxy.inject(expiredIterator(), { on: ["GetRecords"], chance: 0.02 });
    const gateway = gateways.at(0);
    const fleet = gateways.fleet({ rate: 400 });
    await gateways.untilAcknowledged(200);
    await admin.split();
    process.kill(gateway.childPid("consumer") ?? 0, "SIGKILL");
    await gateways.untilAcknowledged(300);
    await admin.merge();
    process.kill(gateway.childPid("broker") ?? 0, "SIGKILL");
    await delay(1500);
    await admin.split();
    await gateways.untilAcknowledged(300);
    const total = await fleet.finish();
    await assertStored(gateways, fleet.ledger, total);
    const [status] = await gateways.statuses();
    assert.equal(streamMembers(status?.broker).kinesis?.openShards, 5);
    assert.deepEqual([status?.books?.isBalanced, status?.books?.filed], [true, total]);
    const { finished = [], past } = status?.consumer ?? {};
    const ended = finished.length + (past?.partitions ?? 0);
    assert.ok(ended > 0, "shards that were read to their end stay in the books");
    assert.match(await gateways.statusText(0), /all, with \d+ finished/);
    assert.match(await gateways.statusText(0), /Stream: kinesis:.*provisioned, 5 open shards, kept for 24 h/);
    assert.deepEqual(await gateways.stop(), [0]);
  } finally {
    proxy.heal();
    await gateways.destroy();
    admin.client.destroy();
  }
});

test("two gateways with the window on one Redis share registry, shards and lake", async () => {
  const { url, admin } = newStream();
  const redis = await RedisServer.start();
  await admin.create(3);
  const gateways = await SharedGateways.start(2, ["--stream", url, "--window", redis.url], {
    environment: { ...environment, ...endsInTime },
  });
  try {
    const fleet = gateways.fleet({ rate: 400 });
    await gateways.untilAcknowledged(200);
    await admin.split();
    await admin.merge();
    await gateways.untilAcknowledged(400);
    await assertStored(gateways, fleet.ledger, await fleet.finish());
    const statuses = await gateways.statuses();
    const read = statuses.map(({ consumer }) => consumer?.partitions.map(({ partition }) => partition) ?? []);
    assert.equal(new Set(read.flat()).size, read.flat().length, "no shard is read by both");
    assert.ok(read.every((partitions) => partitions.length > 0));
    const topic = { name: "engine", filter: "plant/{device}/engine", format: "json" };
    assert.equal((await gateways.at(0).api("POST", "/v1/topics", topic)).status, 201);
    await gateways.at(1).until("the other gateway knows the topic, too", async () => {
      return (await gateways.at(1).api("GET", "/v1/topics/engine")).status === 200;
    });
    assert.deepEqual(await gateways.stop(), [0, 0]);
  } finally {
    await gateways.destroy();
    admin.client.destroy();
    await redis.destroy();
  }
});

test("a missing stream is refused, with the command that creates it", async () => {
  const { url, admin } = newStream();
  const gateway = await GatewayProcess.start({
    flags: ["--stream", url],
    environment,
    waitUntilReady: false,
  });
  try {
    assert.equal(await gateway.exited(), 1);
    assert.match(gateway.output, /can't start \(STREAM_MISSING\).*Create the stream .* \(--create does\)/);
  } finally {
    await gateway.destroy();
    admin.client.destroy();
  }
  const wrong = await runCli(["up", ...freePorts, "--stream", "kinesis://nowhere", "--json"]);
  assert.deepEqual([wrong.code, errorOf(wrong).code], [2, "CONFIG_INVALID"]);
});

test("a stream that was deleted, or deleted and created again, stops the gateway, which names the command to continue", async () => {
  const { url, admin } = newStream();
  const gateways = await SharedGateways.start(1, ["--stream", url, "--create"], { environment });
  const StreamName = new URL(url).pathname.slice(1);
  const remove = () => admin.client.send(new DeleteStreamCommand({ StreamName }));
  try {
    await assertExact(gateways, gateways.fleet({ rate: 200, durationS: 1 }), 200);
    await remove();
    await gateways.mendCommand();
    await gateways.stop();
    const started = gateways.startAgain().catch(() => {});
    const creates = await gateways.mendCommand();
    assert.match(
      creates,
      /tidegate stream new .*--create/,
      "a stream that the lake knows is lost, not missing",
    );
    await gateways.follow(creates);
    await started;
    await assertExact(gateways, gateways.fleet({ rate: 200, durationS: 2 }), 400);
    await delay(1200);
    await remove();
    await delay(1200);
    await admin.create(2);
    const continues = await gateways.mendCommand();
    assert.doesNotMatch(continues, /--create/, "the stream exists");
    await gateways.follow(continues);
    await assertExact(gateways, gateways.fleet({ rate: 200, durationS: 1 }), 200);
    assert.match(await gateways.statusText(0), /Given up at .* unknown|Given up at .*nobody knows/i);
  } finally {
    await gateways.destroy();
    admin.client.destroy();
  }
});

test("an embedded stream is migrated to Kinesis", async () => {
  const { url, admin } = newStream();
  const gateways = await SharedGateways.start(1, [], { environment });
  try {
    const gateway = gateways.at(0);
    await assertExact(gateways, gateways.fleet({ rate: 200, durationS: 1 }), 200);
    await gateway.stop();
    const where = ["--data", gateway.dataFolder, "--lake", gateways.lake, "--stream", url];
    const refused = await runCli(["migrate", ...where, "--json"]);
    assert.equal(errorOf(refused).code, "STREAM_MISSING");
    const migrated = await runCli(["migrate", ...where, "--create", "--json"]);
    assert.equal(migrated.code, 0, migrated.stderr);
    const moved = await GatewayProcess.start({
      dataFolder: gateway.dataFolder,
      flags: ["--stream", url, "--lake", gateways.lake],
      environment: { ...environment, TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300" },
    });
    try {
      const fleet = gateways.fleet({ rate: 200, durationS: 2, mqttUrls: [moved.mqttUrl] });
      await assertExact(gateways, fleet, 400);
    } finally {
      await moved.destroy();
    }
  } finally {
    await gateways.destroy();
    admin.client.destroy();
  }
});
