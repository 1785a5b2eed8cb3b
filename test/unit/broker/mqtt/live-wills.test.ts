import assert from "node:assert/strict";
import type { EventEmitter } from "node:events";
import { duplexPair } from "node:stream";
import { type TestContext, test } from "node:test";
import mqttPacket from "mqtt-packet";
import { Registry } from "prom-client";
import { createIngestAedes } from "../../../../broker/mqtt/aedes/ingest-aedes.ts";
import { PacedWork } from "../../../../broker/mqtt/aedes/paced-work.ts";
import { SessionQueues } from "../../../../broker/mqtt/aedes/session-queues.ts";
import { LiveSubscribers } from "../../../../broker/mqtt/live-subscribers.ts";
import { MqttMetrics } from "../../../../broker/mqtt/mqtt-metrics.ts";

const heartbeatMs = 5;
const dayMs = 86_400_000;

/** A broker whose sweep of wills comes after 20 ms instead of 4 minutes, and a client with a will. */
async function brokerWithWill(t: TestContext) {
  const metrics = new MqttMetrics(new Registry(), { connections: () => 0 });
  const { persistence } = new SessionQueues({ messagesMax: 10, bytesMax: 100, retainedMax: 2 }, metrics);
  const asked: string[] = [];
  const errors: unknown[] = [];
  const aedes = createIngestAedes(
    {
      heartbeatInterval: heartbeatMs,
      persistence,
      authorizePublish: (_, packet, done) => {
        asked.push(packet.topic);
        done(new Error("not-authorized"));
      },
    },
    new LiveSubscribers({ publish: () => {}, metrics }),
    new PacedWork(25),
  );
  // Without a listener, this event ends the process.
  (aedes as unknown as EventEmitter).on("error", (error) => errors.push(error));
  let sweeps = 0;
  const { streamWill } = persistence;
  persistence.streamWill = (brokers) => {
    sweeps += 1;
    return streamWill.call(persistence, brokers);
  };
  await aedes.listen();
  const [device, socket] = duplexPair();
  const connected = new Promise((resolve) => aedes.once("clientReady", resolve));
  aedes.handle(socket as never);
  const will = { topic: "plant/press-7", payload: Buffer.from("gone"), qos: 1 as const, retain: false };
  device.write(
    mqttPacket.generate({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clientId: "press-7",
      clean: true,
      keepalive: 0,
      will,
    }),
  );
  device.resume();
  await connected;
  t.after(() => new Promise<void>((resolve) => aedes.close(resolve)));
  return { asked, errors, socket, sweeps: () => sweeps };
}

async function until(isReached: () => boolean): Promise<void> {
  for (let turns = 0; !isReached(); turns++) {
    assert.ok(turns < 2_000, "never reached");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("[MQTT-3.1.2-8] a wall clock that steps forward publishes no will of a connected client", async (t) => {
  const { asked, errors, socket, sweeps } = await brokerWithWill(t);
  const now = Date.now.bind(Date);
  let steps = 0;
  // Each reading is a day later, so that no heartbeat is recent.
  t.mock.method(Date, "now", () => now() + ++steps * dayMs);
  const before = sweeps();
  await until(() => sweeps() >= before + 3);
  assert.deepEqual([asked, errors], [[], []]);
  t.mock.restoreAll();
  socket.destroy();
  await until(() => asked.length > 0);
  assert.deepEqual(asked, ["plant/press-7"], "its will is published at its end");
});
