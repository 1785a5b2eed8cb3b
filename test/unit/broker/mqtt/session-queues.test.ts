import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { SessionQueues } from "../../../../broker/mqtt/aedes/session-queues.ts";
import { MqttMetrics } from "../../../../broker/mqtt/mqtt-metrics.ts";

const client = { id: "a" };
const subscription = { clientId: "a", topic: "t", qos: 1 };

function sessionQueues(bounds: Partial<ConstructorParameters<typeof SessionQueues>[0]> = {}) {
  const metrics = new MqttMetrics(new Registry(), { connections: () => 0 });
  const queues = new SessionQueues({ messagesMax: 10, bytesMax: 100, retainedMax: 2, ...bounds }, metrics);
  return { metrics, persistence: queues.persistence };
}

const packet = (brokerCounter: number, bytes: number) => ({
  cmd: "publish",
  topic: "t",
  payload: Buffer.alloc(bytes),
  qos: 1,
  brokerId: "b",
  brokerCounter,
});

async function clearQueued(persistence: SessionQueues["persistence"], count: number): Promise<void> {
  for (let messageId = 1; messageId <= count; messageId++) {
    await persistence.outgoingUpdate(client, { ...packet(messageId, 0), messageId });
    await persistence.outgoingClearMessageId(client, { ...packet(messageId, 0), messageId });
  }
}

test("a queue is bounded in messages and all queues in bytes; what leaves makes room", async () => {
  const { metrics, persistence } = sessionQueues();
  for (let count = 1; count <= 12; count++)
    await persistence.outgoingEnqueueCombi([subscription], packet(count, 1));
  assert.equal(metrics.sessionDropped, 2);
  await clearQueued(persistence, 10);
  await persistence.outgoingEnqueueCombi([subscription], packet(20, 90));
  assert.equal(metrics.sessionDropped, 2);
  await persistence.outgoingEnqueueCombi([{ ...subscription, clientId: "other" }], packet(21, 20));
  assert.equal(metrics.sessionDropped, 3);
});

test("retained messages are kept for a bounded number of names; an empty one makes room", async () => {
  const { metrics, persistence } = sessionQueues();
  const retain = (topic: string, bytes = 1) =>
    persistence.storeRetained({ topic, payload: Buffer.alloc(bytes) });
  await retain("a");
  await retain("b");
  await retain("c");
  assert.equal(metrics.retainedDropped, 1);
  await retain("a");
  await retain("b", 0);
  await retain("c");
  assert.equal(metrics.retainedDropped, 1);
});
