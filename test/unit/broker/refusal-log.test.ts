import assert from "node:assert/strict";
import { test } from "node:test";
import pino from "pino";
import { Registry } from "prom-client";
import { BrokerMetrics } from "../../../broker/metrics.ts";
import { RefusalLog } from "../../../broker/refusal-log.ts";
import { quietGauges } from "../../support/quiet-gauges.ts";

function refusalLog() {
  const lines: { client: string; reason: string }[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const registry = new Registry();
  const metrics = new BrokerMetrics(registry, quietGauges);
  const clock = { nowMs: 0 };
  return {
    log: new RefusalLog({ logger, metrics, now: () => clock.nowMs }),
    lines,
    metrics,
    registry,
    clock,
  };
}

test("every refusal is counted by its reason, and each client's logged once a minute", async () => {
  const { log, lines, metrics, registry, clock } = refusalLog();
  for (let count = 0; count < 5; count++) log.refuse("unknown-topic", "dev1");
  log.refuse("payload-too-large", "__proto__");
  assert.deepEqual(
    lines.map(({ client, reason }) => [client, reason]),
    [
      ["dev1", "unknown-topic"],
      ["__proto__", "payload-too-large"],
    ],
  );
  clock.nowMs = 60_000;
  log.refuse("rate-exceeded", "dev1");
  assert.equal(lines.length, 3);
  assert.deepEqual(metrics.refusals(), { "unknown-topic": 5, "payload-too-large": 1, "rate-exceeded": 1 });
  assert.match(await registry.metrics(), /tidegate_broker_refused_total\{reason="unknown-topic"\} 5/);
});

test("a message that was read and not taken is counted, and told unless its client's refusal was just told", async () => {
  const { log, lines, registry } = refusalLog();
  log.refuse("credentials", "dev1");
  log.untaken("dev1", { topic: "t", qos: 0 });
  log.untaken("dev2", { topic: "t", qos: 0 });
  assert.deepEqual(
    lines.map((line) => [line.client, (line as { event?: string }).event]),
    [
      ["dev1", "broker.refused"],
      ["dev2", "broker.untaken"],
    ],
  );
  assert.match(await registry.metrics(), /tidegate_broker_untaken_total 2/);
});

test("a crowd of clients fills neither the memory nor the log: beyond 10,000 a minute only the counters tell", () => {
  const { log, lines, metrics, clock } = refusalLog();
  for (let client = 0; client < 12_000; client++) log.refuse("credentials", `client${client}`);
  assert.equal(lines.length, 10_000);
  assert.deepEqual(metrics.refusals(), { credentials: 12_000 });
  clock.nowMs = 60_000;
  log.refuse("credentials", "client11999");
  assert.equal(lines.length, 10_001);
});
