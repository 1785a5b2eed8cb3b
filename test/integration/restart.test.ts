import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { publishAll, statusOf, storedIds, untilFiledAndTrimmed } from "../support/gateway-books.ts";
import { GatewayProcess } from "../support/gateway-process.ts";
import { killGateway, stopReading } from "../support/kill-gateway.ts";
import { closed, connectClient } from "../support/mqtt-publisher.ts";

const fastBatches = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" };
const ids = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);
const fromFleet = (all: readonly string[]) => all.map((id, index) => ({ device: `d${index % 9}`, id }));

test("a killed gateway with unread records recovers completely from its folder: rows, topics, keys and duplicates, even those of a deleted topic", async (t) => {
  const gateway = await GatewayProcess.start({ environment: fastBatches });
  t.after(() => gateway.destroy());
  await gateway.cli("topics", "create", "engine", "--filter", "plant/{device}/engine", "--format", "json");
  await gateway.cli("topics", "update", "engine", "--max-payload-bytes", "100");
  const { key } = (await gateway.cli("devices", "add", "press-7")).json as { key: string };
  const filed = ids("filed", 200);
  await publishAll(gateway, fromFleet(filed));
  await untilFiledAndTrimmed(gateway);
  stopReading(gateway);
  const unread = ids("unread", 300);
  await publishAll(gateway, fromFleet(unread));
  await killGateway(gateway);
  assert.deepEqual(await storedIds(gateway), [...filed].sort());

  await gateway.start();
  // All messages are sent again: those from before the last commit, and those that were unread in the stream.
  const later = ids("later", 50);
  await publishAll(gateway, fromFleet(filed));
  await publishAll(gateway, fromFleet(unread));
  await publishAll(gateway, fromFleet(later));
  await untilFiledAndTrimmed(gateway);
  assert.deepEqual(await storedIds(gateway), [...filed, ...unread, ...later].sort());
  const { books } = await statusOf(gateway);
  assert.deepEqual([books?.duplicates, books?.isBalanced], [filed.length + unread.length, true]);

  const device = { username: "press-7", password: key, clientId: "press-7" };
  const client = await connectClient(gateway.mqttUrl, device);
  await client.publishAsync("plant/press-7/engine", '{"id":"1","ts":"2026-11-22T12:00:00Z"}', { qos: 1 });
  const cut = closed(client);
  client.publish("plant/press-7/engine", JSON.stringify({ id: "x".repeat(100) }), { qos: 1 });
  await cut;
  await untilFiledAndTrimmed(gateway);
  assert.deepEqual(await gateway.query("SELECT device_id FROM engine"), [{ device_id: "press-7" }]);
  assert.equal((await statusOf(gateway)).broker?.refused["payload-too-large"], 1);

  // Another topic matches the names of a deleted topic; a message that a device sends again is still a
  // resend.
  await gateway.cli("topics", "create", "plant", "--filter", "plant/{device}/#", "--format", "json");
  await gateway.cli("topics", "delete", "engine");
  await gateway.stop();
  await gateway.start();
  const again = await connectClient(gateway.mqttUrl, device);
  for (const id of ["1", "2"])
    await again.publishAsync("plant/press-7/engine", `{"id":"${id}","ts":"2026-11-22T12:00:00Z"}`, {
      qos: 1,
    });
  await again.endAsync();
  await untilFiledAndTrimmed(gateway);
  assert.deepEqual(await gateway.query("SELECT decode(message_id) AS id FROM plant"), [{ id: "2" }]);
});

test("TERM during publishing: all acknowledged messages are filed, and the rest is sent again to the next gateway", async (t) => {
  const gateway = await GatewayProcess.start({
    environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "3600000" },
  });
  t.after(() => gateway.destroy());
  const client = await connectClient(gateway.mqttUrl);
  const acknowledged: string[] = [];
  const all = ids("m", 3000);
  const ts = Date.now();
  const messageOf = (id: string) => JSON.stringify({ id, ts });
  const publishing = Promise.allSettled(
    all.map((id) =>
      client.publishAsync("fleet/d1/telemetry", messageOf(id), { qos: 1 }).then(() => acknowledged.push(id)),
    ),
  );
  await gateway.until("some are acknowledged", () => acknowledged.length > 100);
  const cut = closed(client);
  const ended = gateway.stop();
  await cut;
  await client.endAsync(true);
  await publishing;
  assert.equal(await ended, 0);
  const stored = await storedIds(gateway);
  assert.equal(new Set(stored).size, stored.length);
  assert.deepEqual(
    acknowledged.filter((id) => !stored.includes(id)),
    [],
  );
  const staging = readdirSync(join(gateway.dataFolder, "lake", "_staging"), {
    recursive: true,
    encoding: "utf8",
  });
  assert.ok(!staging.some((name) => name.endsWith(".parquet")), "no incomplete file is left");

  await gateway.start();
  const again = await connectClient(gateway.mqttUrl);
  await Promise.all(all.map((id) => again.publishAsync("fleet/d1/telemetry", messageOf(id), { qos: 1 })));
  await again.endAsync();
  assert.equal(await gateway.stop(), 0);
  assert.deepEqual(await storedIds(gateway), [...all].sort());
});
