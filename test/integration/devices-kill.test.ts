import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { DeviceClient } from "../../devices/index.ts";
import { decodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";
import { withFolder } from "../support/devices/power-cut.ts";
import { TestBroker } from "../support/devices/test-broker.ts";
import { programArguments } from "../support/programs.ts";

const program = programArguments("test/support/devices/publishing-process.ts");

function startPublisher(url: string, folder: string, name: string): ChildProcess {
  return spawn(process.execPath, [...program, url, folder, name], {
    stdio: ["pipe", "pipe", "inherit"],
  });
}

/**
 * Lets the process publish until it has reported `count` messages, then kills it. Adds all reported messages,
 * up to the last complete line.
 */
async function publishUntilKilled(
  child: ChildProcess,
  count: number,
  resolved: Map<string, string>,
): Promise<void> {
  assert.ok(child.stdout);
  let told = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [id = "", text = "", end] = line.split(" ");
    // The kill may cut the last line.
    if (end !== ".") continue;
    assert.ok(!resolved.has(id), "an id was assigned twice");
    resolved.set(id, text);
    told += 1;
    if (told === count) child.kill("SIGKILL");
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  assert.equal(child.signalCode, "SIGKILL");
}

test("kill -9 of a publishing process: every message whose publish resolved arrives, and no id is used for two messages", () =>
  withFolder(async (folder) => {
    const broker = await new TestBroker().start();
    try {
      const resolved = new Map<string, string>();
      const outbox = join(folder, "outbox");
      for (const [round, count] of [150, 1, 400].entries()) {
        // In the second round the broker receives messages and never acknowledges them.
        broker.judge = () => (round === 1 ? "hold" : "accept");
        await publishUntilKilled(startPublisher(broker.url, outbox, `r${round}`), count, resolved);
      }
      broker.judge = () => "accept";
      const client = await DeviceClient.open({
        url: broker.url,
        clientId: "killed",
        outbox: { folder: outbox },
      });
      assert.deepEqual(await client.close({ drainTimeoutMs: 60_000 }), { remaining: 0 });

      const arrived = new Map<string, string>();
      for (const { payload } of broker.kept) {
        const envelope = decodeEnvelope(payload);
        const id = Buffer.from(envelope.messageId).toString("hex");
        const text = Buffer.from(envelope.payload).toString();
        assert.equal(arrived.get(id) ?? text, text, `${id} was used for two messages`);
        arrived.set(id, text);
      }
      for (const [id, text] of resolved) assert.equal(arrived.get(id), text, `${text} was lost`);
      assert.equal(new Set(arrived.values()).size, arrived.size, "one message has two ids");
      const lanes = new Map<string, number>();
      for (const text of arrived.values()) {
        const [, lane = "", index] = /^(.*)\.(\d+)$/.exec(text) ?? [];
        assert.ok(Number(index) > (lanes.get(lane) ?? 0), `${text} is out of order`);
        lanes.set(lane, Number(index));
      }
    } finally {
      await broker.stop();
    }
  }));

test("the outbox of a living process is refused to another, which gets it once the first one is killed", () =>
  withFolder(async (folder) => {
    const broker = await new TestBroker().start();
    try {
      const child = startPublisher(broker.url, folder, "only");
      const told = new Map<string, string>();
      const killed = publishUntilKilled(child, Number.POSITIVE_INFINITY, told);
      await broker.until(() => broker.kept.length > 0);
      const open = () =>
        DeviceClient.open({ url: broker.url, clientId: "second", outbox: { folder, maxBytes: 262_144 } });
      await assert.rejects(open(), { code: "OUTBOX_LOCKED" });
      child.kill("SIGKILL");
      await killed;
      const client = await open();
      await client.close({ drainTimeoutMs: 0 });
    } finally {
      await broker.stop();
    }
  }));
