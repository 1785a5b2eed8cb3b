import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { openLocalStore, writeTopicVersion } from "../../bridge/lake/index.ts";
import { LmdbRegistry } from "../../gateway/registry/lmdb-registry.ts";
import { type TopicRecord, topicDefaults } from "../../gateway/registry/topic-definition.ts";
import { statusOf } from "../support/gateway-books.ts";
import { GatewayProcess } from "../support/gateway-process.ts";
import { connectClient } from "../support/mqtt-publisher.ts";
import {
  assertDefaultBounds,
  assertGoesOn,
  assertResendsDropped,
  assertTelemetryDropped,
  assertWhole,
  auditOldData,
  type OldData,
  oldDataSettings,
  openOldEmbedded,
  rowsOf,
  unpackOldData,
  untilFiled,
} from "../support/old-data.ts";
import { filterTable, outsideReaders, outsideReadersMissing } from "../support/outside-readers.ts";
import { RedisServer } from "../support/redis-server.ts";

const embedded = { version: "0.1.0", name: "embedded" };

/** As 0.1.0 kept a topic whose schema has a property of this name. */
async function addClockedTopic(dataFolder: string): Promise<void> {
  const record: TopicRecord = {
    ...{ topicId: "clocked-1", version: 1, createdAtMs: 1, deleted: false },
    ...{ name: "clocked", filter: "clocked/{device}", format: "json" },
    schema: { type: "object", properties: { _stream_time: { type: "integer" } } },
    columns: [{ name: "_stream_time", type: "long" }],
    ...topicDefaults,
  };
  const registry = await LmdbRegistry.openForWriting(join(dataFolder, "registry"));
  await registry.reserveTopics([record], registry.topicsVersion);
  await writeTopicVersion(await openLocalStore(join(dataFolder, "lake")), { ...record });
  await registry.publishTopics([record]);
  await registry.close();
}

/** Stream time is the server's: here it jumps to today. */
async function openRedis(context: TestContext): Promise<OldData> {
  const fixture = unpackOldData(context, "0.1.0", "redis");
  const { folder } = fixture;
  const stream = await RedisServer.start({ dir: join(folder, "stream-server") });
  context.after(() => stream.destroy());
  const window = await RedisServer.start({ dir: join(folder, "window-server"), appendonly: "no" });
  context.after(() => window.destroy());
  const lake = `file:${join(folder, "lake")}`;
  const gateway = await GatewayProcess.start({
    dataFolder: join(folder, "data"),
    flags: ["--stream", stream.url, "--window", window.url, "--lake", lake],
    environment: oldDataSettings,
  });
  context.after(() => gateway.destroy());
  return { fixture, gateway, lake, environment: {}, nowMs: Date.now };
}

/**
 * Until the table's next checkpoint its old files lack bounds of these, and delta-rs finds nothing by them.
 */
const unboundedColumns = ["_index", "event_time_outside", "payload_crc", "running"];

/** Files of both versions stand in one table; those of 0.1.0 lack a column. */
async function assertReadByOthers({ fixture }: OldData): Promise<void> {
  const missing = outsideReadersMissing();
  const present = outsideReaders.filter((reader) => missing[reader] === false);
  const { wrong } = await filterTable(join(fixture.folder, "data", "lake", "engine"), present);
  for (const reader of present) {
    const known = reader === "delta-rs filters" ? unboundedColumns : [];
    const unexpected = wrong[reader]?.filter((filter) => !known.includes(filter.split(" ")[0] ?? ""));
    assert.deepEqual(unexpected, [], reader);
  }
}

describe("data of version 0.1.0, killed with unread messages", { concurrency: false }, () => {
  test("a data folder: opened, filed whole, resends dropped, keys known, audited", async (t) => {
    const opened = await openOldEmbedded(t, embedded);
    await assertWhole(opened);
    await assertResendsDropped(opened);
    await assertTelemetryDropped(opened);
    await assertGoesOn(opened);
    await assertDefaultBounds(opened);
    assert.equal(await opened.gateway.stop(), 0);
    await assertReadByOthers(opened);
  });

  test("a dump of stream and window in Redis, with its lake: the same", async (t) => {
    const opened = await openRedis(t);
    await assertWhole(opened);
    await assertResendsDropped(opened);
    await assertGoesOn(opened);
    await assertDefaultBounds(opened);
    assert.equal(await opened.gateway.stop(), 0);
  });

  test("a topic with a column that every table has by now: its messages are quarantined in words, all others filed", async (t) => {
    const opened = await openOldEmbedded(t, { ...embedded, change: addClockedTopic });
    await untilFiled(opened);
    const client = await connectClient(opened.gateway.mqttUrl);
    const payload = (id: string) => JSON.stringify({ id, ts: opened.nowMs(), _stream_time: 7 });
    for (const topic of ["clocked/d1", "fleet/d1/telemetry"])
      await client.publishAsync(topic, payload("taken-1"), { qos: 1 });
    await client.endAsync();
    await untilFiled(opened);
    const { code, stdout } = await opened.gateway.cli("quarantine", "list", "--topic", "clocked");
    assert.equal(code, 0);
    assert.match(stdout, /schema-unusable/);
    const filed = await rowsOf(
      opened,
      "SELECT count(*) AS n FROM telemetry WHERE decode(message_id) = 'taken-1'",
    );
    assert.equal(Number(filed[0]?.["n"]), 1);
    const { books, consumer } = await statusOf(opened.gateway);
    assert.equal(books?.isBalanced, true);
    assert.equal(consumer?.lastFailure, null);
    assert.equal(await opened.gateway.stop(), 0);
  });

  test("the audit of these tests detects a missing file, and messages that are not filed yet", async (t) => {
    const fixture = unpackOldData(t, "0.1.0", "redis");
    const parts = { fixture, lake: `file:${join(fixture.folder, "lake")}` };
    const before = await auditOldData(parts);
    assert.equal(before.code, 1);
    assert.ok(before.lost > 0, "unread messages are in no table");
    const { misplaced, misstated, disordered, unordered, logFaults } = before;
    assert.deepEqual([misplaced, misstated, disordered, unordered, logFaults], [0, 0, 0, 0, 0]);
    const table = join(fixture.folder, "lake", "telemetry");
    const [file] = readdirSync(table, { recursive: true, encoding: "utf8" }).filter(
      (name) => name.endsWith(".parquet") && !name.includes("_delta_log"),
    );
    rmSync(join(table, file ?? assert.fail("there is a file")));
    const after = await auditOldData(parts);
    assert.ok(after.lost > before.lost, JSON.stringify(after));
  });
});
