import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
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
import { withFolder } from "../support/devices/power-cut.ts";

const brokers = brokerPerTest();

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

test("a message whose connection is closed 5 times in a row moves to the rejected store: MESSAGE_REJECTED", () =>
  withFolder(async (folder) => {
    let closes = 0;
    brokers.current.judge = ({ payload }) => {
      if (!texts([{ payload }])[0]?.startsWith("poison")) return "accept";
      closes += 1;
      return "close";
    };
    await withClient(brokers.current, { folder }, async (client) => {
      const told: string[] = [];
      client.on("rejected", ({ id }) => told.push(id));
      const before = await publishAll(client, numbered(3));
      const poison = await client.publish(topic, "poison");
      const after = await publishAll(client, numbered(30, 4));
      await assert.rejects(poison.acknowledged, isError("MESSAGE_REJECTED"));
      await Promise.all([...before, ...after]);
      assert.equal(closes, 5);
      assert.deepEqual(told, [poison.id]);
      assert.deepEqual(distinct(texts(brokers.current.kept)), numbered(33));
      assert.equal(client.status.rejected, 1);
      await assert.rejects(poison.acknowledged, isError("MESSAGE_REJECTED"), "the promise still rejects");
    });
    await withClient(brokers.current, { folder }, async (client) => {
      const [rejected] = await collect(client.rejectedMessages());
      assert.ok(rejected);
      assert.equal(rejected.topic, topic);
      assert.deepEqual(texts([{ payload: Buffer.from(rejected.payload) }]), ["poison"]);
      await client.deleteRejectedMessage(rejected.id);
      assert.equal((await collect(client.rejectedMessages())).length, 0);
    });
  }));

test("a message is not blamed for the next one, even if its own acknowledgement was still missing", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder }, async (client) => {
      brokers.current.judge = (publish) => {
        if (texts([publish])[0] === "poison") return "close";
        // Messages that are in flight together with the poison never get their acknowledgement.
        return client.status.inFlight > 1 ? "hold" : "accept";
      };
      const good = await client.publish(topic, "m1");
      const poison = await client.publish(topic, "poison");
      await assert.rejects(poison.acknowledged, isError("MESSAGE_REJECTED"));
      await good.acknowledged;
      assert.equal(client.status.rejected, 1);
    }),
  ));

test("a gateway that is down, or that holds messages and closes the connection, gets no message rejected", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder, keepaliveSeconds: 1 }, async (client) => {
      let rounds = 0;
      brokers.current.judge = () => {
        rounds += 1;
        // A close later than a quarter of the keep alive is not taken for a refusal.
        if (rounds <= 6) setTimeout(() => brokers.current.cutConnections(), 300);
        return rounds <= 6 ? "lose" : "accept";
      };
      const [acknowledged] = await publishAll(client, ["m1"]);
      await acknowledged;
      assert.equal(client.status.rejected, 0);
      assert.ok(client.status.connects >= 7);
    }),
  ));

test("wrong credentials are reported and tried again: CONNECT_REFUSED", () =>
  withFolder(async (folder) => {
    await brokers.current.stop();
    await brokers.current.start({ credentials: { username: "d1", password: "right" } });
    const credentials = { username: "d1", password: "wrong" };
    await withClient(brokers.current, { folder, ...credentials }, async (client) => {
      const [{ error }] = await once(client, "disconnected");
      assert.ok(isError("CONNECT_REFUSED")(error));
      assert.deepEqual(error.details, { returnCode: 4 });
      assert.doesNotMatch(JSON.stringify(error) + error.message, /wrong[^.]*"|right/);
      await once(client, "disconnected");
    });
    await withClient(
      brokers.current,
      { folder, ...credentials, password: Buffer.from("right") },
      async (client) => {
        await Promise.all(await publishAll(client, ["m1"]));
      },
    );
  }));

test("if the rejected store can't be written, the message stays in the outbox: OUTBOX_WRITE_FAILED", () =>
  withFolder((folder) =>
    withClient(brokers.current, { folder }, async (client) => {
      const rejectedFolder = join(folder, "outbox", "rejected");
      rmSync(rejectedFolder, { recursive: true });
      brokers.current.judge = () => "close";
      const { acknowledged } = await client.publish(topic, "poison");
      const [warning] = await once(client, "warning");
      assert.ok(isError("OUTBOX_WRITE_FAILED")(warning));
      assert.equal(client.status.messages, 1);
      mkdirSync(rejectedFolder);
      await assert.rejects(acknowledged, isError("MESSAGE_REJECTED"));
      assert.equal(client.status.messages, 0);
    }),
  ));
