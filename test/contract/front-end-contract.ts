import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Identity } from "../../broker/index.ts";
import { type TestIngest, type TestIngestOptions, testIngest, topicRule } from "../support/test-ingest.ts";
import { until } from "../support/until.ts";

export interface Hello {
  readonly clientId: string;
  readonly name?: string;
  readonly secret?: string;
}

/** A client that a contract test drives. */
export interface ContractClient {
  /** True if the client was admitted; null = not known so far. */
  readonly isWelcome: boolean | null;
  readonly isClosed: boolean;
  /** The numbers of its messages acknowledged as durable, in the order of the acknowledgements. */
  readonly acknowledged: readonly number[];
  /** Its messages have the numbers 1, 2, 3 and so on. */
  publish(topic: string, payload: string): void;
  /** Ends the connection without a packet. */
  hangUp(): void;
}

/** A running front end. */
export interface ContractFrontEnd {
  connect(hello: Hello): Promise<ContractClient>;
  stop(): Promise<void>;
}

type Start = (core: TestIngest) => Promise<ContractFrontEnd>;

const identity = (name: string): Identity => ({ name, role: "device", topicPrefixes: [] });
const topic = "fleet/dev1/telemetry";
const dev1: Hello = { clientId: "dev1", name: "dev1", secret: "dev1" };

/**
 * The contract of front ends, for any protocol: the core decides each refusal, which is counted once and does
 * not reach the sink.
 */
