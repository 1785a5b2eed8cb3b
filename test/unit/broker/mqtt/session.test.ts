import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { Value } from "@sinclair/typebox/value";
import pino from "pino";
import { Registry } from "prom-client";
import { brokerConfigSchema, createIngest } from "../../../../broker/index.ts";
import type { AedesClient, PublishPacket } from "../../../../broker/mqtt/aedes/aedes-client.ts";
import { MqttMetrics } from "../../../../broker/mqtt/mqtt-metrics.ts";
import { mqttRefusals } from "../../../../broker/mqtt/mqtt-refusals.ts";
import { PacedCloses } from "../../../../broker/mqtt/paced-closes.ts";
import { ReceivedIdsOfSessions } from "../../../../broker/mqtt/received-ids.ts";
import { Session } from "../../../../broker/mqtt/session.ts";
import { ControllableSink } from "../../../support/controllable-sink.ts";
import { TestDevices, TestTopics } from "../../../support/test-broker.ts";

/** A session on a client whose socket the test fills and empties. */
async function sessionOnFullSocket() {
  const clock = { nowMs: 0 };
  const now = () => clock.nowMs;
  const written: Buffer[] = [];
  const conn = { writableLength: 0, write: (bytes: Buffer) => written.push(bytes) };
  const client = Object.assign(new EventEmitter(), {
    id: "dev1",
    clean: true,
    closed: false,
    conn,
    _keepaliveTimer: null,
    _keepaliveInterval: -1,
    _parsingBatch: 1,
    _paused: false,
    pause() {
      this._paused = true;
    },
    resume() {
      this._paused = false;
    },
    close() {
      this.closed = true;
    },
  });
  const config = Value.Create(brokerConfigSchema);
  const registry = new Registry();
  const sink = new ControllableSink();
  const ingest = createIngest({
    config,
    sink,
    topics: new TestTopics(),
    devices: new TestDevices(),
    logger: pino({ level: "silent" }),
    registry,
    now,
  });
  const context = {
    config,
    metrics: new MqttMetrics(registry, { connections: () => 0 }),
    refuse: ingest.declareRefusals(mqttRefusals),
    pacedCloses: new PacedCloses({ perSecond: 1_000, random: () => 0 }),
    now,
    paused: new Set<Session>(),
  };
  const receivedIds = new ReceivedIdsOfSessions({ sessionsMax: 1 }).open("dev1", true);
  const newcomer = {
    credentials: { name: undefined, secret: undefined, mayBeAnonymous: true },
    clientId: "dev1",
    address: "127.0.0.1",
    limits: config,
    hasLeft: () => false,
  };
  const session = await new Promise<Session>((opened) => {
    void ingest.open(newcomer, (entered) => {
      const own = new Session(context, client as unknown as AedesClient, { ingest: entered, receivedIds });
      opened(own);
      return own;
    });
  });
  const refused = () => ingest.status().refused;
  const publish = (messageId: number) =>
    session.takePublish({
      cmd: "publish",
      topic: "fleet/dev1/telemetry",
      payload: Buffer.from("x"),
      qos: 1,
      dup: false,
      retain: false,
      messageId,
    } satisfies PublishPacket);
  return { session, client, conn, sink, refused, clock, publish, written };
}

test("a client that does not read its acknowledgements is not read either, and goes on when it does", async () => {
  const { session, client, conn, sink, publish } = await sessionOnFullSocket();
  publish(1);
  assert.equal(client._paused, false);
  conn.writableLength = 100_000;
  publish(2);
  assert.equal(client._paused, true);
  sink.settleAll();
  session.resumeIfRoom();
  assert.equal(client._paused, true, "it has still not read");
  conn.writableLength = 0;
  session.resumeIfRoom();
  assert.equal(client._paused, false);
});

test("one that reads nothing for the drain time-out is cut", async () => {
  const { session, client, conn, sink, refused, clock, publish } = await sessionOnFullSocket();
  conn.writableLength = 100_000;
  publish(1);
  sink.settleAll();
  clock.nowMs = 5_000;
  session.checkPatience(clock.nowMs);
  assert.equal(client.closed, false);
  clock.nowMs = 5_001;
  session.checkPatience(clock.nowMs);
  assert.equal(client.closed, true);
  assert.deepEqual(refused(), { "slow-subscriber": 1 });
});

test("what a session settled before a refusal is acknowledged, in one write", async () => {
  const { session, sink, publish, written } = await sessionOnFullSocket();
  publish(1);
  publish(2);
  publish(3);
  const [first, second] = sink.accepted;
  second?.settle();
  first?.settle();
  session.refuse("malformed", {});
  sink.accepted[2]?.settle();
  assert.deepEqual(Buffer.concat(written), Buffer.from([0x40, 2, 0, 1, 0x40, 2, 0, 2]));
  assert.equal(written.length, 1);
});
