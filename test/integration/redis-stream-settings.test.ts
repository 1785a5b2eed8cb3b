import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createRedisStream, startNewRedisStream } from "../../bridge/streams/redis/create-stream.ts";
import { lakeWith } from "../support/lake-state.ts";
import { RedisServer } from "../support/redis-server.ts";
import {
  block,
  everything,
  freshTarget,
  newTestStream,
  openTestStream,
  startStreamServer,
  timeoutMs,
} from "../support/redis-stream.ts";
import { silentLogger } from "../support/test-lake.ts";
import { until } from "../support/until.ts";

const { server, admin } = await startStreamServer({ "repl-diskless-sync-delay": "0" });

const settings: readonly [name: string, harmful: string, mended: string, loses: RegExp][] = [
  ["appendonly", "no", "yes", /all data since its last snapshot/],
  ["appendfsync", "everysec", "always", /last seconds/],
  ["no-appendfsync-on-rewrite", "yes", "no", /rewrite of the file/],
  ["maxmemory-policy", "allkeys-lru", "noeviction", /it deletes blocks/],
];

for (const [name, harmful, mended, loses] of settings) {
  test(`${name} ${harmful} is REDIS_UNSUPPORTED at start, with the possible loss and the fix`, async () => {
    const { target, stream } = await newTestStream(server.url);
    await stream.close();
    await admin.config("SET", name, harmful);
    try {
      await assert.rejects(
        openTestStream(target),
        (error: Error & { code?: string; retryable?: boolean }) => {
          assert.deepEqual([error.code, error.retryable], ["REDIS_UNSUPPORTED", false]);
          assert.match(error.message, loses);
          assert.ok(error.message.includes(`CONFIG SET ${name} ${mended}`), error.message);
          return true;
        },
      );
      const relaxed = await openTestStream(target, { durability: "relaxed" });
      await relaxed.append(0, block(1));
      assert.equal(relaxed.status().durability, "relaxed");
      assert.match(relaxed.status().faults.join(), loses);
      await relaxed.close();
      const reader = await openTestStream(target, { mode: "read" });
      assert.equal((await reader.read(0, "", everything)).length, 1);
      await reader.close();
    } finally {
      await admin.config("SET", name, mended);
      await until("the server is durable again", async () => {
        const info = await admin.info("persistence");
        return /aof_rewrite_in_progress:0/.test(info) && /aof_rewrite_scheduled:0/.test(info);
      });
    }
  });

  test(`${name} ${harmful} set at run time holds appends until it is corrected`, async () => {
    const { stream } = await newTestStream(server.url);
    await stream.append(0, block(1));
    await admin.config("SET", name, harmful);
    await until("the stream detects the setting", () => stream.status().held !== null);
    await assert.rejects(stream.append(0, block(2)), { code: "REDIS_UNSUPPORTED", retryable: true });
    await admin.config("SET", name, mended);
    await until("the stream detects the correction", () => stream.status().held === null);
    await stream.append(0, block(3));
    assert.deepEqual(
      (await stream.read(0, "", everything)).map((entry) => [...entry.block]),
      [[1], [3]],
    );
    await stream.close();
  });
}

test("an append-only file that is switched on counts once its first version is complete", async () => {
  const { stream } = await newTestStream(server.url);
  await admin.config("SET", "appendonly", "no");
  await until("the stream detects the setting", () => stream.status().held !== null);
  for (let key = 0; key < 300; key++) await admin.set(`filler-${key}`, "x");
  // Writing 300 keys takes 2 ms each.
  await admin.config("SET", "rdb-key-save-delay", "2000");
  await admin.config("SET", "appendonly", "yes");
  await until("the stream detects the unfinished file", () =>
    /first append-only file/.test(stream.status().faults.join()),
  );
  await assert.rejects(stream.append(0, block(1)), { code: "REDIS_UNSUPPORTED", retryable: true });
  await until("the file is complete", () => stream.status().held === null);
  assert.match(await admin.info("persistence"), /aof_rewrite_in_progress:0/);
  await admin.config("SET", "rdb-key-save-delay", "0");
  await stream.append(0, block(2));
  await stream.close();
});

test("if the user may not read the settings, the error names the right to grant", async () => {
  const { target, stream } = await newTestStream(server.url);
  await stream.close();
  await admin.acl("SETUSER", "fleet", "on", ">secret", "~*", "+@all", "-config");
  const asFleet = { ...target, username: "fleet", password: "secret" };
  await assert.rejects(openTestStream(asFleet), {
    code: "REDIS_UNSUPPORTED",
    message: /ACL SETUSER fleet \+config\|get/,
  });
  await admin.acl("SETUSER", "fleet", "+config|get");
  const allowed = await openTestStream(asFleet);
  await allowed.append(0, block(1));
  await admin.acl("SETUSER", "fleet", "-config|get");
  await until("the stream detects the missing right", () => allowed.status().held !== null);
  await admin.acl("SETUSER", "fleet", "+config|get", "-xadd");
  await until("the stream detects the new right", () => allowed.status().held === null);
  await assert.rejects(allowed.append(0, block(2)), { code: "REDIS_DENIED" });
  await allowed.close();
});

