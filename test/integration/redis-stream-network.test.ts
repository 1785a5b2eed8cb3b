import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { RedisTarget } from "../../bridge/redis/redis-url.ts";
import type { RedisStream, RedisStreamOptions } from "../../bridge/streams/redis/redis-stream.ts";
import { FaultProxy } from "../../simulator/prove/under-test/fault-proxy.ts";
import { RedisServer } from "../support/redis-server.ts";
import {
  block,
  closeTestStreams,
  everything,
  newTestStream,
  openTestStream,
} from "../support/redis-stream.ts";
import { until } from "../support/until.ts";

let server: RedisServer;
let proxy: FaultProxy;

before(async () => {
  server = await RedisServer.start();
  proxy = await FaultProxy.start(server.port);
});

after(async () => {
  await closeTestStreams();
  await proxy.close();
  await server.destroy();
});

/** A stream that is reached through the proxy, and one that bypasses the proxy. */
async function throughProxy(
  options: Partial<RedisStreamOptions> = {},
): Promise<{ target: RedisTarget; stream: RedisStream; direct: RedisStream }> {
  proxy.set("pass");
  proxy.delay(0);
  const { target, stream: direct } = await newTestStream(server.url, { partitions: 2 });
  const stream = await openTestStream({ ...target, port: proxy.port }, options);
  return { target, stream, direct };
}

async function valuesOf(stream: RedisStream, partition = 0): Promise<number[]> {
  return (await stream.read(partition, "", everything)).map((entry) => entry.block[0] ?? -1);
}

for (const fault of ["cut", "reset"] as const) {
  test(`a connection that is ${fault} during appends: each append is settled, and the stream sends none twice by itself`, async () => {
    const { stream, direct } = await throughProxy();
    await stream.append(0, block(9));
    proxy.set("swallow-replies");
    const appends = [0, 1, 0].map((partition, value) => stream.append(partition, block(value)));
    const outcomes = Promise.allSettled(appends);
    await until("the server has the first block", async () => (await valuesOf(direct, 1)).length === 1);
    proxy[fault]();
    proxy.set("pass");
    for (const outcome of await outcomes) {
      assert.equal(outcome.status, "rejected");
      assert.deepEqual([outcome.reason.code, outcome.reason.retryable], ["REDIS_UNAVAILABLE", true]);
      assert.doesNotMatch(outcome.reason.message, /timed out|not answered/);
    }
    await until("the stream is back", () => stream.status().held === null);
    await stream.append(0, block(3));
    const first = await valuesOf(direct);
    assert.deepEqual([first, await valuesOf(direct, 1)], [[9, 0, 2, 3], [1]]);
    await stream.close();
    await direct.close();
  });
}

test("if a network accepts and never answers, every call ends, and the stream recovers by itself", async () => {
  const { stream, direct } = await throughProxy();
  await stream.append(0, block(0));
  proxy.set("hold");
  const failures = await Promise.all([
    stream.append(0, block(1)).catch((error: unknown) => error),
    stream.append(1, block(2)).catch((error: unknown) => error),
    stream.read(0, "", everything).catch((error: unknown) => error),
    stream.trim(0, "").catch((error: unknown) => error),
    stream.partitionState(0).catch((error: unknown) => error),
  ]);
  for (const failure of failures) assert.equal((failure as { code?: string }).code, "REDIS_UNAVAILABLE");
  // Calls of this time fail as well, while the new connections hang.
  await assert.rejects(stream.append(0, block(3)), { code: "REDIS_UNAVAILABLE", retryable: true });
  proxy.set("pass");
  await until("the stream is back", () =>
    stream.append(0, block(4)).then(
      () => true,
      () => false,
    ),
  );
  const values = await valuesOf(direct);
  assert.deepEqual([values[0], values.at(-1)], [0, 4]);
  assert.equal(values.length, new Set(values).size, `sent twice: ${values}`);
  await stream.close();
  await direct.close();
});

