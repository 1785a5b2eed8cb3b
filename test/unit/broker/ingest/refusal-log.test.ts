import assert from "node:assert/strict";
import { test } from "node:test";
import pino from "pino";
import { Registry } from "prom-client";
import { IngestMetrics } from "../../../../broker/ingest/ingest-metrics.ts";
import { refusals } from "../../../../broker/ingest/refusal.ts";
import { RefusalLog } from "../../../../broker/ingest/refusal-log.ts";
import { mqttRefusals } from "../../../../broker/mqtt/mqtt-refusals.ts";

interface Line {
  readonly client: string;
  readonly reason: string;
  readonly event: string;
  readonly counts?: Record<string, number>;
}

function refusalLog() {
  const lines: Line[] = [];
  const written = { bytes: 0 };
  const write = (line: string) => {
    written.bytes += Buffer.byteLength(line);
    lines.push(JSON.parse(line));
  };
  const registry = new Registry();
  const metrics = new IngestMetrics(registry, {
    inFlight: () => 0,
    slowChecks: { count: 0, waiting: 0 },
  });
  metrics.declareRefusals(Object.keys(mqttRefusals));
  const clock = { nowMs: 0 };
  const log = new RefusalLog({ logger: pino({}, { write }), metrics, now: () => clock.nowMs });
  return { log, lines, written, metrics, registry, clock };
}

const at = (client: string, address = "10.0.0.1") => ({ client, address });

test("every refusal is counted by its reason, and each client's logged once a minute for each reason", async () => {
  const { log, lines, metrics, registry, clock } = refusalLog();
  for (let count = 0; count < 5; count++) log.refuse("unknown-topic", at("dev1"));
  log.refuse("payload-too-large", at("dev1"));
  log.refuse("payload-too-large", at("__proto__"));
  log.refuse("unknown-topic", at("dev1", "10.0.0.2"));
  assert.deepEqual(
    lines.map(({ client, reason }) => [client, reason]),
    [
      ["dev1", "unknown-topic"],
      ["dev1", "payload-too-large"],
      ["__proto__", "payload-too-large"],
      ["dev1", "unknown-topic"],
    ],
  );
  clock.nowMs = 60_000;
  log.refuse("unknown-topic", at("dev1"));
  assert.deepEqual(
    lines.slice(4).map(({ event, counts }) => [event, counts]),
    [
      ["broker.refused.unlogged", { "unknown-topic": 4 }],
      ["broker.refused", undefined],
    ],
  );
  assert.deepEqual(metrics.refusals(), { "unknown-topic": 7, "payload-too-large": 2 });
  assert.match(await registry.metrics(), /tidegate_broker_refused_total\{reason="unknown-topic"\} 7/);
});

test("a metric of each reason is there from the start", async () => {
  const text = await refusalLog().registry.metrics();
  for (const reason of Object.keys({ ...refusals, ...mqttRefusals }))
    assert(text.includes(`refused_total{reason="${reason}"} 0`), reason);
});

test("a line holds address, limit and actual size; long names are cut", () => {
  const { log, lines } = refusalLog();
  log.refuse("packet-too-large", at("x".repeat(65_535)), {
    limit: 100,
    actual: 101,
    topic: "t".repeat(65_000),
  });
  const { address, client, topic, limit, actual } = lines[0] as unknown as Record<string, string>;
  assert.deepEqual({ address, limit, actual }, { address: "10.0.0.1", limit: 100, actual: 101 });
  assert.equal(client, `${"x".repeat(128)}… (65535 characters)`);
  assert.equal(topic, `${"t".repeat(128)}… (65000 characters)`);
});

test("a message that was read and not taken is counted, and told apart from its client's refusal", async () => {
  const { log, lines, registry } = refusalLog();
  log.refuse("credentials", at("dev1"));
  for (let count = 0; count < 2; count++) log.untaken(at("dev1"), { topic: "t", qos: 0 });
  assert.deepEqual(
    lines.map(({ client, event }) => [client, event]),
    [
      ["dev1", "broker.refused"],
      ["dev1", "broker.untaken"],
    ],
  );
  log.endMinute();
  assert.deepEqual(lines[2]?.counts, { untaken: 1 });
  assert.match(await registry.metrics(), /tidegate_broker_untaken_total 2/);
});

test("a crowd fills neither the memory nor the log, hides no other reason, and its size is told", () => {
  const { log, lines, written, metrics, clock } = refusalLog();
  const name = (index: number) => `\u0001${index}`.repeat(10_000);
  for (let client = 0; client < 12_000; client++)
    log.refuse("unknown-topic", at(name(client)), { topic: name(client) });
  assert(written.bytes < 40_000, `${written.bytes} bytes`);
  const logged = lines.length;
  log.refuse("payload-too-large", at("another"));
  assert.equal(lines.length, logged + 1);
  clock.nowMs = 60_000;
  log.checkMinute();
  assert.deepEqual(lines.at(-1)?.counts, { "unknown-topic": 12_000 - logged });
  assert.deepEqual(metrics.refusals(), { "unknown-topic": 12_000, "payload-too-large": 1 });
  log.checkMinute();
  assert.equal(lines.length, logged + 2, "nothing more to tell");
  log.refuse("unknown-topic", at(name(11_999)));
  assert.equal(lines.length, logged + 3);
});
