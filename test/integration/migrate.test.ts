import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { createRedisStream } from "../../bridge/streams/redis/create-stream.ts";
import { copyRegistry } from "../../gateway/registry/copy-registry.ts";
import { newDeviceRecord } from "../../gateway/registry/device-record.ts";
import { LmdbRegistry } from "../../gateway/registry/lmdb-registry.ts";
import { publishAll } from "../support/gateway-books.ts";
import { type CliResult, GatewayProcess, runCli } from "../support/gateway-process.ts";
import { loseBlock, messageBlocksOf } from "../support/lose-block.ts";
import { MemoryTopicArchive } from "../support/memory-topic-archive.ts";
import { RedisServer } from "../support/redis-server.ts";
import { silentLogger } from "../support/test-lake.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-migrate-"));
after(() => rmSync(root, { recursive: true, force: true }));

const slowBatches = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "600000" };
const fastBatches = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300" };

function idsOf(device: string, count: number) {
  return Array.from({ length: count }, (_, index) => ({ device, id: `${device}-${index}` }));
}

function errorCode(result: CliResult): string | undefined {
  return (result.json as { error?: { code: string } } | null)?.error?.code;
}

/** A gateway on the embedded stream that took messages, filed none of them, and was killed. */
async function killedWithUnread(name: string): Promise<GatewayProcess> {
  const gateway = await GatewayProcess.start({ dataFolder: join(root, name), environment: slowBatches });
  for (let turn = 0; turn < 3; turn++)
    await publishAll(
      gateway,
      Array.from({ length: 20 }, (_, device) => ({ device: `d${device}`, id: String(turn) })),
    );
  await gateway.destroy();
  return gateway;
}

function simulate(gateway: GatewayProcess, ledger: string): Promise<CliResult> {
  const fleet = ["--devices", "50", "--connections", "10", "--rate", "500", "--duration", "2", "--append"];
  const where = ["--ledger", ledger, "--mqtt", gateway.mqttUrl, "--json"];
  return runCli(["simulate", ...fleet, "--faults", "duplicate,poison", ...where]);
}

