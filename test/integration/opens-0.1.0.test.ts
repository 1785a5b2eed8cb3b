import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { DeviceClient } from "../../devices/index.ts";
import { type Fixture, unpackFixture } from "../support/fixture.ts";
import { statusOf } from "../support/gateway-books.ts";
import { GatewayProcess, runCli } from "../support/gateway-process.ts";
import { connectClient } from "../support/mqtt-publisher.ts";
import { filterTable, outsideReaders, outsideReadersMissing } from "../support/outside-readers.ts";
import { RedisServer } from "../support/redis-server.ts";
import type { AuditSummary } from "../support/shared-gateways.ts";
import { clockStartingAt } from "../support/shifted-clock.ts";

const engineWindowMs = 7 * 86_400_000;
const settings = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200", TIDEGATE_LEASES_LEASE_MS: "2000" };

/** Today's gateway on what 0.1.0 left. */
interface Opened {
  readonly fixture: Fixture;
  readonly gateway: GatewayProcess;
  readonly lake: string;
  /** Of the gateway, for fleets that publish to it. */
  readonly environment: Record<string, string>;
  /** Wall clock of the stream. */
  readonly nowMs: () => number;
}

function unpack(context: TestContext, name: string): Fixture {
  const fixture = unpackFixture("0.1.0", name);
  context.after(() => rmSync(fixture.folder, { recursive: true, force: true }));
  return fixture;
}

/** An hour of the dedupe window has not passed, whenever the test runs: the gateway's clock goes on where it was. */
async function openEmbedded(context: TestContext): Promise<Opened> {
  const fixture = unpack(context, "embedded");
  const environment = clockStartingAt(fixture.facts.killedAtMs + 60_000);
  const dataFolder = join(fixture.folder, "data");
  const gateway = await GatewayProcess.start({
    dataFolder,
    environment: { ...settings, ...environment },
  });
  context.after(() => gateway.destroy());
  const shiftMs = Number(environment["CLOCK_SHIFT_MS"]);
  const lake = `file:${join(dataFolder, "lake")}`;
  return { fixture, gateway, lake, environment, nowMs: () => Date.now() + shiftMs };
}

/** Stream time is the server's: here it jumps to today. */
async function openRedis(context: TestContext): Promise<Opened> {
  const fixture = unpack(context, "redis");
  const { folder } = fixture;
  const stream = await RedisServer.start({ dir: join(folder, "stream-server") });
  context.after(() => stream.destroy());
  const window = await RedisServer.start({ dir: join(folder, "window-server"), appendonly: "no" });
  context.after(() => window.destroy());
  const lake = `file:${join(folder, "lake")}`;
  const gateway = await GatewayProcess.start({
    dataFolder: join(folder, "data"),
    flags: ["--stream", stream.url, "--window", window.url, "--lake", lake],
    environment: settings,
  });
  context.after(() => gateway.destroy());
  return { fixture, gateway, lake, environment: {}, nowMs: Date.now };
}

async function audit({ fixture, lake }: Pick<Opened, "fixture" | "lake">) {
  const ledger = join(fixture.folder, "ledger");
  const flags = ["--ledger", ledger, "--lake", lake, "--wait", "0", "--settle", "0"];
  const { code, stderr, json } = await runCli(["audit", ...flags, "--json"]);
  assert.notEqual(json, null, stderr);
  return { code, ...(json as AuditSummary & { faults: unknown[] }) };
}

async function assertProven(opened: Opened): Promise<void> {
  const { code, lost, duplicated, phantom, altered, examples, faults, ...others } = await audit(opened);
  const { misplaced, misstated, disordered, unordered, logFaults } = others;
  assert.deepEqual([misplaced, misstated, disordered, unordered, logFaults], [0, 0, 0, 0, 0]);
  assert.deepEqual(
    { lost, duplicated, phantom, altered, examples, faults },
    {
      lost: 0,
      duplicated: 0,
      phantom: 0,
      altered: 0,
      examples: [],
      faults: [],
    },
  );
  assert.equal(code, 0);
}

async function rowsOf({ gateway, lake }: Opened, sql: string): Promise<Record<string, unknown>[]> {
  const { code, stderr, json } = await gateway.cli("query", sql, "--lake", lake);
  assert.equal(code, 0, stderr);
  return (json as { rows: Record<string, unknown>[] }).rows;
}

async function countOf(opened: Opened, table: string): Promise<number> {
  const [row] = await rowsOf(opened, `SELECT count(*) AS n FROM ${table}`);
  return Number(row?.["n"]);
}

