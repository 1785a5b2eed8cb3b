import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import {
  type Command,
  DeviceClient,
  type DeviceClientOptions,
  DeviceError,
  type DeviceErrorCode,
} from "../../devices/index.ts";
import { decodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";
import { fileHandlePrototype, withFolder } from "../support/devices/power-cut.ts";
import { type ReceivedPublish, TestBroker } from "../support/devices/test-broker.ts";

const topic = "fleet/d1/telemetry";
const fastReconnect = { baseMs: 5, maxMs: 20 };

let broker: TestBroker;
beforeEach(async () => {
  broker = await new TestBroker().start();
});
afterEach(() => broker.stop());

const isError = (code: DeviceErrorCode) => (error: unknown) =>
  error instanceof DeviceError && error.code === code;

async function withClient(
  folder: string,
  options: Partial<DeviceClientOptions>,
  use: (client: DeviceClient) => Promise<void>,
): Promise<void> {
  const client = await DeviceClient.open({
    url: broker.url,
    clientId: "d1",
    reconnect: fastReconnect,
    ...options,
    outbox: { folder: join(folder, "outbox"), ...options.outbox },
  } as DeviceClientOptions);
  try {
    await use(client);
  } finally {
    await client.close({ drainTimeoutMs: 0 });
  }
}

const texts = (publishes: readonly ReceivedPublish[]) =>
  publishes.map(({ payload }) => Buffer.from(decodeEnvelope(payload).payload).toString());

/** The order of first arrivals. */
const distinct = (values: readonly string[]) => [...new Set(values)];

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

const numbered = (count: number, from = 1) => Array.from({ length: count }, (_, index) => `m${from + index}`);

async function publishAll(client: DeviceClient, payloads: readonly string[]): Promise<Promise<void>[]> {
  const receipts = await Promise.all(payloads.map((payload) => client.publish(topic, payload)));
  return receipts.map(({ acknowledged }) => acknowledged);
}

test("messages arrive in order, each with the id of its receipt, and are acknowledged", () =>
  withFolder((folder) =>
    withClient(folder, {}, async (client) => {
      const eventTime = new Date("2026-11-22T10:00:00.123Z");
      const receipt = await client.publish(topic, { temperature: 21.5 }, { eventTime });
      await receipt.acknowledged;
      await Promise.all(await publishAll(client, numbered(500)));
      const [first, ...rest] = broker.kept;
      const envelope = decodeEnvelope(first?.payload ?? Buffer.alloc(0));
      assert.equal(first?.topic, topic);
      assert.equal(Buffer.from(envelope.messageId).toString("hex"), receipt.id);
      assert.equal(envelope.eventTimeMs, eventTime.getTime());
      assert.equal(envelope.contentType, "application/json");
      assert.deepEqual(JSON.parse(Buffer.from(envelope.payload).toString()), { temperature: 21.5 });
      assert.deepEqual(texts(rest), numbered(500));
      assert.equal(client.status.messages, 0);
      assert.equal(client.status.acknowledged, 501);
      assert.equal(client.status.resent, 0);
    }),
  ));

test("format json adds id and time to the object", () =>
  withFolder((folder) =>
    withClient(folder, { format: "json", json: { timeField: "at" } }, async (client) => {
      const { id, acknowledged } = await client.publish(
        topic,
        { speed: 3 },
        { eventTime: 1_764_000_000_000 },
      );
      await acknowledged;
      const message = JSON.parse(broker.kept[0]?.payload.toString() ?? "");
      assert.deepEqual(message, { id, at: 1_764_000_000_000, speed: 3 });
      await assert.rejects(client.publish(topic, "text"), isError("MESSAGE_INVALID"));
    }),
  ));

test("what was published offline is sent when the broker is there, also by the next client", () =>
  withFolder(async (folder) => {
    await broker.stop();
    await withClient(folder, {}, async (client) => {
      const acknowledged = await publishAll(client, numbered(50));
      assert.equal(client.status.messages, 50);
      assert.deepEqual(await client.close({ drainTimeoutMs: 20 }), { remaining: 50 });
      await assert.rejects(acknowledged[0] ?? Promise.resolve(), isError("CLIENT_CLOSED"));
      await assert.rejects(client.publish(topic, "late"), isError("CLIENT_CLOSED"));
    });
    await withClient(folder, {}, async (client) => {
      await publishAll(client, numbered(50, 51));
      const [{ error }] = await once(client, "disconnected");
      assert.ok(isError("CONNECTION_LOST")(error));
      await broker.start();
      await once(client, "drained");
      assert.deepEqual(texts(broker.kept), numbered(100));
    });
  }));

test("connections that are cut again and again cost resends, never messages or order", () =>
  withFolder((folder) =>
    withClient(folder, { ackTimeoutMs: 100 }, async (client) => {
      let seen = 0;
      broker.judge = () => {
        seen += 1;
        if (seen % 97 === 0) setImmediate(() => broker.cutConnections());
        return seen % 97 > 90 ? "hold" : "accept";
      };
      const acknowledged = await publishAll(client, numbered(1_000));
      await Promise.all(acknowledged);
      assert.ok(broker.connections > 3);
      assert.deepEqual(distinct(texts(broker.kept)), numbered(1_000));
      assert.equal(client.status.rejected, 0);
      assert.equal(client.status.messages, 0);
      assert.ok(client.status.resent > 0);
    }),
  ));

test("a broker that is killed and comes back gets everything", () =>
  withFolder((folder) =>
    withClient(folder, {}, async (client) => {
      const acknowledged: Promise<void>[] = [];
      for (let round = 0; round < 4; round += 1) {
        acknowledged.push(...(await publishAll(client, numbered(100, round * 100 + 1))));
        await broker.until(() => broker.kept.length > round * 60);
        await broker.stop();
        acknowledged.push(...(await publishAll(client, [`offline${round}`])));
        await broker.start();
      }
      await Promise.all(acknowledged);
      const arrived = distinct(texts(broker.kept));
      assert.equal(arrived.length, 404);
      assert.deepEqual(
        arrived.filter((text) => text.startsWith("m")),
        numbered(400),
      );
    }),
  ));

test("a missing PUBACK ends the connection after ackTimeoutMs, and the message is sent again: ACK_TIMEOUT", () =>
  withFolder((folder) =>
    withClient(folder, { ackTimeoutMs: 50 }, async (client) => {
      broker.judge = ({ connection }) => (connection < 3 ? "hold" : "accept");
      const ended = once(client, "disconnected");
      const [acknowledged] = await publishAll(client, ["m1"]);
      const [{ error }] = await ended;
      assert.ok(isError("ACK_TIMEOUT")(error));
      await acknowledged;
      assert.deepEqual(
        broker.kept.map(({ connection, dup }) => [connection, dup]),
        [
          [1, false],
          [2, true],
          [3, true],
        ],
      );
    }),
  ));

test("no more is in flight than inFlightMax allows", () =>
  withFolder((folder) =>
    withClient(folder, { inFlightMax: 7 }, async (client) => {
      broker.judge = () => "hold";
      await publishAll(client, numbered(50));
      await broker.until(() => broker.kept.length >= 7);
      assert.equal(client.status.inFlight, 7);
      const [, { acknowledged }] = [await client.publish(topic, "m51"), await client.publish(topic, "m52")];
      assert.equal(broker.kept.length, 7);
      broker.judge = () => "accept";
      broker.cutConnections();
      await acknowledged;
      assert.deepEqual(distinct(texts(broker.kept)), numbered(52));
    }),
  ));

test("a message on which the connection is closed 5 times in a row goes to the rejected store: MESSAGE_REJECTED", () =>
  withFolder(async (folder) => {
    let closes = 0;
    broker.judge = ({ payload }) => {
      if (!texts([{ payload } as ReceivedPublish])[0]?.startsWith("poison")) return "accept";
      closes += 1;
      return "close";
    };
    await withClient(folder, {}, async (client) => {
      const told: string[] = [];
      client.on("rejected", ({ id }) => told.push(id));
      const before = await publishAll(client, numbered(3));
      const poison = await client.publish(topic, "poison");
      const after = await publishAll(client, numbered(30, 4));
      await assert.rejects(poison.acknowledged, isError("MESSAGE_REJECTED"));
      await Promise.all([...before, ...after]);
      assert.equal(closes, 5);
      assert.deepEqual(told, [poison.id]);
      assert.deepEqual(distinct(texts(broker.kept)), numbered(33));
      assert.equal(client.status.rejected, 1);
      await assert.rejects(poison.acknowledged, isError("MESSAGE_REJECTED"), "also when asked again");
    });
    await withClient(folder, {}, async (client) => {
      const [rejected] = await collect(client.rejectedMessages());
      assert.ok(rejected);
      assert.equal(rejected.topic, topic);
      assert.deepEqual(texts([rejected as unknown as ReceivedPublish]), ["poison"]);
      await client.deleteRejectedMessage(rejected.id);
      assert.equal((await collect(client.rejectedMessages())).length, 0);
    });
  }));

test("a message is not blamed for the one behind it, though its own acknowledgement was still missing", () =>
  withFolder((folder) =>
    withClient(folder, {}, async (client) => {
      broker.judge = (publish) => {
        if (texts([publish])[0] === "poison") return "close";
        // What goes out together with the poison never gets its acknowledgement.
        return client.status.inFlight > 1 ? "hold" : "accept";
      };
      const good = await client.publish(topic, "m1");
      const poison = await client.publish(topic, "poison");
      await assert.rejects(poison.acknowledged, isError("MESSAGE_REJECTED"));
      await good.acknowledged;
      assert.equal(client.status.rejected, 1);
    }),
  ));

test("a gateway that is down, or holds and closes, makes no message rejected", () =>
  withFolder((folder) =>
    withClient(folder, { keepaliveSeconds: 1 }, async (client) => {
      let rounds = 0;
      broker.judge = () => {
        rounds += 1;
        // Later than a quarter of the keep alive: no refusal.
        if (rounds <= 6) setTimeout(() => broker.cutConnections(), 300);
        return rounds <= 6 ? "lose" : "accept";
      };
      const [acknowledged] = await publishAll(client, ["m1"]);
      await acknowledged;
      assert.equal(client.status.rejected, 0);
      assert.equal(client.status.connects, 7);
    }),
  ));

test("wrong credentials are told and tried again: CONNECT_REFUSED", () =>
  withFolder(async (folder) => {
    await broker.stop();
    await broker.start({ credentials: { username: "d1", password: "right" } });
    const credentials = { username: "d1", password: "wrong" };
    await withClient(folder, credentials, async (client) => {
      const [{ error }] = await once(client, "disconnected");
      assert.ok(isError("CONNECT_REFUSED")(error));
      assert.deepEqual(error.details, { returnCode: 4 });
      assert.doesNotMatch(JSON.stringify(error) + error.message, /wrong[^.]*"|right/);
      await once(client, "disconnected");
    });
    await withClient(folder, { ...credentials, password: Buffer.from("right") }, async (client) => {
      await Promise.all(await publishAll(client, ["m1"]));
    });
  }));

test("commands reach their handlers on every connection, with the named levels; a throwing handler is told: HANDLER_FAILED", () =>
  withFolder((folder) =>
    withClient(folder, {}, async (client) => {
      const commands: Command[] = [];
      await client.subscribe("fleet/{device}/commands/#", (command) => {
        commands.push(command);
        if (String(command.payload) === "bad") throw new Error("no");
      });
      await broker.send("fleet/d1/commands/reset", "one");
      broker.cutConnections();
      await once(client, "connected");
      await client.subscribe("other/+", async () => Promise.reject(new Error("async no")));
      const warned = once(client, "warning");
      await broker.send("fleet/d1/commands", "bad");
      assert.ok(isError("HANDLER_FAILED")((await warned)[0]));
      const warnedAgain = once(client, "warning");
      await broker.send("other/x", "two");
      assert.ok(isError("HANDLER_FAILED")((await warnedAgain)[0]));
      assert.deepEqual(
        commands.map(({ topic: name, payload, captures }) => [name, String(payload), captures["device"]]),
        [
          ["fleet/d1/commands/reset", "one", "d1"],
          ["fleet/d1/commands", "bad", "d1"],
        ],
      );
      await assert.rejects(
        client.subscribe("other/+", () => {}),
        isError("OPTIONS_INVALID"),
      );
      client.unsubscribe("other/+");
      await client.subscribe("other/+", () => {});
    }),
  ));

test("a refused subscription rejects: SUBSCRIBE_REFUSED", () =>
  withFolder((folder) =>
    withClient(folder, {}, async (client) => {
      broker.refuseSubscriptions();
      await assert.rejects(
        client.subscribe("secret/#", () => {}),
        isError("SUBSCRIBE_REFUSED"),
      );
    }),
  ));

test("close drains first, and says what is left", () =>
  withFolder((folder) =>
    withClient(folder, {}, async (client) => {
      void publishAll(client, numbered(300));
      assert.deepEqual(await client.close(), { remaining: 0 });
      assert.deepEqual(texts(broker.kept), numbered(300));
    }),
  ));

test("drop-oldest: what is given up is told, what is kept arrives: MESSAGE_DROPPED", () =>
  withFolder((folder) =>
    withClient(
      folder,
      { outbox: { folder: join(folder, "small"), maxBytes: 65_536, whenFull: "drop-oldest" } },
      async (client) => {
        broker.judge = () => "hold";
        let dropped = 0;
        client.on("dropped", ({ messages }) => {
          dropped += messages;
        });
        const first = await client.publish(topic, "first".padEnd(1_000));
        await broker.until(() => broker.kept.length === 1);
        const receipts = [];
        for (let index = 0; index < 120; index += 1)
          receipts.push(await client.publish(topic, String(index).padEnd(1_000)));
        await assert.rejects(first.acknowledged, isError("MESSAGE_DROPPED"));
        broker.judge = () => "accept";
        broker.cutConnections();
        await receipts.at(-1)?.acknowledged;
        assert.equal(dropped, client.status.dropped);
        assert.equal(client.status.acknowledged + dropped, 121);
        assert.ok(dropped > 40);
        assert.equal(client.status.messages, 0);
      },
    ),
  ));

test("a rejected store that can't be written to keeps the message in the outbox: OUTBOX_WRITE_FAILED", () =>
  withFolder((folder) =>
    withClient(folder, {}, async (client) => {
      const rejectedFolder = join(folder, "outbox", "rejected");
      rmSync(rejectedFolder, { recursive: true });
      broker.judge = () => "close";
      const { acknowledged } = await client.publish(topic, "poison");
      const [warning] = await once(client, "warning");
      assert.ok(isError("OUTBOX_WRITE_FAILED")(warning));
      assert.equal(client.status.messages, 1);
      mkdirSync(rejectedFolder);
      await assert.rejects(acknowledged, isError("MESSAGE_REJECTED"));
      assert.equal(client.status.messages, 0);
    }),
  ));

test("a disk that fails ends publishing, loudly; what was safe is still sent: OUTBOX_FAILED", () =>
  withFolder((folder) =>
    withClient(folder, {}, async (client) => {
      broker.judge = () => "hold";
      const safe = await client.publish(topic, "safe");
      const prototype = await fileHandlePrototype();
      const { datasync } = prototype;
      prototype.datasync = async () => {
        throw Object.assign(new Error("EIO"), { code: "EIO", syscall: "fdatasync" });
      };
      try {
        const failed = once(client, "failed");
        await assert.rejects(client.publish(topic, "unknown"), isError("OUTBOX_FAILED"));
        assert.ok(isError("OUTBOX_FAILED")((await failed)[0]));
      } finally {
        prototype.datasync = datasync;
      }
      await assert.rejects(client.publish(topic, "later"), isError("OUTBOX_FAILED"));
      broker.judge = () => "accept";
      broker.cutConnections();
      await safe.acknowledged;
    }),
  ));

test("a folder that can't hold an outbox is refused, and left unlocked: OUTBOX_OPEN_FAILED", () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, "rejected"), "in the way");
    const open = () => DeviceClient.open({ url: broker.url, clientId: "d1", outbox: { folder } });
    await assert.rejects(open(), isError("OUTBOX_OPEN_FAILED"));
    rmSync(join(folder, "rejected"));
    await (await open()).close();
  }));