test("a connection that hangs for ever is replaced by a new one", async () => {
  const { stream, direct } = await throughProxy();
  await stream.append(0, block(0));
  proxy.hang();
  await assert.rejects(stream.append(0, block(1)), { code: "REDIS_UNAVAILABLE" });
  await until("the stream is back", () =>
    stream.append(0, block(2)).then(
      () => true,
      () => false,
    ),
  );
  assert.deepEqual(await valuesOf(direct), [0, 2]);
  await stream.close();
  await direct.close();
});

test("a slow connection is no fault, and keeps the order", async () => {
  const { stream, direct } = await throughProxy();
  proxy.delay(60);
  await Promise.all([0, 1, 2].map((value) => stream.append(0, block(value))));
  assert.deepEqual(await valuesOf(direct), [0, 1, 2]);
  proxy.delay(0);
  await stream.close();
  await direct.close();
});

test("a paused server (SIGSTOP) makes calls fail in time, and acknowledged blocks are there afterwards", async () => {
  const { stream } = await newTestStream(server.url);
  await stream.append(0, block(0));
  server.pause();
  await assert.rejects(stream.append(0, block(1)), { code: "REDIS_UNAVAILABLE", retryable: true });
  await assert.rejects(stream.append(0, block(2)), { retryable: true });
  server.resume();
  await until("the stream is back", () => stream.status().held === null);
  await stream.append(0, block(3));
  const values = await valuesOf(stream);
  assert.deepEqual([values[0], values.at(-1)], [0, 3]);
  await stream.close();
});

test("memory stays bounded while the server is unreachable: appends reject instead of queueing", async () => {
  const { stream } = await throughProxy();
  proxy.set("hold");
  proxy.cut();
  await until("the outage is detected", () => !stream.status().isConnected);
  for (let round = 0; round < 50; round++) {
    const sent = proxy.sentBytes;
    await assert.rejects(stream.append(0, new Uint8Array(100_000)), { retryable: true });
    assert.ok(proxy.sentBytes - sent < 100_000);
  }
  proxy.set("pass");
  await until("the stream is back", () => stream.status().held === null);
  await stream.append(0, block(1));
  assert.deepEqual(await valuesOf(stream), [1]);
  await stream.close();
});

test("a wait ends at once if the stream is closed, if there is nothing to wait for, and if blocks come", async () => {
  const { stream, direct } = await throughProxy();
  await stream.read(0, "", everything);
  await stream.read(1, "", everything);
  const woken = stream.waitForAppend(60_000);
  await direct.append(1, block(1));
  await woken;
  proxy.set("hold");
  await stream.waitForAppend(30);
  proxy.cut();
  await stream.waitForAppend(30);
  proxy.set("pass");
  await until("the stream is back", () => stream.status().isConnected);
  await stream.read(1, "", everything);
  const closing = stream.waitForAppend(60_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await stream.close();
  await closing;
  await direct.close();
});

test("a reader that waits for some partitions does not wake for others", async () => {
  const { stream, direct } = await throughProxy();
  await stream.read(0, "", everything);
  let isAwake = false;
  const waiting = stream.waitForAppend(60_000, [0]).then(() => {
    isAwake = true;
  });
  await direct.append(1, block(1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(isAwake, false);
  await direct.append(0, block(2));
  await waiting;
  await stream.close();
  await direct.close();
});

test("many blocks of 900 KB are read a few at a time", async () => {
  const { stream, direct } = await throughProxy();
  const big = new Uint8Array(921_600);
  for (let index = 0; index < 12; index++) await stream.append(0, big);
  const limits = { maxBytes: 2_000_000, maxEntries: 1000 };
  let from = "";
  for (let read = 0; read < 12; ) {
    const entries = await direct.read(0, from, limits);
    assert.ok(entries.length >= 1 && entries.length <= 2);
    read += entries.length;
    from = entries.at(-1)?.position ?? "";
  }
  await stream.close();
  await direct.close();
});
