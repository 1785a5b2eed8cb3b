import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import { Registry } from "prom-client";
import { nextPressure, worstPressure } from "../../bridge/streams/redis/memory-pressure.ts";
import type { RedisStream } from "../../bridge/streams/redis/redis-stream.ts";
import type { Position } from "../../bridge/streams/stream-log.ts";
import { RedisServer } from "../support/redis-server.ts";
import { block, everything, newTestStream, startStreamServer } from "../support/redis-stream.ts";
import { mountSmallDisk } from "../support/small-disk.ts";
import { until } from "../support/until.ts";

const mib = 1024 * 1024;
const bigBlock = new Uint8Array(mib / 4);

const { server, admin } = await startStreamServer();

beforeEach(async () => {
  await admin.config("SET", "maxmemory", String(24 * mib));
  await admin.flushall();
  await admin.config("RESETSTAT");
});

/** Appends until an append is held back. Returns the positions, and the code of the refusal. */
async function fill(stream: RedisStream): Promise<{ positions: Position[]; code: string }> {
  const positions: Position[] = [];
  for (;;) {
    try {
      positions.push(await stream.append(0, bigBlock));
    } catch (error) {
      const { code = "", retryable } = error as { code?: string; retryable?: boolean };
      assert.equal(retryable, true);
      return { positions, code };
    }
  }
}

test("thresholds of memory: 70 % warns, 80 % holds, 90 % refuses; each state ends 5 points below its threshold", () => {
  const limits = { memoryWarn: 0.7, memoryHold: 0.8, memoryRefuse: 0.9 };
  const path: [share: number, step: string][] = [
    [0.5, "none"],
    [0.7, "warn"],
    [0.66, "warn"],
    [0.64, "none"],
    [0.95, "refuse"],
    [0.86, "refuse"],
    [0.84, "hold"],
    [0.76, "hold"],
    [0.74, "warn"],
    [0.1, "none"],
  ];
  let step = nextPressure("none", 0, limits);
  for (const [share, expected] of path) {
    step = nextPressure(step, share, limits);
    assert.equal(step, expected, `at ${share}`);
  }
  assert.equal(worstPressure(["warn", "refuse", "none"]), "refuse");
  assert.equal(worstPressure([]), "none");
});

test("a full server holds appends as STREAM_FULL before it is out of memory, and accepts them again after a trim", async () => {
  const { stream } = await newTestStream(server.url);
  const { positions, code } = await fill(stream);
  assert.equal(code, "STREAM_FULL");
  assert.equal(stream.pressure(), "hold");
  await until("the server was checked", () => stream.status().usedBytes > 17 * mib);
  const { usedBytes, maxBytes } = stream.status();
  assert.ok(usedBytes < maxBytes * 0.9, `${usedBytes} of ${maxBytes}`);
  await stream.trim(0, positions.at(-3) ?? "");
  await until("there is room again", () => stream.pressure() === "none");
  await stream.append(0, bigBlock);
  assert.equal((await stream.read(0, positions.at(-3) ?? "", everything)).length, 3);
  await stream.close();
});

test("blocks count as they are appended, not only at checks of the server", async () => {
  const { stream } = await newTestStream(server.url, { checkMs: 3_600_000 });
  await fill(stream);
  assert.match(stream.status().held?.message ?? "", /above 80 %, messages wait/);
  assert.doesNotMatch(await admin.info("errorstats"), /errorstat_OOM/);
  await stream.close();
});

test("memory of other users counts: above 90 % brokers refuse, and recover by themselves", async () => {
  const registry = new Registry();
  const { stream } = await newTestStream(server.url, { registry });
  await admin.set("somebody's", Buffer.alloc(4 * mib));
  const used = Number(/used_memory:(\d+)/.exec(await admin.info("memory"))?.[1]);
  await admin.config("SET", "maxmemory", String(Math.round(used / 0.94)));
  await until("it refuses", () => stream.pressure() === "refuse");
  await assert.rejects(stream.append(0, block(1)), { code: "STREAM_FULL", message: /CONFIG SET maxmemory/ });
  assert.match(await registry.metrics(), /tidegate_stream_redis_pressure 3/);
  assert.match(await registry.metrics(), /tidegate_stream_redis_append_failures_total{code="STREAM_FULL"} 1/);
  await admin.del("somebody's");
  await until("the refusal has ended", () => stream.pressure() === "none");
  await stream.append(0, block(2));
  assert.match(await registry.metrics(), /tidegate_stream_redis_appended_blocks_total 1/);
  await stream.close();
});

test("without maxmemory the limit is redis.maxBytes, and the status shows that", async () => {
  await admin.config("SET", "maxmemory", "0");
  const { stream } = await newTestStream(server.url, { maxBytes: 16 * mib });
  const { positions, code } = await fill(stream);
  assert.equal(code, "STREAM_FULL");
  assert.ok(positions.length > 20 && positions.length < 60, `${positions.length}`);
  assert.equal(stream.status().maxBytes, 16 * mib);
  await stream.close();
});

test("OOM and MISCONF answers are STREAM_FULL, and retryable", async () => {
  const { stream } = await newTestStream(server.url, { checkMs: 3_600_000 });
  await stream.append(0, block(1));
  await admin.config("SET", "maxmemory", String(mib));
  await assert.rejects(stream.append(0, block(2)), { code: "STREAM_FULL", retryable: true, message: /OOM/ });
  await admin.config("SET", "maxmemory", String(24 * mib));
  await stream.append(0, block(3));
  // A snapshot that can't be stored in its place makes the server refuse writes.
  const snapshot = join(server.folder, "dump.rdb");
  mkdirSync(join(snapshot, "in-the-way"), { recursive: true });
  await admin.config("SET", "save", "3600 1000000");
  await admin.bgsave();
  await until("the snapshot has failed", async () =>
    /rdb_last_bgsave_status:err/.test(await admin.info("persistence")),
  );
  await assert.rejects(stream.append(0, block(4)), {
    code: "STREAM_FULL",
    retryable: true,
    message: /MISCONF/,
  });
  await admin.config("SET", "save", "");
  rmdirSync(join(snapshot, "in-the-way"));
  rmdirSync(snapshot);
  await stream.append(0, block(5));
  const values = (await stream.read(0, "", everything)).map((entry) => entry.block[0]);
  assert.deepEqual(values, [1, 3, 5]);
  await stream.close();
});

test("a server with a full disk stops; after a restart with free space, confirmed blocks are there", async (context) => {
  const disk = mountSmallDisk(8 * mib);
  if ("reason" in disk) return context.skip(disk.reason);
  const small = await RedisServer.start({ dir: disk.path });
  try {
    const { stream } = await newTestStream(small.url);
    const { positions, code } = await fill(stream);
    assert.ok(positions.length > 10 && code === "REDIS_UNAVAILABLE", `${positions.length} ${code}`);
    spawnSync("mount", ["-o", `remount,size=${64 * mib}`, disk.path]);
    await small.start();
    await until("the stream is back", () => stream.status().held === null);
    positions.push(await stream.append(0, bigBlock));
    const stored = new Set((await stream.read(0, "", everything)).map(({ position }) => position));
    assert.deepEqual(
      positions.filter((position) => !stored.has(position)),
      [],
    );
    await stream.close();
  } finally {
    await small.destroy();
    disk.unmount();
  }
});
