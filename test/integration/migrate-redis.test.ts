import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parseRedisUrl, type RedisTarget } from "../../bridge/redis/redis-url.ts";
import { closeMovedRedisStream, surveyRedisStream } from "../../bridge/streams/redis/move-stream.ts";
import { partitionKeys } from "../../bridge/streams/redis/stream-keys.ts";
import { publishAll } from "../support/gateway-books.ts";
import { errorOf, freePorts, GatewayProcess, runCli } from "../support/gateway-process.ts";
import { KinesisUnderTest } from "../support/kinesis-stream.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { RedisServer } from "../support/redis-server.ts";
import { block, everything, newTestStream, openTestStream } from "../support/redis-stream.ts";
import { silentLogger } from "../support/test-lake.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-migrate-"));
const quickLeases = { TIDEGATE_LEASES_LEASE_MS: "2000" };
const slowBatches = { ...quickLeases, TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "600000" };
const fastBatches = { ...quickLeases, TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300" };
const count = "SELECT count(*) AS n, count(DISTINCT message_id) AS ids FROM telemetry";

let redis: RedisServer;
before(async () => {
  redis = await RedisServer.start();
});
after(async () => {
  await redis.destroy();
  rmSync(root, { recursive: true, force: true });
});

const idsOf = (device: string, total: number) =>
  Array.from({ length: total }, (_, index) => ({ device, id: `${device}-${index}` }));

async function goesOnInKinesis(from: string, folder: string): Promise<void> {
  const kinesis = await KinesisUnderTest.start("kinesalite");
  const window = await RedisServer.start();
  const shared = ["--lake", `file:${join(folder, "lake")}`];
  const onRedis = [...shared, "--stream", from];
  const startOn = (name: string) =>
    GatewayProcess.start({ dataFolder: join(folder, name), flags: onRedis, environment: slowBatches });
  const first = await startOn("first");
  const second = await startOn("second");
  try {
    const topic = { name: "engine", filter: "plant/{device}/engine", format: "json" };
    assert.equal((await first.api("POST", "/v1/topics", topic)).status, 201);
    assert.equal((await first.api("POST", "/v1/devices", { name: "pump-7", role: "device" })).status, 201);
    await publishAll(first, idsOf("d1", 100));
    await publishAll(second, idsOf("d2", 100));
    await first.destroy();

    const stream = `kinesis://us-east-1/moved?endpoint=${kinesis.server.url}`;
    const onKinesis = [...shared, "--stream", stream, "--window", window.url];
    const migrate = () =>
      runCli(
        ["migrate", "--from", from, ...onKinesis, "--create", "--data", first.dataFolder, "--json"],
        quickLeases,
      );
    const inUse = await migrate();
    assert.deepEqual([inUse.code, errorOf(inUse).code], [1, "MIGRATE_IN_USE"]);
    assert.match(inUse.stderr, /Waiting for .* to end/);
    await second.destroy();
    const migrated = await migrate();
    assert.equal(migrated.code, 0, migrated.stderr);
    const { devices, movedTo } = migrated.json as Record<string, unknown>;
    assert.deepEqual([devices, movedTo], [1, null]);
    assert.equal(errorOf(await migrate()).code, "MIGRATE_NOTHING");

    const late = await runCli(["up", ...freePorts, ...onRedis, "--data", second.dataFolder, "--json"]);
    assert.match(late.stderr, /STREAM_MOVED.*was moved to kinesis:\/\/us-east-1\/moved/s);
    const next = await GatewayProcess.start({
      dataFolder: second.dataFolder,
      flags: onKinesis,
      environment: fastBatches,
    });
    try {
      assert.equal((await next.api("GET", "/v1/topics/engine")).status, 200);
      assert.equal((await next.api("GET", "/v1/devices")).status, 200);
      await publishAll(next, idsOf("d1", 110));
      await publishAll(next, idsOf("d2", 110));
      const rows = async () => {
        const { json, stderr } = await runCli(["query", count, ...shared, "--json"]);
        return (json as { rows: Record<string, number>[] } | null)?.rows[0] ?? assert.fail(stderr);
      };
      await next.until("the new messages are filed", async () => ((await rows())["n"] ?? 0) >= 220);
      assert.deepEqual(await rows(), { n: 220, ids: 220 });
    } finally {
      await next.stop();
    }
  } finally {
    await first.destroy();
    await second.destroy();
    await window.destroy();
    await kinesis.destroy();
  }
}

test("gateways on Redis move to Kinesis: no message is lost, resends stay duplicates, and the old stream is closed", async () => {
  await goesOnInKinesis(redis.url, root);
});

test("gateways on a Redis Cluster move to Kinesis in the same way", async (t) => {
  const cluster = await RedisCluster.start();
  t.after(() => cluster.destroy());
  await goesOnInKinesis(cluster.url, mkdtempSync(join(root, "cluster-")));
});

test("a stream that ends before the lake's position is not taken for filed: STREAM_NOT_DRAINED", async () => {
  const dataFolder = join(root, "older-copy");
  const flags = ["--lake", `file:${join(root, "older-lake")}`, "--stream", `${redis.url}?prefix=older`];
  const gateway = await GatewayProcess.start({ dataFolder, flags, environment: fastBatches });
  await publishAll(gateway, idsOf("d1", 20));
  const filed = async () => {
    const { json } = await runCli(["query", count, ...flags.slice(0, 2), "--json"]);
    return (json as { rows: Record<string, number>[] } | null)?.rows[0]?.["n"] === 20;
  };
  await gateway.until("the messages are filed", filed);
  await gateway.stop();
  const { streamId } = (await surveyRedisStream({
    target: parseRedisUrl(`${redis.url}?prefix=older`),
    timeoutMs: 2_000,
    logger: silentLogger,
  })) ?? { streamId: "" };
  const client = redis.client();
  for (let partition = 0; partition < 4; partition++) {
    const [log, state] = partitionKeys("older", streamId, partition);
    const begin = {
      lastNumber: 0,
      lastMs: 0,
      appendedBytes: 0,
      trimmedNumber: 0,
      trimmedMs: 0,
      trimmedBytes: 0,
    };
    await client.multi().xtrim(log, "MAXLEN", 0).hset(state, begin).exec();
  }
  client.disconnect();
  const to = ["--stream", `${redis.url}?prefix=newer`, "--from", `${redis.url}?prefix=older`];
  const where = [...flags.slice(0, 2), "--data", dataFolder, "--json"];
  const refused = await runCli(["migrate", ...to, ...where], quickLeases);
  assert.deepEqual([refused.code, errorOf(refused).code], [1, "STREAM_NOT_DRAINED"], refused.stderr);
});

describe("closing a stream that has moved", () => {
  const movedTo = "kinesis://eu-central-1/fleet";

  /**
   * Seconds until logs and states expire, partition by partition: -1 = never, -2 = the key does not exist.
   */
  async function secondsLeft(
    { prefix }: RedisTarget,
    streamId: string,
    partitions: number,
  ): Promise<number[]> {
    const client = redis.client();
    try {
      const keys = Array.from({ length: partitions }, (_, partition) =>
        partitionKeys(prefix, streamId, partition),
      );
      return await Promise.all(keys.flat().map((key) => client.ttl(key)));
    } finally {
      client.disconnect();
    }
  }

  test("stops processes that have the stream open, names the new place to processes that open it, and may be repeated", async () => {
    const { target, stream } = await newTestStream(redis.url, { partitions: 2 });
    await stream.append(0, block(1));
    const site = { target, timeoutMs: 2_000, logger: silentLogger };
    const survey = (await surveyRedisStream(site)) ?? assert.fail("the stream is there");
    assert.deepEqual([survey.movedTo, survey.members], [null, []]);
    await closeMovedRedisStream(site, survey, movedTo);
    await closeMovedRedisStream(site, survey, movedTo);
    await assert.rejects(stream.append(1, block(2)), { code: "STREAM_GAP", message: /closed.*fleet/ });
    await assert.rejects(openTestStream(target), {
      code: "STREAM_MOVED",
      message: /--stream kinesis:\/\/eu-central-1\/fleet.*tidegate stream new/,
    });
    assert.equal((await surveyRedisStream(site))?.movedTo, movedTo);
    for (const left of await secondsLeft(target, survey.streamId, 2))
      assert.ok(left > 604_000 || left === -2);
    await stream.close();
  });

  test("is refused without a change if messages were appended since", async () => {
    const { target, stream } = await newTestStream(redis.url, { partitions: 3 });
    const site = { target, timeoutMs: 2_000, logger: silentLogger };
    const survey = (await surveyRedisStream(site)) ?? assert.fail("the stream is there");
    await stream.append(1, block(1));
    await assert.rejects(closeMovedRedisStream(site, survey, movedTo), { code: "STREAM_IN_USE" });
    for (const partition of [0, 1, 2]) await stream.append(partition, block(2));
    assert.equal((await stream.read(1, "", everything)).length, 2);
    assert.equal((await surveyRedisStream(site))?.movedTo, null);
    assert.deepEqual(await secondsLeft(target, survey.streamId, 3), [-1, -1, -1, -1, -1, -1], "for ever");
    await stream.close();
  });

  test("a survey of a missing stream is null", async () => {
    const target = parseRedisUrl(`${redis.url}?prefix=nothing`);
    assert.equal(await surveyRedisStream({ target, timeoutMs: 2_000, logger: silentLogger }), null);
  });
});

test("source and target are checked before any change", async () => {
  const passwordFile = ["--from-password-file", import.meta.filename];
  const missingFile = ["--from-password-file", join(root, "no-such-file")];
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["--from", redis.url, "--stream", redis.url], /the same stream/],
    [["--from", "kinesis://eu-central-1/a", "--stream", redis.url], /Kinesis can't be migrated yet/],
    [["--from", "http://nowhere", "--stream", redis.url], /--from http:\/\/nowhere: give embedded:/],
    [["--from", redis.url], /--stream must name/],
    [
      ["--stream", redis.url, "--from-password-file", import.meta.filename],
      /is for a Redis, which --from does not name/,
    ],
    [["--from", "redis://:a@127.0.0.1:1", "--stream", redis.url, ...passwordFile], /give the password once/],
    [
      ["--from", "redis://127.0.0.1:1", "--stream", redis.url, ...missingFile],
      /--from-password-file \S+: there is no such file/,
    ],
  ];
  for (const [flags, text] of cases) {
    const { code, stderr } = await runCli(["migrate", "--data", join(root, "none"), ...flags]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, text);
  }
  const nothing = await runCli([
    "migrate",
    "--data",
    join(root, "first"),
    "--from",
    `${redis.url}?prefix=nothing`,
    "--stream",
    redis.url,
    "--json",
  ]);
  assert.deepEqual([nothing.code, errorOf(nothing).code], [1, "MIGRATE_NOTHING"]);
});

test("the password of the old Redis may come from a file", async () => {
  const admin = redis.client();
  await admin.call("ACL", ["SETUSER", "mover", "on", ">from-a-file", "~*", "&*", "+@all"]);
  admin.disconnect();
  const url = redis.url.replace("redis://", "redis://mover@");
  const file = join(root, "password");
  const migrate = async (password: string): Promise<string> => {
    writeFileSync(file, `${password}\n`);
    const from = ["--from", `${url}?prefix=nothing`, "--from-password-file", file];
    const to = ["--stream", `${redis.url}?prefix=else`, "--data", join(root, "first")];
    const result = await runCli(["migrate", ...from, ...to, "--json"]);
    assert.equal(result.stdout.includes(password) || result.stderr.includes(password), false);
    return errorOf(result).code;
  };
  assert.equal(await migrate("from-a-file"), "MIGRATE_NOTHING");
  assert.equal(await migrate("something-else"), "REDIS_DENIED");
});