describe("migration from the embedded stream to Redis", () => {
  test("unfiled messages, topics and identities are migrated; resends stay duplicates; the audit is clean", async () => {
    const server = await RedisServer.start();
    const dataFolder = join(root, "whole");
    const ledger = join(root, "ledger");
    const before = await GatewayProcess.start({ dataFolder, environment: slowBatches });
    const topic = { name: "engine", filter: "plant/{device}/engine", format: "json" };
    assert.equal((await before.api("POST", "/v1/topics", topic)).status, 201);
    assert.equal((await before.api("POST", "/v1/devices", { name: "pump-7", role: "device" })).status, 201);
    await publishAll(before, idsOf("d1", 300));
    assert.equal((await simulate(before, ledger)).code, 0);
    await before.destroy();

    const flags = ["--stream", server.url];
    const refused = await runCli(["up", "--data", dataFolder, ...flags, "--json"]);
    assert.equal(errorCode(refused), "STREAM_NOT_MIGRATED", refused.stderr);
    const migrated = await before.cli("migrate", ...flags);
    assert.equal(migrated.code, 0, migrated.stderr);
    const { messages, devices, movedTo } = migrated.json as Record<string, unknown>;
    assert.ok(Number(messages) >= 1_300, `${messages} messages`);
    assert.equal(devices, 1);
    assert.ok(existsSync(String(movedTo)));
    assert.equal(errorCode(await before.cli("migrate", ...flags)), "MIGRATE_NOTHING");

    const next = await GatewayProcess.start({ dataFolder, flags, environment: fastBatches });
    assert.ok((await next.cli("topics", "show", "engine")).code === 0);
    const listed = (await next.cli("devices", "list")).json as { devices: { name: string }[] };
    assert.deepEqual(
      listed.devices.map(({ name }) => name),
      ["pump-7"],
    );
    await publishAll(next, idsOf("d1", 320));
    assert.equal((await simulate(next, ledger)).code, 0);
    const audit = await runCli(["audit", "--ledger", ledger, "--lake", `file:${dataFolder}/lake`, "--json"]);
    assert.equal(audit.code, 0, audit.stderr);
    const count =
      "SELECT count(*) AS n, count(DISTINCT message_id) AS ids FROM telemetry WHERE device_id = 'd1'";
    await next.until(
      "the new messages are filed",
      async () => Number((await next.query(count))[0]?.["n"]) >= 320,
    );
    assert.deepEqual((await next.query(count))[0], { n: 320, ids: 320 });
    await next.destroy();
    await server.destroy();
  });

  test("a stream that can't be filed completely stays in use: STREAM_NOT_DRAINED", async () => {
    const server = await RedisServer.start();
    const gateway = await killedWithUnread("damaged");
    const folder = join(gateway.dataFolder, "stream");
    for (let partition = 0; partition < 4; partition++) {
      const [first, ...more] = await messageBlocksOf(folder, partition);
      if (first !== undefined && more.length > 0) await loseBlock(folder, partition, first);
    }
    const result = await gateway.cli("migrate", "--stream", server.url);
    assert.equal(errorCode(result), "STREAM_NOT_DRAINED", result.stderr);
    assert.ok(existsSync(folder));
    await server.destroy();
  });

  test("a stream of another lake at the target is refused (MIGRATE_CONFLICT), and another prefix works", async () => {
    const server = await RedisServer.start();
    const gateway = await GatewayProcess.start({
      dataFolder: join(root, "conflict"),
      environment: fastBatches,
    });
    await publishAll(gateway, idsOf("d1", 3));
    const count = "SELECT count(*) AS n FROM telemetry";
    await gateway.until("the messages are filed", async () => (await gateway.query(count))[0]?.["n"] === 3);
    await gateway.destroy();
    const target = parseRedisUrl(server.url);
    await createRedisStream({ target, partitionCount: 4, timeoutMs: 5_000, logger: silentLogger });
    const refused = await gateway.cli("migrate", "--stream", server.url);
    assert.equal(errorCode(refused), "MIGRATE_CONFLICT", refused.stderr);
    assert.match(refused.stderr, /\?prefix=NAME/);
    assert.ok(existsSync(join(gateway.dataFolder, "stream")));
    const elsewhere = await gateway.cli("migrate", "--stream", `${server.url}?prefix=ours`);
    assert.equal(elsewhere.code, 0, elsewhere.stderr);
    await server.destroy();
  });

  test("an unreachable Redis, and a Redis of another lake, are reported before any change", async () => {
    const server = await RedisServer.start();
    const gateway = await killedWithUnread("refused");
    const other = await GatewayProcess.start({
      dataFolder: join(root, "other"),
      flags: ["--stream", server.url],
    });
    await other.destroy();
    assert.equal(errorCode(await gateway.cli("migrate", "--stream", server.url)), "REGISTRY_LAKE");
    await server.destroy();
    assert.equal(errorCode(await gateway.cli("migrate", "--stream", server.url)), "REDIS_UNAVAILABLE");
    assert.equal((await gateway.cli("migrate", "--stream", "embedded:")).code, 2);
    const stream = await openEmbeddedStream({ mode: "read", folder: join(gateway.dataFolder, "stream") });
    const states = await Promise.all([0, 1, 2, 3].map((partition) => stream.partitionState(partition)));
    assert.ok(states.every(({ retainedBytes }) => retainedBytes > 0));
    await stream.close();
  });
});

test("an identity that differs is not overwritten: MIGRATE_CONFLICT", async () => {
  const [from, to] = await Promise.all(
    ["from", "to"].map((name) => LmdbRegistry.openForWriting(join(root, `registry-${name}`))),
  );
  assert.ok(from && to);
  const archive = new MemoryTopicArchive();
  const { record } = await newDeviceRecord({ name: "pump-7", role: "device" }, 1);
  await from.addDevice(record);
  assert.equal((await copyRegistry(from, to, archive)).devices, 1);
  assert.equal((await copyRegistry(from, to, archive)).devices, 0, "a second attempt changes nothing");
  await to.removeDevice("pump-7");
  await to.addDevice((await newDeviceRecord({ name: "pump-7", role: "device" }, 2)).record);
  await assert.rejects(copyRegistry(from, to, archive), { code: "MIGRATE_CONFLICT" });
  await Promise.all([from.close(), to.close()]);
});
