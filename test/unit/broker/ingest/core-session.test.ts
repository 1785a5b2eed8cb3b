import assert from "node:assert/strict";
import { test } from "node:test";
import type { IngestClient, IngestSession, Refusal } from "../../../../broker/ingest/index.ts";
import { testIngest, topicRule } from "../../../support/test-ingest.ts";

const topic = "fleet/dev1/telemetry";
const dev1 = { name: "dev1", role: "device", topicPrefixes: [] } as const;
const message = (qos: 0 | 1 | 2 = 1, payload = "x") => ({ topic, payload: Buffer.from(payload), qos });

/** A session of dev1, and all that its client is told. */
async function opened(limits: { inFlightMax?: number; inFlightMaxBytes?: number } = {}) {
  const core = testIngest({ identities: [dev1], rules: [topicRule()] });
  const told: string[] = [];
  const client: IngestClient<number> & { hasLeft: boolean } = {
    hasLeft: false,
    settled: (tag: number, refusal: Refusal | null) => void told.push(`${tag} ${refusal?.code ?? "durable"}`),
    revoked: () => void told.push("revoked"),
    turnEnded: () => void told.push("turn ended"),
    failed: ({ code }: Refusal) => void told.push(`failed ${code}`),
  };
  const entry = await core.ingest.open<number>(
    {
      credentials: { name: "dev1", secret: Buffer.from("dev1"), mayBeAnonymous: false },
      clientId: "dev1",
      address: "10.0.0.1",
      limits: { ...core.config, ...limits },
      hasLeft: () => false,
    },
    () => client,
  );
  core.ingest.close();
  assert("session" in entry);
  const session: IngestSession<number> = entry.session;
  return { ...core, session, client, told };
}

test("each message is told of once, in order, and then that the turn has ended", async () => {
  const { session, sink, told } = await opened();
  for (const tag of [1, 2, 3]) session.publish(message(), tag);
  const [first, second, third] = sink.accepted;
  second?.settle();
  await null;
  third?.settle();
  first?.settle();
  assert.deepEqual(told, ["turn ended", "1 durable", "2 durable", "3 durable"]);
  await null;
  assert.deepEqual(told.slice(4), ["turn ended"]);
});

test("a failure is told at once, and again in its turn; at QoS 0 it is no refusal", async () => {
  const { session, sink, told, ingest } = await opened();
  for (const [tag, qos] of ([1, 0, 1] as const).entries()) session.publish(message(qos), tag);
  const [first, second, third] = sink.accepted;
  third?.settle(new Error("lost"));
  assert.deepEqual(told, ["failed not-durable"]);
  second?.settle(new Error("dropped"));
  first?.settle();
  assert.deepEqual(told.slice(1), ["0 durable", "1 not-durable", "2 not-durable"]);
  assert.deepEqual(ingest.status().refused, { "not-durable": 1 });
});

test("after the end no answer is sent, but stored messages are known at once", async () => {
  const { session, sink, told, ingest } = await opened();
  const stored: boolean[] = [];
  for (const tag of [1, 2]) {
    const verdict = session.judge(message());
    assert(verdict.kind === "telemetry");
    session.accept(message(), verdict, tag, (isStored) => stored.push(isStored));
  }
  session.end();
  sink.accepted[1]?.settle();
  sink.accepted[0]?.settle(new Error("lost"));
  await null;
  assert.deepEqual([told, stored], [[], [true, false]]);
  assert.deepEqual(ingest.status().refused, {});
  assert.equal(ingest.status().inFlightMessages, 0);
});

test("a failure without a listener is not counted", async () => {
  const { session, sink, client, ingest } = await opened();
  session.publish(message(), 1);
  client.hasLeft = true;
  sink.settleAll(new Error("lost"));
  assert.deepEqual(ingest.status().refused, {});
});

test("a session whose identity was removed takes nothing more", async () => {
  const { session, devices, sink, told } = await opened();
  devices.revoke("dev1");
  session.publish(message(), 1);
  assert.deepEqual(told, ["revoked", "1 credentials"]);
  assert.equal(sink.accepted.length, 0);
});

test("a client is to stop at the limits, and goes on at half of them", async () => {
  const { session, sink } = await opened({ inFlightMax: 4 });
  const state = () => [session.inFlightCount, session.hasRoom, session.isRelieved];
  for (const tag of [1, 2, 3]) session.publish(message(), tag);
  assert.deepEqual(state(), [3, true, false]);
  session.publish(message(), 4);
  assert.deepEqual(state(), [4, false, false]);
  sink.accepted[0]?.settle();
  assert.deepEqual(state(), [3, true, false]);
  sink.accepted[1]?.settle();
  assert.deepEqual(state(), [2, true, true]);
  sink.isFull = true;
  assert.deepEqual(state(), [2, false, false]);
});

test("the same holds for payload bytes", async () => {
  const { session } = await opened({ inFlightMaxBytes: 10 });
  session.publish(message(1, "x".repeat(6)), 1);
  assert.deepEqual([session.hasRoom, session.isRelieved], [true, false]);
  session.publish(message(1, "x".repeat(6)), 2);
  assert.deepEqual([session.hasRoom, session.isRelieved], [false, false]);
});

test("a refusal has a code, a reason in words, and says whether to retry", async () => {
  const { session } = await opened();
  const verdict = session.judge({ ...message(), topic: "nowhere" });
  assert.deepEqual(verdict, {
    kind: "refused",
    refusal: {
      code: "unknown-topic",
      reason: "No topic's filter matches the topic name.",
      retryable: false,
      fields: {},
    },
  });
});
