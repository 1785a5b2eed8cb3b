import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import type { Redis } from "ioredis";
import { pino } from "pino";
import type { DedupWindow } from "../../bridge/lake/window/dedup-window.ts";
import { recordsOf } from "../../bridge/lake/window/redis/record-columns.ts";
import { windowScripts } from "../../bridge/lake/window/redis/window-scripts.ts";
import { windowEntries, windowKeys } from "../contract/dedup-window-contract.ts";
import { RedisServer } from "../support/redis-server.ts";
import { openTestWindow, windowKeyOf } from "../support/redis-windows.ts";
import { longestWaitMs } from "../support/until.ts";

const baseMs = 1_700_000_000_000;
const baseSeconds = baseMs / 1000;
const idsOf = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${name}-${index}`);
const step = (from: string, to: string, seconds = 0) => ({ from, to, streamTimeMs: baseMs + seconds * 1000 });

async function start(window: DedupWindow, partition: number): Promise<void> {
  await window.beginSeed(partition, "t");
  assert.ok(await window.endSeed(partition, "t", { chunks: 0, applied: "p0", streamTimeMs: baseMs }));
}

async function knownCount(window: DedupWindow, partition: number, applied: string, ids: readonly string[]) {
  const hits = await window.lookup(partition, applied, windowKeys(...ids));
  assert.ok(hits, `the window is not at ${applied}`);
  return hits.expiresAtSeconds.filter((expiry) => expiry > 0).length;
}

describe("the window in Redis", { concurrency: false }, () => {
  let server: RedisServer;
  let client: Redis;
  let window: DedupWindow;
  let partition = -1;
  before(async () => {
    server = await RedisServer.start();
    client = server.client();
    window = await openTestWindow(server);
  });
  after(async () => {
    await window.close();
    client.disconnect();
    await server.destroy();
  });

  const { apply, seed, forget } = windowScripts({ mayExceedMemory: false });
  const applyPart = (index: number, isLast: boolean, ids: readonly string[], token = "one") => {
    const args = ["p0", "p1", baseSeconds, token, index, isLast ? 1 : 0];
    const records = recordsOf(windowEntries(ids), 0, ids.length);
    return client.eval(apply.source, 1, windowKeyOf(partition), ...args, records, "");
  };
  const seedPart = (token: string, reached: string, next: string, ids: readonly string[]) => {
    const records = recordsOf(windowEntries(ids), 0, ids.length);
    return client.eval(seed.source, 1, windowKeyOf(partition), token, reached, next, records, "");
  };
  const rollBackTo = async (copy: Buffer | null) => {
    assert.ok(copy);
    await client.restore(windowKeyOf(partition), 0, copy, "REPLACE");
  };

  test("an interrupted apply leaves the window between two commits: no lookup works, and the same commit can be applied again", async () => {
    await start(window, ++partition);
    assert.equal(await applyPart(0, false, idsOf("a", 5)), 1);
    assert.equal(await window.lookup(partition, "p0", windowKeys("a-0")), null);
    assert.equal(
      await window.applied(partition, "p1"),
      "p0",
      "if the lake has the commit, it is applied again",
    );
    assert.equal(
      await window.applied(partition, "p0"),
      null,
      "if the lake lacks the commit, the window is seeded",
    );
    assert.equal(await window.apply(partition, step("p0", "p1"), windowEntries(idsOf("a", 2000))), true);
    assert.equal(await knownCount(window, partition, "p1", idsOf("a", 2000)), 2000);
    assert.equal((await window.status()).ids, 2000, "an id that was added twice counts once");
  });

  test("after a roll-back between two parts of an apply, the rest is refused", async () => {
    await start(window, ++partition);
    await applyPart(0, false, ["a"]);
    const copy = await client.dumpBuffer(windowKeyOf(partition));
    await applyPart(1, false, ["b"]);
    await rollBackTo(copy);
    assert.equal(await applyPart(2, true, ["c"]), 0);
    assert.equal(await window.applied(partition, "p1"), "p0");
  });

  test("an apply that another apply interrupted is refused", async () => {
    await start(window, ++partition);
    await applyPart(0, false, ["a"], "one");
    await applyPart(0, false, ["a"], "other");
    assert.equal(await applyPart(1, true, ["b"], "one"), 0);
    assert.equal(await applyPart(1, true, ["b"], "other"), 1);
    assert.equal(await knownCount(window, partition, "p1", ["a", "b"]), 2);
  });

  test("after a roll-back between two parts of a chunk of a seeding, the rest is refused", async () => {
    await window.beginSeed(++partition, "t");
    assert.equal(await seedPart("t", "0:0", "0:1", ["a"]), 1);
    const copy = await client.dumpBuffer(windowKeyOf(partition));
    assert.equal(await seedPart("t", "0:1", "0:2", ["b"]), 1);
    await rollBackTo(copy);
    assert.equal(await seedPart("t", "0:2", "1:0", ["c"]), 0);
    const end = { chunks: 1, applied: "p0", streamTimeMs: baseMs };
    assert.equal(await window.endSeed(partition, "t", end), false);
  });

  test("of two clients that apply large commits from one position, at most one moves it, and all ids of that commit are known", async (context) => {
    await start(window, ++partition);
    const other = await openTestWindow(server);
    context.after(() => other.close());
    const [left, right] = [idsOf("left", 20_000), idsOf("right", 20_000)];
    const outcomes = await Promise.all([
      window.apply(partition, step("p0", "left"), windowEntries(left)),
      other.apply(partition, step("p0", "right"), windowEntries(right)),
    ]);
    assert.ok(outcomes.filter(Boolean).length <= 1);
    if (!outcomes.includes(true))
      assert.ok(await window.apply(partition, step("p0", "left"), windowEntries(left)));
    const winner = outcomes[1] ? "right" : "left";
    assert.equal(await knownCount(window, partition, winner, winner === "left" ? left : right), 20_000);
  });

  test("ids are still found while buckets split and merge, and memory is freed", async () => {
    await start(window, ++partition);
    const keys = await client.dbsize();
    const emptyBytes = (await client.memory("USAGE", windowKeyOf(partition), "SAMPLES", 0)) ?? 0;
    const lasting = windowEntries(idsOf("lasting", 500), { expiresAtSeconds: baseSeconds + 90_000 });
    await window.apply(partition, step("p0", "p1"), lasting);
    const burst = windowEntries(idsOf("burst", 60_000), { expiresAtSeconds: baseSeconds + 600 });
    await window.apply(partition, step("p1", "p2", 1), burst);
    assert.equal(await knownCount(window, partition, "p2", idsOf("burst", 60_000)), 60_000);
    const fullBytes = (await client.memory("USAGE", windowKeyOf(partition), "SAMPLES", 0)) ?? 0;
    assert.ok(fullBytes < 60_500 * 31 + emptyBytes, `${fullBytes / 60_500} bytes per id`);
    for (let turn = 0; turn < 20; turn++)
      await window.apply(partition, step(`p${turn + 2}`, `p${turn + 3}`, 600 + 60 * turn), windowEntries([]));
    assert.equal(await knownCount(window, partition, "p22", idsOf("lasting", 500)), 500);
    assert.equal(await client.hget(windowKeyOf(partition), "i"), "500");
    const bytes = (await client.memory("USAGE", windowKeyOf(partition), "SAMPLES", 0)) ?? 0;
    assert.ok(bytes < 500 * 48 + emptyBytes, `${bytes} bytes are left`);
    assert.equal(await client.dbsize(), keys, "one key per partition");
  });

  test("bytes that look like a key but span two fields of a record are not taken for a key", async () => {
    await start(window, ++partition);
    const [known, alike] = [Buffer.alloc(12), Buffer.alloc(12)];
    known[11] = 1;
    alike[10] = 1;
    const entries = (key: Buffer) => ({ ...windowEntries(["a"], { contentHash: 0 }), keys: key });
    await window.apply(partition, step("p0", "p1"), entries(known));
    assert.deepEqual([...((await window.lookup(partition, "p1", alike))?.expiresAtSeconds ?? [])], [0]);
    await window.apply(partition, step("p1", "p2"), entries(alike));
    const hits = await window.lookup(partition, "p2", Buffer.concat([known, alike]));
    assert.ok(hits?.expiresAtSeconds.every((expiry) => expiry > 0));
  });

  test("a server that lost its scripts gets them again", async () => {
    await start(window, ++partition);
    await client.script("FLUSH");
    assert.equal(await window.apply(partition, step("p0", "p1"), windowEntries(idsOf("a", 5000))), true);
    await client.script("FLUSH");
    assert.equal(await knownCount(window, partition, "p1", idsOf("a", 5000)), 5000);
  });

  test("a key of another application under our name is REDIS_KEY_TYPE, and stays unchanged", async () => {
    partition += 1;
    const key = windowKeyOf(partition);
    const isForeign = { code: "REDIS_KEY_TYPE", retryable: false };
    await client.set(key, "mine");
    await assert.rejects(window.applied(partition, ""), isForeign);
    await assert.rejects(window.lookup(partition, "", windowKeys("a")), isForeign);
    await assert.rejects(window.beginSeed(partition, "t"), isForeign);
    await client.del(key);
    await client.hset(key, "field", "mine");
    assert.equal(await window.applied(partition, ""), null);
    await assert.rejects(window.beginSeed(partition, "t"), isForeign);
    assert.equal(await client.hget(key, "field"), "mine");
    await client.del(key);
  });

  test("a window of another layout, such as that of version 0.1.0, is not used, and is seeded again", async () => {
    await start(window, ++partition);
    await client.hset(windowKeyOf(partition), "v", "1");
    assert.equal(await window.applied(partition, "p1"), null);
    assert.equal(await window.lookup(partition, "p0", windowKeys("a")), null);
    assert.equal(await window.apply(partition, step("p0", "p1"), windowEntries(["a"])), false);
    await start(window, partition);
    assert.equal(await window.apply(partition, step("p0", "p1"), windowEntries(["a"])), true);
  });

  test("after a roll-back, the window forgets nothing by the time of a commit that it lacks", async () => {
    await start(window, ++partition);
    await window.apply(partition, step("p0", "p1"), windowEntries(["a"]));
    const isDue = 1;
    const forgetBy = async (position: string) =>
      client.eval(forget.source, 1, windowKeyOf(partition), position, baseSeconds + 90_000, isDue);
    assert.deepEqual(await forgetBy("p2"), [0, 0]);
    assert.equal(await knownCount(window, partition, "p1", ["a"]), 1);
    await forgetBy("p1");
    assert.equal(await knownCount(window, partition, "p1", ["a"]), 0);
  });

  test("a lost window is detected", async () => {
    await start(window, ++partition);
    await client.flushall();
    assert.equal(await window.lookup(partition, "p0", windowKeys("a")), null);
    assert.equal(await window.apply(partition, step("p0", "p1"), windowEntries(["a"])), false);
    assert.equal(await window.applied(partition, "p0"), null);
    await start(window, partition);
    assert.equal(await knownCount(window, partition, "p0", ["a"]), 0);
  });

  test("a server that does not answer is REDIS_UNAVAILABLE after the deadline, and is used again once it answers", async (context) => {
    const hasty = await openTestWindow(server, { timeoutMs: 300 });
    context.after(() => hasty.close());
    await start(hasty, ++partition);
    server.pause();
    const isUnavailable = { code: "REDIS_UNAVAILABLE", retryable: true };
    await assert.rejects(
      hasty.apply(partition, step("p0", "p1"), windowEntries(idsOf("a", 5000))),
      isUnavailable,
    );
    server.resume();
    const outcome = await untilAnswered(async () => {
      const applied = await hasty.applied(partition, "p1");
      return applied === "p1" || hasty.apply(partition, step("p0", "p1"), windowEntries(idsOf("a", 5000)));
    });
    assert.equal(outcome, true);
    assert.equal(await knownCount(hasty, partition, "p1", idsOf("a", 5000)), 5000);
  });
});

/** A server for this test only, which ends with the test, and so do its connections. */
async function ownServer(context: TestContext, settings: Readonly<Record<string, string>>) {
  const server = await RedisServer.start(settings);
  context.after(() => server.destroy());
  const client = server.client();
  client.on("error", () => {});
  context.after(() => client.disconnect());
  const open = async (options: Parameters<typeof openTestWindow>[1] = {}) => {
    const window = await openTestWindow(server, options);
    context.after(() => window.close());
    return window;
  };
  return { server, client, open };
}

/** Retries the call, which fails until the connection is there again. */
async function untilAnswered<Result>(call: () => Promise<Result>): Promise<Result> {
  for (const endMs = performance.now() + longestWaitMs; ; )
    try {
      return await call();
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

for (const [kept, settings] of [
  [true, { appendonly: "yes", appendfsync: "always" }],
  [false, { appendonly: "no" }],
] as const)
  test(`after kill -9 of a server that keeps ${kept ? "a" : "no"} file the window is ${kept ? "still there" : "detected as lost"}`, async (context) => {
    const { server, open } = await ownServer(context, settings);
    const window = await open();
    await start(window, 0);
    await window.apply(0, step("p0", "p1"), windowEntries(idsOf("a", 5000)));
    await server.kill();
    await server.start();
    const applied = await untilAnswered(() => window.applied(0, "p1"));
    assert.equal(applied, kept ? "p1" : null);
    if (kept) assert.equal(await knownCount(window, 0, "p1", idsOf("a", 5000)), 5000);
    else assert.equal(await window.lookup(0, "p1", windowKeys("a-0")), null);
  });

test("a server at its memory limit is REDIS_FULL: only expired ids are forgotten, which frees memory", async (context) => {
  const { client, open } = await ownServer(context, { appendonly: "no" });
  const window = await open();
  await start(window, 0);
  const mortal = windowEntries(idsOf("mortal", 40_000), { expiresAtSeconds: baseSeconds + 60 });
  await window.apply(0, step("p0", "p1"), mortal);
  const used = Number(/used_memory:(\d+)/.exec(await client.info("memory"))?.[1]);
  await client.config("SET", "maxmemory", String(used - 200_000));
  const more = windowEntries(idsOf("more", 1000));
  const isFull = { code: "REDIS_FULL", retryable: true };
  await assert.rejects(window.apply(0, step("p1", "p2", 30), more), isFull);
  assert.equal(await knownCount(window, 0, "p1", idsOf("mortal", 40_000)), 40_000);
  await assert.rejects(window.apply(0, step("p1", "p2", 60), more), isFull);
  assert.equal(await window.apply(0, step("p1", "p2", 60), more), true, "the expired ids freed memory");
  assert.equal((await window.status()).ids, 1000);

  await client.config("SET", "maxmemory", "1");
  await assert.rejects(window.apply(0, step("p2", "p3", 61), more), isFull);
  const shared = await open({ isSharedWithStream: true });
  assert.equal(
    await shared.apply(0, step("p2", "p3", 61), more),
    true,
    "an apply succeeds at the limit, so that the stream can be trimmed",
  );
  await assert.rejects(shared.seed(0, "t", 0, more), isFull);
});

test("a policy that may evict the window is REDIS_UNSUPPORTED at start, and is logged at run time", async (context) => {
  const { client, open } = await ownServer(context, { "maxmemory-policy": "allkeys-lru" });
  await assert.rejects(open(), {
    code: "REDIS_UNSUPPORTED",
    message: /CONFIG SET maxmemory-policy noeviction/,
  });
  await client.config("SET", "maxmemory-policy", "volatile-lru");
  const events: string[] = [];
  const logger = pino({ base: null }, { write: (line: string) => events.push(JSON.parse(line).event) });
  let nowMs = 0;
  const window = await open({ logger, monotonicMs: () => nowMs });
  await client.config("SET", "maxmemory-policy", "allkeys-random");
  await start(window, 0);
  await window.apply(0, step("p0", "p1"), windowEntries(["a"]));
  assert.deepEqual(events, [], "the policy is checked once a minute");
  nowMs = 60_000;
  assert.equal(await window.apply(0, step("p1", "p2"), windowEntries(["b"])), true);
  assert.deepEqual(events, ["window.redis.unsupported"]);
});