export function frontEndContract(kind: string, start: Start): void {
  async function running(options: TestIngestOptions = {}) {
    const core = testIngest({ identities: [identity("dev1"), identity("dev2")], ...options });
    const frontEnd = await start(core);
    const connected = async (hello: Hello = dev1) => {
      const client = await frontEnd.connect(hello);
      await until("the client has an answer", () => client.isWelcome !== null || client.isClosed);
      return client;
    };
    return {
      ...core,
      frontEnd,
      connected,
      refused: () => core.ingest.status().refused,
      reached: async (count: number) =>
        until(`${count} messages reach the sink`, () => core.sink.accepted.length >= count),
      [Symbol.asyncDispose]: async () => {
        core.sink.settleAll();
        await frontEnd.stop();
        core.ingest.close();
      },
    };
  }

  describe(`${kind} front end`, () => {
    test("the secret decides the identity of a client, and its messages are filed under that device", async () => {
      await using core = await running({ rules: [topicRule({ filter: "site/+/alarm" })] });
      core.sink.isInstant = true;
      const client = await core.connected();
      assert.equal(client.isWelcome, true);
      client.publish("site/x/alarm", "on");
      await core.reached(1);
      const { deviceId, topicId, topicName, text } = core.sink.accepted[0] ?? assert.fail();
      assert.deepEqual([deviceId, topicId, topicName, text], ["dev1", "topic-1", "site/x/alarm", "on"]);
      assert.deepEqual(core.ingest.identities(), [identity("dev1")]);
      client.hangUp();
      await until("the client's session has ended", () => core.ingest.identities().length === 0);
    });

    test("a client with a wrong secret, or with the client id of another device, is not admitted", async () => {
      await using core = await running();
      const wrong = await core.connected({ clientId: "dev1", name: "dev1", secret: "guess" });
      assert.notEqual(wrong.isWelcome, true);
      const foreign = await core.connected({ clientId: "dev2", name: "dev1", secret: "dev1" });
      assert.notEqual(foreign.isWelcome, true);
      assert.deepEqual(core.refused(), { credentials: 1, "client-id-foreign": 1 });
      assert.deepEqual(core.ingest.identities(), []);
    });

    test("no client is admitted while the stream is full", async () => {
      const admission = { isOpen: false };
      await using core = await running({ admission });
      assert.notEqual((await core.connected()).isWelcome, true);
      assert.deepEqual(core.refused(), { "no-room": 1 });
      admission.isOpen = true;
      assert.equal((await core.connected()).isWelcome, true);
    });

    const rules = [
      topicRule({ maxPayloadBytes: 16 }),
      topicRule({ topicId: "closed", filter: "closed/{device}", publishers: ["other"] }),
    ];
    for (const { why, name, payload, code } of [
      { why: "no topic has", name: "elsewhere", payload: "x", code: "unknown-topic" },
      { why: "is another device's", name: "fleet/dev2/telemetry", payload: "x", code: "device-mismatch" },
      { why: "it may not publish on", name: "closed/dev1", payload: "x", code: "not-authorized" },
      {
        why: "takes no payload of this size",
        name: topic,
        payload: "x".repeat(17),
        code: "payload-too-large",
      },
    ])
      test(`a message on a name that ${why} is refused: ${code}`, async () => {
        await using core = await running({ rules });
        const client = await core.connected();
        client.publish(name, payload);
        await until("the message is refused", () => core.refused()[code] === 1);
        assert.deepEqual([core.sink.accepted, client.acknowledged], [[], []]);
      });

    test("messages beyond a topic's rate are refused, and earlier ones are acknowledged", async () => {
      await using core = await running({ rules: [topicRule({ messagesPerSecond: 2 })] });
      const client = await core.connected();
      for (let count = 0; count < 2; count++) client.publish(topic, "x");
      await core.reached(2);
      core.sink.settleAll();
      await until("two are acknowledged", () => client.acknowledged.length === 2);
      client.publish(topic, "x");
      client.publish(topic, "x");
      client.publish(topic, "x");
      await until("one is refused", () => (core.refused()["rate-exceeded"] ?? 0) >= 1);
    });

    test("a message is acknowledged once it is durable, not earlier, and in the order of publishing", async () => {
      await using core = await running();
      const client = await core.connected();
      for (let count = 0; count < 3; count++) client.publish(topic, "x");
      await core.reached(3);
      const [first, second, third] = core.sink.accepted;
      third?.settle();
      second?.settle();
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual(client.acknowledged, []);
      assert.equal(core.ingest.status().inFlightMessages, 3);
      first?.settle();
      await until("all are acknowledged", () => client.acknowledged.length === 3);
      assert.deepEqual(client.acknowledged, [1, 2, 3]);
      await until("they are counted", () => core.ingest.status().acknowledged === 3);
      assert.equal(core.ingest.status().inFlightMessages, 0);
    });

    test("a message that the sink can't make durable is counted and not acknowledged", async () => {
      await using core = await running();
      const client = await core.connected();
      client.publish(topic, "x");
      await core.reached(1);
      core.sink.settleAll(new Error("the stream is gone"));
      await until("the message is refused", () => core.refused()["not-durable"] === 1);
      assert.deepEqual(client.acknowledged, []);
    });

    test("a message that is not durable in time is refused once, even if it becomes durable later", async () => {
      await using core = await running({ config: { holdMaxMs: 50 } });
      const client = await core.connected();
      client.publish(topic, "x");
      await core.reached(1);
      await until("the message is refused", () => core.refused()["not-durable"] === 1);
      core.sink.settleAll();
      await until("nothing is in flight", () => core.ingest.status().inFlightMessages === 0);
      assert.deepEqual([core.refused()["not-durable"], client.acknowledged], [1, []]);
    });

    test("messages in flight when a client hangs up are still stored, without an answer", async () => {
      await using core = await running();
      const client = await core.connected();
      client.publish(topic, "x");
      await core.reached(1);
      client.hangUp();
      await until("the client's session has ended", () => core.ingest.identities().length === 0);
      assert.equal(core.ingest.status().inFlightMessages, 1);
      core.sink.settleAll();
      const { inFlightMessages, acknowledged, refused } = core.ingest.status();
      assert.deepEqual(
        { inFlightMessages, acknowledged, refused },
        { inFlightMessages: 0, acknowledged: 0, refused: {} },
      );
    });

    test("the connection of a removed identity ends, and its secret is no longer valid, even during its check", async () => {
      await using core = await running();
      const client = await core.connected();
      core.devices.revoke("dev1");
      await until("the connection is cut", () => client.isClosed);
      assert.deepEqual(core.ingest.identities(), []);
      core.devices.delayMs = 50;
      const late = core.connected();
      await until("the secret is being checked", () => core.devices.checks === 2);
      core.devices.revoke("dev1");
      assert.notEqual((await late).isWelcome, true);
      assert.deepEqual(core.refused(), { "authentication-busy": 1 });
    });

    test("a front end that stops acknowledges messages that become durable meanwhile", async () => {
      await using core = await running({ config: { stopTimeoutMs: 60_000 } });
      const client = await core.connected();
      client.publish(topic, "x");
      await core.reached(1);
      const stopped = core.frontEnd.stop();
      core.sink.settleAll();
      await stopped;
      await until("the message is acknowledged", () => client.acknowledged.length === 1);
      await until("the client's connection has ended", () => client.isClosed);
    });
  });
}
