import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { Value } from "@sinclair/typebox/value";
import pino from "pino";
import { Registry } from "prom-client";
import { brokerConfigSchema } from "../../../../broker/config.ts";
import { BrokerMetrics } from "../../../../broker/ingest/ingest-metrics.ts";
import { Ingress } from "../../../../broker/ingest/ingress.ts";
import { RefusalLog } from "../../../../broker/ingest/refusal-log.ts";
import { TopicRules } from "../../../../broker/ingest/topic-rules.ts";
import type { AedesClient, PublishPacket } from "../../../../broker/mqtt/aedes/aedes-client.ts";
import { LiveSubscribers } from "../../../../broker/mqtt/live-subscribers.ts";
import { PacedCloses } from "../../../../broker/mqtt/paced-closes.ts";
import { ReceivedIdsOfSessions } from "../../../../broker/mqtt/received-ids.ts";
import { Session } from "../../../../broker/mqtt/session.ts";
import { ControllableSink } from "../../../support/controllable-sink.ts";
import { quietGauges } from "../../../support/quiet-gauges.ts";
import { TestTopics } from "../../../support/test-broker.ts";

/** A session on a client whose socket the test fills and empties. */
function sessionOnFullSocket() {
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
  const metrics = new BrokerMetrics(new Registry(), quietGauges);
  const sink = new ControllableSink();
  const sessions = new Set<Session>();
  const session = new Session(
    {
      config: Value.Create(brokerConfigSchema),
      sink,
      metrics,
      refusals: new RefusalLog({ logger: pino({ level: "silent" }), metrics, now }),
      live: new LiveSubscribers({ publish: () => {}, metrics }),
      pacedCloses: new PacedCloses({ perSecond: 1_000, random: () => 0 }),
      now,
      sessions,
      paused: new Set(),
      flushSoon: (settled) => settled.flush(),
    },
    client as unknown as AedesClient,
    {
      identity: null,
      ingress: new Ingress(new TopicRules(new TestTopics(), { filters: [], publishers: [] }), {
        identity: null,
        clientId: "dev1",
      }),
      receivedIds: new ReceivedIdsOfSessions({ sessionsMax: 1 }).open("dev1", true),
    },
  );
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
  return { session, client, conn, sink, metrics, clock, publish, written };
}

test("a client that does not read its acknowledgements is not read either, and goes on when it does", () => {
  const { session, client, conn, sink, publish } = sessionOnFullSocket();
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

test("one that reads nothing for the drain time-out is cut", () => {
  const { session, client, conn, sink, metrics, clock, publish } = sessionOnFullSocket();
  conn.writableLength = 100_000;
  publish(1);
  sink.settleAll();
  clock.nowMs = 5_000;
  session.checkDeadlines(clock.nowMs);
  assert.equal(client.closed, false);
  clock.nowMs = 5_001;
  session.checkDeadlines(clock.nowMs);
  assert.equal(client.closed, true);
  assert.deepEqual(metrics.refusals(), { "slow-subscriber": 1 });
});

test("what a session settled before a refusal is acknowledged, in one write", () => {
  const { session, sink, publish, written } = sessionOnFullSocket();
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
