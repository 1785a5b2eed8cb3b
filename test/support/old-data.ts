import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { DeviceClient } from "../../devices/index.ts";
import { type Fixture, unpackFixture } from "./fixture.ts";
import { statusOf } from "./gateway-books.ts";
import { GatewayProcess, runCli } from "./gateway-process.ts";
import { connectClient } from "./mqtt-publisher.ts";
import type { AuditSummary } from "./shared-gateways.ts";
import { clockStartingAt } from "./shifted-clock.ts";

const engineWindowMs = 7 * 86_400_000;
/** Of the gateway that opens the data. */
export const oldDataSettings = {
  TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200",
  TIDEGATE_LEASES_LEASE_MS: "2000",
};

/** Today's gateway on what an earlier version left. */
export interface OldData {
  readonly fixture: Fixture;
  readonly gateway: GatewayProcess;
  readonly lake: string;
  /** Of the gateway, for fleets that publish to it. */
  readonly environment: Record<string, string>;
  /** Wall clock of the stream. */
  readonly nowMs: () => number;
}

/** The data is removed after the test. */
export function unpackOldData(context: TestContext, version: string, name: string): Fixture {
  const fixture = unpackFixture(version, name);
  context.after(() => rmSync(fixture.folder, { recursive: true, force: true }));
  return fixture;
}

/**
 * Opens a data folder with its lake. The gateway's clock continues at the recorded time, so that the dedupe
 * window of an hour has not passed.
 * @param change Changes the data folder before the gateway starts.
 */
export async function openOldEmbedded(
  context: TestContext,
  from: {
    readonly version: string;
    readonly name: string;
    readonly change?: (dataFolder: string) => Promise<void>;
  },
): Promise<OldData> {
  const fixture = unpackOldData(context, from.version, from.name);
  const environment: Record<string, string> = {
    ...clockStartingAt(fixture.facts.killedAtMs + 60_000),
    // On the machine that recorded the data, the time since then would count as elapsed.
    BOOT_ID: randomUUID(),
  };
  const dataFolder = join(fixture.folder, "data");
  await from.change?.(dataFolder);
  const gateway = await GatewayProcess.start({
    dataFolder,
    environment: { ...oldDataSettings, ...environment },
  });
  context.after(() => gateway.destroy());
  const shiftMs = Number(environment["CLOCK_SHIFT_MS"]);
  const lake = `file:${join(dataFolder, "lake")}`;
  return { fixture, gateway, lake, environment, nowMs: () => Date.now() + shiftMs };
}

/** What `tidegate audit` says of the ledger and the lake. */
export async function auditOldData({ fixture, lake }: Pick<OldData, "fixture" | "lake">) {
  const ledger = join(fixture.folder, "ledger");
  const flags = ["--ledger", ledger, "--lake", lake, "--wait", "0", "--settle", "0"];
  const { code, stderr, json } = await runCli(["audit", ...flags, "--json"]);
  assert.notEqual(json, null, stderr);
  return { code, ...(json as AuditSummary & { faults: unknown[] }) };
}

async function assertProven(opened: OldData): Promise<void> {
  const { code, lost, duplicated, phantom, altered, examples, faults, ...others } =
    await auditOldData(opened);
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

export async function rowsOf({ gateway, lake }: OldData, sql: string): Promise<Record<string, unknown>[]> {
  const { code, stderr, json } = await gateway.cli("query", sql, "--lake", lake);
  assert.equal(code, 0, stderr);
  return (json as { rows: Record<string, unknown>[] }).rows;
}

export async function countOf(opened: OldData, table: string): Promise<number> {
  const [row] = await rowsOf(opened, `SELECT count(*) AS n FROM ${table}`);
  return Number(row?.["n"]);
}

async function publishEngine({ gateway, fixture }: OldData, payloads: readonly string[]): Promise<void> {
  const { name, key } = fixture.facts.identities.device;
  const client = await connectClient(gateway.mqttUrl, { username: name, password: key, clientId: name });
  for (const payload of payloads) await client.publishAsync(`plant/${name}/engine`, payload, { qos: 1 });
  await client.endAsync();
}

/** Sends an outbox that the earlier version's SDK has written. */
async function sendOutbox({ gateway, fixture }: OldData, name: string, count: number): Promise<void> {
  const folder = join(fixture.folder, name);
  const client = await DeviceClient.open({ url: gateway.mqttUrl, clientId: "meter-1", outbox: { folder } });
  try {
    await gateway.until("the outbox is acknowledged", () => client.status.acknowledged >= count);
  } finally {
    await client.close({ drainTimeoutMs: 0 });
  }
}

/** Resolves once the books hold everything that either version has acknowledged. */
export async function untilFiled({ gateway, fixture }: OldData): Promise<void> {
  await gateway.until("all that was acknowledged is filed", async () => {
    const { broker, consumer, books } = await statusOf(gateway);
    const isClosed = consumer?.partitions.every(({ openBytes }) => openBytes === 0) === true;
    return isClosed && books?.read === fixture.facts.acknowledged + (broker?.acknowledged ?? Number.NaN);
  });
}

async function booksOf({ gateway }: OldData) {
  const { books } = await statusOf(gateway);
  return books ?? assert.fail("the consumer answers");
}

/** Everything that was acknowledged, unread messages included, is filed once. */
export async function assertWhole(opened: OldData): Promise<void> {
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

/** A resend is a duplicate within the topic's window, and always for SDK ids on the exact topic. */
export async function assertResendsDropped(opened: OldData): Promise<void> {
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
export async function assertTelemetryDropped(opened: OldData): Promise<void> {
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
export async function assertGoesOn(opened: OldData): Promise<void> {
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

/** Topic records from before the bounds of event times have the defaults, and equal records of today. */
export async function assertDefaultBounds({ gateway }: OldData): Promise<void> {
  const { topics } = (await gateway.api("GET", "/v1/topics")).body as unknown as {
    topics: { name: string; version: number; eventPastMs: number; eventAheadMs: number }[];
  };
  assert.ok(topics.length > 0);
  for (const { name, version, eventPastMs, eventAheadMs } of topics) {
    assert.deepEqual([eventPastMs, eventAheadMs], [7 * 86_400_000, 3_600_000], name);
    const flags = ["--event-past", "7d", "--event-ahead", "60m"];
    const { code, stderr, json } = await gateway.cli("topics", "update", name, ...flags);
    assert.equal(code, 0, stderr);
    const updated = json as { topic: { version: number }; created: boolean };
    assert.deepEqual([updated.topic.version, updated.created], [version, false], name);
  }
}
