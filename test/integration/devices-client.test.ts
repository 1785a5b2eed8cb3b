import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Command, DeviceClient } from "../../devices/index.ts";
import { decodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";
import {
  brokerPerTest,
  distinct,
  isError,
  numbered,
  publishAll,
  texts,
  topic,
  withClient,
} from "../support/devices/device-client-tests.ts";
import { fileHandlePrototype, withFolder } from "../support/devices/power-cut.ts";

const brokers = brokerPerTest();

test("messages arrive in order, each under the id of its receipt, and are acknowledged", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder }, async (client) => {
      const eventTime = new Date("2026-11-22T10:00:00.123Z");
      const receipt = await client.publish(topic, { temperature: 21.5 }, { eventTime });
      await receipt.acknowledged;
      await Promise.all(await publishAll(client, numbered(500)));
      const [first, ...rest] = brokers.current.kept;
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
    withClient(brokers.current, { folder, format: "json", json: { timeField: "at" } }, async (client) => {
      const { id, acknowledged } = await client.publish(
        topic,
        { speed: 3 },
        { eventTime: 1_764_000_000_000 },
      );
      await acknowledged;
      const message = JSON.parse(brokers.current.kept[0]?.payload.toString() ?? "");
      assert.deepEqual(message, { id, at: 1_764_000_000_000, speed: 3 });
      await assert.rejects(client.publish(topic, "text"), isError("MESSAGE_INVALID"));
    }),
  ));

test("messages that were published offline are sent once the broker is reachable, even by the next client", () =>
  withFolder(async (folder) => {
    await brokers.current.stop();
    await withClient(brokers.current, { folder }, async (client) => {
      const acknowledged = await publishAll(client, numbered(50));
      assert.equal(client.status.messages, 50);
      assert.deepEqual(await client.close({ drainTimeoutMs: 20 }), { remaining: 50 });
      await assert.rejects(acknowledged[0] ?? Promise.resolve(), isError("CLIENT_CLOSED"));
      await assert.rejects(client.publish(topic, "late"), isError("CLIENT_CLOSED"));
    });
    await withClient(brokers.current, { folder }, async (client) => {
      await publishAll(client, numbered(50, 51));
      const [{ error }] = await once(client, "disconnected");
      assert.ok(isError("CONNECTION_LOST")(error));
      await brokers.current.start();
      await once(client, "drained");
      assert.deepEqual(texts(brokers.current.kept), numbered(100));
    });
  }));

test("connections that are cut repeatedly cost resends, but neither messages nor order", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder, ackTimeoutMs: 100 }, async (client) => {
      let seen = 0;
      brokers.current.judge = () => {
        seen += 1;
        if (seen % 97 === 0) setImmediate(() => brokers.current.cutConnections());
        return seen % 97 > 90 ? "hold" : "accept";
      };
      const acknowledged = await publishAll(client, numbered(1_000));
      await Promise.all(acknowledged);
      assert.ok(brokers.current.connections > 3);
      assert.deepEqual(distinct(texts(brokers.current.kept)), numbered(1_000));
      assert.equal(client.status.rejected, 0);
      assert.equal(client.status.messages, 0);
      assert.ok(client.status.resent > 0);
    }),
  ));

test("a broker that is killed and restarted gets all messages", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder }, async (client) => {
      const acknowledged: Promise<void>[] = [];
      for (let round = 0; round < 4; round += 1) {
        acknowledged.push(...(await publishAll(client, numbered(100, round * 100 + 1))));
        await brokers.current.until(() => brokers.current.kept.length > round * 60);
        await brokers.current.stop();
        acknowledged.push(...(await publishAll(client, [`offline${round}`])));
        await brokers.current.start();
      }
      await Promise.all(acknowledged);
      const arrived = distinct(texts(brokers.current.kept));
      assert.equal(arrived.length, 404);
      assert.deepEqual(
        arrived.filter((text) => text.startsWith("m")),
        numbered(400),
      );
    }),
  ));