test("the rights that docs/operating/redis.md lists are enough", async () => {
  const target = { ...freshTarget(server.url), username: "least", password: "secret" };
  const page = readFileSync(join(import.meta.dirname, "../../docs/operating/redis.md"), "utf8");
  const rights = /^~<prefix>:\* (.+)$/m.exec(page)?.[1]?.split(" ") ?? [];
  await admin.acl("SETUSER", "least", "on", ">secret", `~${target.prefix}:*`, ...rights);
  await createRedisStream({ target, partitionCount: 1, timeoutMs, logger: silentLogger });
  const stream = await openTestStream(target);
  await stream.read(0, "", everything);
  const woken = stream.waitForAppend(60_000);
  const position = await stream.append(0, block(1));
  await woken;
  await stream.trim(0, position);
  await stream.close();
  const loadLake = async () => lakeWith({});
  const renewed = { target, partitionCount: 1, timeoutMs, logger: silentLogger, loadLake };
  assert.equal(
    (await startNewRedisStream(renewed)).unread,
    null,
    "the only block is trimmed, and in no lake",
  );
});

test("a replica is refused, and a master that became one holds appends", async () => {
  const { target, stream } = await newTestStream(server.url);
  const replica = await RedisServer.start({
    replicaof: `127.0.0.1 ${server.port}`,
    "repl-diskless-sync-delay": "0",
  });
  const replicaAdmin = replica.client();
  try {
    await until(
      "the replica has the stream",
      async () => (await replicaAdmin.exists(`${target.prefix}:stream`)) === 1,
    );
    await assert.rejects(openTestStream({ ...target, port: replica.port }), {
      code: "REDIS_UNSUPPORTED",
      message: /is a replica/,
    });
    await admin.replicaof("127.0.0.1", replica.port);
    await until("the stream detects the replica", () => stream.status().held !== null);
    await assert.rejects(stream.append(0, block(1)), { retryable: true });
    await admin.replicaof("NO", "ONE");
    await until("the master is back", () => stream.status().held === null);
    await stream.append(0, block(2));
  } finally {
    await stream.close();
    replicaAdmin.disconnect();
    await replica.destroy();
  }
});

test("blocks on too few replicas are not acknowledged", async () => {
  const { stream } = await newTestStream(server.url, { replicas: 1 });
  await assert.rejects(stream.append(0, block(1)), { code: "REDIS_UNAVAILABLE", message: /0 of 1 replicas/ });
  const replica = await RedisServer.start({ replicaof: `127.0.0.1 ${server.port}` });
  try {
    await until("the replica follows", async () => (await admin.wait(1, 100)) >= 1);
    // A replica on a busy disk may need longer than a call waits; then the same block is sent again.
    await until("the block is confirmed", () =>
      stream.append(0, block(2)).then(
        () => true,
        ({ code }: { code?: string }) => {
          assert.equal(code, "REDIS_UNAVAILABLE");
          return false;
        },
      ),
    );
  } finally {
    await stream.close();
    await replica.destroy();
  }
});

test("two processes that create a stream at once get the same one; another number of partitions is STREAM_PARTITIONS", async () => {
  const target = freshTarget(server.url);
  const create = (partitionCount: number) =>
    createRedisStream({ target, partitionCount, timeoutMs, logger: silentLogger });
  await assert.rejects(openTestStream(target), { code: "STREAM_MISSING", retryable: true });
  const records = await Promise.all(Array.from({ length: 5 }, () => create(3)));
  assert.equal(new Set(records.map(({ streamId }) => streamId)).size, 1);
  await assert.rejects(create(4), {
    code: "STREAM_PARTITIONS",
    message: /has 3 partitions.*tidegate stream new/,
  });
  await assert.rejects(openTestStream(target, { partitionCount: 4 }), { code: "STREAM_PARTITIONS" });
  const stream = await openTestStream(target, { partitionCount: 3 });
  await stream.append(2, block(1));
  await stream.close();
});

test("a stream whose creator died half-way is completed by the next process", async () => {
  const target = freshTarget(server.url);
  const create = () => createRedisStream({ target, partitionCount: 2, timeoutMs, logger: silentLogger });
  const { streamId } = await create();
  await admin.hset(`${target.prefix}:stream`, "ready", "0");
  await admin.del(`${target.prefix}:{${streamId}/1}:log`, `${target.prefix}:{${streamId}/1}:state`);
  await assert.rejects(openTestStream(target), { code: "STREAM_MISSING" });
  assert.equal((await create()).streamId, streamId);
  const stream = await openTestStream(target);
  await stream.append(1, block(1));
  await stream.close();
});

test("a key of another type under our name, a hash of another application, and a newer format are refused", async () => {
  const target = freshTarget(server.url);
  const key = `${target.prefix}:stream`;
  const attempts: readonly (() => Promise<unknown>)[] = [
    () => createRedisStream({ target, partitionCount: 2, timeoutMs, logger: silentLogger }),
    () => openTestStream(target),
  ];
  await admin.set(key, "somebody's");
  for (const attempt of attempts) await assert.rejects(attempt(), { code: "REDIS_KEY_TYPE" });
  await admin.del(key);
  await admin.hset(key, "name", "somebody's");
  for (const attempt of attempts)
    await assert.rejects(attempt(), { code: "STREAM_DAMAGED", message: /another application.*\?prefix=/ });
  assert.deepEqual(await admin.hgetall(key), { name: "somebody's" });
  await admin.hset(key, "format", "2");
  for (const attempt of attempts) await assert.rejects(attempt(), { code: "STREAM_VERSION" });
});