async function publishEngine({ gateway, fixture }: Opened, payloads: readonly string[]): Promise<void> {
  const { name, key } = fixture.facts.identities.device;
  const client = await connectClient(gateway.mqttUrl, { username: name, password: key, clientId: name });
  for (const payload of payloads) await client.publishAsync(`plant/${name}/engine`, payload, { qos: 1 });
  await client.endAsync();
}

/** Sends an outbox that 0.1.0's SDK has written. */
async function sendOutbox({ gateway, fixture }: Opened, name: string, count: number): Promise<void> {
  const folder = join(fixture.folder, name);
  const client = await DeviceClient.open({ url: gateway.mqttUrl, clientId: "meter-1", outbox: { folder } });
  try {
    await gateway.until("the outbox is acknowledged", () => client.status.acknowledged >= count);
  } finally {
    await client.close({ drainTimeoutMs: 0 });
  }
}

/** Resolves once the books hold everything that either version has acknowledged. */
async function untilFiled({ gateway, fixture }: Opened): Promise<void> {
  await gateway.until("all that was acknowledged is filed", async () => {
    const { broker, consumer, books } = await statusOf(gateway);
    const isClosed = consumer?.partitions.every(({ openBytes }) => openBytes === 0) === true;
    return isClosed && books?.read === fixture.facts.acknowledged + (broker?.acknowledged ?? Number.NaN);
  });
}

async function booksOf({ gateway }: Opened) {
  const { books } = await statusOf(gateway);
  return books ?? assert.fail("the consumer answers");
}

/** Everything that was acknowledged, unread messages included, is filed once. */
async function assertWhole(opened: Opened): Promise<void> {
  const { facts } = opened.fixture;
  await untilFiled(opened);
  const books = await booksOf(opened);
  assert.equal(books.isBalanced, true);
  assert.equal(books.read, facts.acknowledged);
  assert.ok(books.duplicates > facts.books.duplicates, "resends waited unread");
  assert.ok(books.quarantined > facts.books.quarantined, "poison waited unread");
  await assertProven(opened);
  const engine = await rowsOf(
    opened,
    "SELECT decode(payload) AS payload, rpm, load, state, running, epoch_ms(event_time) AS ts FROM engine ORDER BY rpm",
  );
  const payloads = [...facts.engine.filed, ...facts.engine.unread];
  assert.deepEqual(
    engine.map(({ payload }) => payload),
    payloads,
  );
  for (const { payload, ...typed } of engine) {
    const { id: _, ...sent } = JSON.parse(String(payload)) as Record<string, unknown>;
    assert.deepEqual({ ...typed, ts: Number(typed["ts"]) }, sent);
  }
  assert.equal(await countOf(opened, "meter"), facts.outboxes.sent);
  assert.equal(await countOf(opened, "blob"), facts.blobs);
}

/** What is sent again is a duplicate within the topic's window, SDK ids on the exact topic always. */
async function assertResendsDropped(opened: Opened): Promise<void> {
  const { facts } = opened.fixture;
  const before = await booksOf(opened);
  const payloads = [...facts.engine.filed, ...facts.engine.unread];
  const isWithin = opened.nowMs() - facts.killedAtMs < engineWindowMs;
  await publishEngine(opened, payloads);
  await sendOutbox(opened, "outbox-sent", facts.outboxes.sent);
  await untilFiled(opened);
  const books = await booksOf(opened);
  const dropped = facts.outboxes.sent + (isWithin ? payloads.length : 0);
  assert.equal(books.duplicates - before.duplicates, dropped);
  assert.equal(books.filed - before.filed, isWithin ? 0 : payloads.length);
  assert.equal(await countOf(opened, "meter"), facts.outboxes.sent);
}

/** The same for the demo topic, whose window is an hour. */
async function assertTelemetryDropped(opened: Opened): Promise<void> {
  const before = await booksOf(opened);
  const sent = await rowsOf(
    opened,
    "SELECT topic, decode(payload) AS payload FROM telemetry ORDER BY _partition, _position, _index",
  );
  const client = await connectClient(opened.gateway.mqttUrl);
  await Promise.all(
    sent.map(({ topic, payload }) => client.publishAsync(String(topic), String(payload), { qos: 1 })),
  );
  await client.endAsync();
  await untilFiled(opened);
  const books = await booksOf(opened);
  assert.deepEqual([books.duplicates - before.duplicates, books.filed - before.filed], [sent.length, 0]);
}