test("a missing PUBACK ends the connection after ackTimeoutMs, and the message is sent again: ACK_TIMEOUT", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder, ackTimeoutMs: 50 }, async (client) => {
      brokers.current.judge = ({ connection }) => (connection < 3 ? "hold" : "accept");
      const ended = once(client, "disconnected");
      const [acknowledged] = await publishAll(client, ["m1"]);
      const [{ error }] = await ended;
      assert.ok(isError("ACK_TIMEOUT")(error));
      await acknowledged;
      assert.deepEqual(
        brokers.current.kept.map(({ connection, dup }) => [connection, dup]),
        [
          [1, false],
          [2, true],
          [3, true],
        ],
      );
    }),
  ));

test("at most inFlightMax messages are in flight", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder, inFlightMax: 7 }, async (client) => {
      brokers.current.judge = () => "hold";
      await publishAll(client, numbered(50));
      await brokers.current.until(() => brokers.current.kept.length >= 7);
      assert.equal(client.status.inFlight, 7);
      const [, { acknowledged }] = [await client.publish(topic, "m51"), await client.publish(topic, "m52")];
      assert.equal(brokers.current.kept.length, 7);
      brokers.current.judge = () => "accept";
      brokers.current.cutConnections();
      await acknowledged;
      assert.deepEqual(distinct(texts(brokers.current.kept)), numbered(52));
    }),
  ));

test("commands reach their handlers on every connection, with the named levels; an error in a handler is reported: HANDLER_FAILED", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder }, async (client) => {
      const commands: Command[] = [];
      await client.subscribe("fleet/{device}/commands/#", (command) => {
        commands.push(command);
        if (String(command.payload) === "bad") throw new Error("no");
      });
      await brokers.current.send("fleet/d1/commands/reset", "one");
      brokers.current.cutConnections();
      await once(client, "connected");
      await client.subscribe("other/+", async () => Promise.reject(new Error("async no")));
      const warned = once(client, "warning");
      await brokers.current.send("fleet/d1/commands", "bad");
      assert.ok(isError("HANDLER_FAILED")((await warned)[0]));
      const warnedAgain = once(client, "warning");
      await brokers.current.send("other/x", "two");
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
    withClient(brokers.current, { folder }, async (client) => {
      brokers.current.refuseSubscriptions();
      await assert.rejects(
        client.subscribe("secret/#", () => {}),
        isError("SUBSCRIBE_REFUSED"),
      );
    }),
  ));

test("close drains first, and reports the messages that are left", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder }, async (client) => {
      void publishAll(client, numbered(300));
      assert.deepEqual(await client.close(), { remaining: 0 });
      assert.deepEqual(texts(brokers.current.kept), numbered(300));
    }),
  ));

test("drop-oldest: dropped messages are reported, and kept ones arrive: MESSAGE_DROPPED", () =>
  withFolder((folder) =>
    withClient(
      brokers.current,
      { folder, outbox: { folder: join(folder, "small"), maxBytes: 65_536, whenFull: "drop-oldest" } },
      async (client) => {
        brokers.current.judge = () => "hold";
        let dropped = 0;
        client.on("dropped", ({ messages }) => {
          dropped += messages;
        });
        const first = await client.publish(topic, "first".padEnd(1_000));
        await brokers.current.until(() => brokers.current.kept.length === 1);
        const receipts = [];
        for (let index = 0; index < 120; index += 1)
          receipts.push(await client.publish(topic, String(index).padEnd(1_000)));
        await assert.rejects(first.acknowledged, isError("MESSAGE_DROPPED"));
        brokers.current.judge = () => "accept";
        brokers.current.cutConnections();
        await receipts.at(-1)?.acknowledged;
        assert.equal(dropped, client.status.dropped);
        assert.equal(client.status.acknowledged + dropped, 121);
        assert.ok(dropped > 40);
        assert.equal(client.status.messages, 0);
      },
    ),
  ));

test("a disk that fails ends publishing with an error, and stored messages are still sent: OUTBOX_FAILED", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder }, async (client) => {
      brokers.current.judge = () => "hold";
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
      brokers.current.judge = () => "accept";
      brokers.current.cutConnections();
      await safe.acknowledged;
    }),
  ));

test("a folder that can't hold an outbox is refused and left unlocked: OUTBOX_OPEN_FAILED", () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, "rejected"), "in the way");
    const open = () => DeviceClient.open({ url: brokers.current.url, clientId: "d1", outbox: { folder } });
    await assert.rejects(open(), isError("OUTBOX_OPEN_FAILED"));
    rmSync(join(folder, "rejected"));
    await (await open()).close();
  }));
