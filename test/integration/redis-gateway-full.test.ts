import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { statusOf } from "../support/gateway-books.ts";
import { isAlive } from "../support/gateway-process.ts";
import { RawMqtt } from "../support/raw-mqtt.ts";
import { RedisServer } from "../support/redis-server.ts";
import type { RunningFleet } from "../support/running-fleet.ts";
import { SharedGateways } from "../support/shared-gateways.ts";
import { mountSmallDisk } from "../support/small-disk.ts";

const mib = 1024 * 1024;
/** MQTT: server unavailable. */
const unavailable = 3;

interface Running {
  readonly server: RedisServer;
  readonly gateways: SharedGateways;
}

/** Two gateways; only the stream's Redis is small. */
async function start(
  context: TestContext,
  settings: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<Running> {
  const open: { destroy(): Promise<void> }[] = [];
  context.after(async () => {
    for (const each of open.reverse()) await each.destroy();
  });
  const [server, window] = await Promise.all([RedisServer.start(settings), RedisServer.start()]);
  open.push(server, window);
  const environment = { TIDEGATE_CONSUMER_RETRY_MAX_MS: "500" };
  const urls = ["--stream", server.url, "--window", window.url];
  const gateways = await SharedGateways.start(2, [...urls, ...flags], { environment });
  open.push(gateways);
  return { server, gateways };
}

const isUnready = async (gateways: SharedGateways, reason: RegExp): Promise<void> => {
  for (const gateway of gateways.all)
    await gateway.until(`/readyz says ${reason}`, async () => {
      const answer = await fetch(`${gateway.httpUrl}/readyz`);
      return answer.status === 503 && reason.test(await answer.text());
    });
};

async function assertConnectRefused({ gateways }: Running): Promise<void> {
  for (const gateway of gateways.all) {
    await gateway.until(
      "new clients are refused",
      async () => (await statusOf(gateway)).broker?.isOpen === false,
    );
    const client = await RawMqtt.connected(gateway.mqttPort);
    assert.deepEqual(
      client.of("connack").map((packet) => (packet as { returnCode?: number }).returnCode),
      [unavailable],
    );
    client.end();
  }
}

async function assertFiledOnce(gateways: SharedGateways, fleet: RunningFleet): Promise<void> {
  const total = await fleet.finish();
  const { stored, lost, duplicated, phantom, altered } = await gateways.audit(fleet.ledger);
  assert.deepEqual([stored, lost, duplicated, phantom, altered], [total, 0, 0, 0, 0]);
  for (const { books, processes } of await gateways.statuses()) {
    assert.equal(books?.isBalanced, true);
    assert.deepEqual(
      processes.map(({ restarts }) => restarts),
      [0, 0, 0],
      "no process ended",
    );
  }
}

/**
 * Makes the folder readable but not writable. Returns a way to end that, or the reason why it is impossible
 * here.
 */
function makeReadOnly(folder: string): { restore: () => void } | { reason: string } {
  const bound = spawnSync("mount", ["--bind", folder, folder], { encoding: "utf8" });
  if (bound.status !== 0) return { reason: `cannot mount: ${(bound.stderr ?? "").trim()}` };
  const restore = () => void spawnSync("umount", ["--lazy", folder]);
  const { status, stderr } = spawnSync("mount", ["-o", "remount,bind,ro", folder], { encoding: "utf8" });
  if (status === 0) return { restore };
  restore();
  return { reason: `cannot mount read-only: ${stderr.trim()}` };
}

test("a lake that can't be written fills Redis with blocks, and foreign keys fill the rest: messages are held, then refused, then all recovers", async (context) => {
  const running = await start(context, { maxmemory: "12mb" });
  const { server, gateways } = running;
  const admin = server.client();
  context.after(() => admin.disconnect());
  const lake = makeReadOnly(join(gateways.folder, "lake"));
  if ("reason" in lake) return context.skip(lake.reason);
  // Twice the amount that fits into Redis.
  const [rate, durationS] = [250, 6];
  const planned = rate * durationS;
  let fleet: RunningFleet;
  try {
    fleet = gateways.fleet({ rate, durationS, payloadBytes: 16_384 });
    await isUnready(gateways, /STREAM_FULL.*above 80 %/);
    const held = await gateways.acknowledged();
    assert.ok(held > 0 && held < planned, `${held} acknowledged`);
    const full = async () => {
      for (let key = 0; ; key++) await admin.set(`somebody's-${key}`, Buffer.alloc(mib / 4));
    };
    await assert.rejects(full(), /^ReplyError: OOM/);
    await assertConnectRefused(running);
    assert.equal(await gateways.acknowledged(), held);
  } finally {
    lake.restore();
  }
  for (const gateway of gateways.all)
    await gateway.until("trimming makes room", async () => (await statusOf(gateway)).broker?.isOpen === true);
  for (const key of await admin.keys("somebody's-*")) await admin.unlink(key);
  for (const gateway of gateways.all) await gateway.waitUntilReady();
  assert.equal((await fleet.summary()).acked, planned);
  await assertFiledOnce(gateways, fleet);
});

test("foreign keys that fill the stream's Redis hold acknowledgements and refuse connections until they are deleted", async (context) => {
  const running = await start(context, { maxmemory: "12mb" });
  const { server, gateways } = running;
  const admin = server.client();
  context.after(() => admin.disconnect());
  const rate = 200;
  const fleet = gateways.fleet({ rate });
  await gateways.untilAcknowledged(rate);
  const full = async () => {
    for (let key = 0; ; key++) await admin.set(`somebody's-${key}`, Buffer.alloc(mib / 4));
  };
  await assert.rejects(full(), /^ReplyError: OOM/);
  await isUnready(gateways, /STREAM_FULL/);
  await assertConnectRefused(running);
  for (const key of await admin.keys("somebody's-*")) await admin.unlink(key);
  for (const gateway of gateways.all) await gateway.waitUntilReady();
  await assertFiledOnce(gateways, fleet);
});

test("a full disk under the stream's Redis ends that server; after a restart with free space, everything resumes by itself", async (context) => {
  const disk = mountSmallDisk(16 * mib);
  if ("reason" in disk) return context.skip(disk.reason);
  context.after(() => disk.unmount());
  const { server, gateways } = await start(context, { dir: disk.path });
  const { pid } = server;
  const rate = 200;
  const fleet = gateways.fleet({ rate, payloadBytes: 4_096 });
  await gateways.untilAcknowledged(rate / 2);
  const fill = spawnSync("dd", ["if=/dev/zero", `of=${join(disk.path, "ballast")}`, "bs=4096"]);
  assert.notEqual(fill.status, 0, "the disk is full");
  await gateways.at(0).until("redis-server has ended", () => !isAlive(pid));
  await isUnready(gateways, /REDIS_UNAVAILABLE/);
  spawnSync("mount", ["-o", `remount,size=${64 * mib}`, disk.path]);
  await server.start();
  for (const gateway of gateways.all) await gateway.waitUntilReady();
  await assertFiledOnce(gateways, fleet);
});