/** Keys still open the door, and new messages are filed. */
async function assertGoesOn(opened: Opened): Promise<void> {
  const { gateway, fixture, environment } = opened;
  const { device, edge } = fixture.facts.identities;
  const before = { engine: await countOf(opened, "engine"), meter: await countOf(opened, "meter") };
  const wrong = { username: device.name, password: `${device.key}x`, clientId: device.name };
  await assert.rejects(connectClient(gateway.mqttUrl, wrong), /Bad username or password|Not authorized/);
  const fresh = (id: string) => JSON.stringify({ id, ts: opened.nowMs(), rpm: 5000 });
  await publishEngine(opened, [fresh("new-1"), fresh("new-2")]);
  const login = { username: edge.name, password: edge.password, clientId: edge.name };
  const client = await connectClient(gateway.mqttUrl, login);
  await client.publishAsync("plant/lathe-2/engine", fresh("new-1"), { qos: 1 });
  await client.endAsync();
  await sendOutbox(opened, "outbox-unsent", fixture.facts.outboxes.unsent);
  const ledger = join(fixture.folder, "ledger");
  const load = ["--devices", "20", "--connections", "5", "--rate", "200", "--duration", "1"];
  const to = ["--ledger", ledger, "--append", "--mqtt", gateway.mqttUrl, "--json"];
  const fleet = await runCli(["simulate", ...load, ...to], environment);
  assert.equal(fleet.code, 0, fleet.stderr);
  await untilFiled(opened);
  await assertProven(opened);
  assert.equal(await countOf(opened, "engine"), before.engine + 3);
  assert.equal(await countOf(opened, "meter"), before.meter + fixture.facts.outboxes.unsent);
  const books = await booksOf(opened);
  assert.equal(books.isBalanced, true);
  assert.equal(books.resent + books.misrouted, 0);
}

/** Until the table's next checkpoint its old files lack bounds of these, and delta-rs finds nothing by them. */
const unboundedColumns = ["_index", "event_time_outside", "payload_crc", "running"];

/** Files of both versions stand in one table; those of 0.1.0 lack a column. */
async function assertReadByOthers({ fixture }: Opened): Promise<void> {
  const missing = outsideReadersMissing();
  const present = outsideReaders.filter((reader) => missing[reader] === false);
  const { wrong } = await filterTable(join(fixture.folder, "data", "lake", "engine"), present);
  for (const reader of present) {
    const known = reader === "delta-rs filters" ? unboundedColumns : [];
    const unexpected = wrong[reader]?.filter((filter) => !known.includes(filter.split(" ")[0] ?? ""));
    assert.deepEqual(unexpected, [], reader);
  }
}

describe("what version 0.1.0 left on disk, killed amid unread messages", { concurrency: false }, () => {
  test("a data folder: opened, filed whole, resends dropped, keys known, audited", async (t) => {
    const opened = await openEmbedded(t);
    await assertWhole(opened);
    await assertResendsDropped(opened);
    await assertTelemetryDropped(opened);
    await assertGoesOn(opened);
    assert.equal(await opened.gateway.stop(), 0);
    await assertReadByOthers(opened);
  });

  test("a dump of stream and window in Redis, with its lake: the same", async (t) => {
    const opened = await openRedis(t);
    await assertWhole(opened);
    await assertResendsDropped(opened);
    await assertGoesOn(opened);
    assert.equal(await opened.gateway.stop(), 0);
  });

  test("the audit that these tests rely on sees one file that is gone, and messages that are not filed yet", async (t) => {
    const fixture = unpack(t, "redis");
    const parts = { fixture, lake: `file:${join(fixture.folder, "lake")}` };
    const before = await audit(parts);
    assert.equal(before.code, 1);
    assert.ok(before.lost > 0, "unread messages are in no table");
    const { misplaced, misstated, disordered, unordered, logFaults } = before;
    assert.deepEqual([misplaced, misstated, disordered, unordered, logFaults], [0, 0, 0, 0, 0]);
    const table = join(fixture.folder, "lake", "telemetry");
    const [file] = readdirSync(table, { recursive: true, encoding: "utf8" }).filter(
      (name) => name.endsWith(".parquet") && !name.includes("_delta_log"),
    );
    rmSync(join(table, file ?? assert.fail("there is a file")));
    const after = await audit(parts);
    assert.ok(after.lost > before.lost, JSON.stringify(after));
  });
});
