import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Cluster } from "ioredis";
import { connectRedis } from "../../bridge/redis/redis-connection.ts";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { RedisServer } from "../support/redis-server.ts";
import { silentLogger } from "../support/test-lake.ts";
import { until } from "../support/until.ts";

const options = { name: "test", timeoutMs: 1_000, logger: silentLogger, random: Math.random };

test("a Redis URL names server, database, credentials and prefix; an invalid one is REDIS_URL_INVALID", () => {
  const target = parseRedisUrl("rediss://fleet:se%20cret@[::1]:7000/3?prefix=plant-7");
  assert.deepEqual(target, {
    host: "::1",
    port: 7000,
    db: 3,
    username: "fleet",
    password: "se cret",
    tls: true,
    caFile: undefined,
    isCluster: false,
    prefix: "plant-7",
  });
  assert.equal(parseRedisUrl("redis://example").port, 6379);
  const faulty = [
    "redis:",
    "http://x",
    "redis://x/one",
    "redis://x?prefix={a}",
    "redis://x/1?cluster=true",
    "redis://x?cluster=maybe",
  ];
  for (const url of [...faulty, "redis://u:secret@x?what=1"])
    assert.throws(
      () => parseRedisUrl(url),
      (error: Error & { code?: string }) =>
        error.code === "REDIS_URL_INVALID" && !error.message.includes("secret"),
      url,
    );
});

test("calls fail at once while the server is unreachable, and work again by themselves: REDIS_UNAVAILABLE", async () => {
  const server = await RedisServer.start();
  const client = await connectRedis(parseRedisUrl(server.url), options);
  try {
    assert.equal(await client.ping(), "PONG");
    await server.kill();
    await assert.rejects(client.ping());
    await assert.rejects(connectRedis(parseRedisUrl(server.url), options), { code: "REDIS_UNAVAILABLE" });
    await server.start();
    // Calls fail at once; without a pause this loop would block all other work.
    while ((await client.ping().catch(() => null)) !== "PONG") await delay(20);
  } finally {
    client.disconnect();
    await server.destroy();
  }
});

test("a wrong password, and a missing one, are REDIS_DENIED", async () => {
  const server = await RedisServer.start({ requirepass: "right" });
  try {
    for (const credentials of ["", ":wrong@"])
      await assert.rejects(
        connectRedis(parseRedisUrl(`redis://${credentials}127.0.0.1:${server.port}`), options),
        { code: "REDIS_DENIED" },
      );
    const client = await connectRedis(parseRedisUrl(`redis://:right@127.0.0.1:${server.port}`), options);
    assert.equal(await client.ping(), "PONG");
    client.disconnect();
  } finally {
    await server.destroy();
  }
});

test("a server that is named as a cluster but is none is REDIS_UNSUPPORTED, and without its password REDIS_DENIED", async () => {
  const server = await RedisServer.start();
  const locked = await RedisServer.start({ requirepass: "secret" });
  try {
    const asCluster = (url: string) => connectRedis(parseRedisUrl(`${url}?cluster=true`), options);
    await assert.rejects(asCluster(server.url), { code: "REDIS_UNSUPPORTED", message: /`cluster=true`/ });
    await assert.rejects(asCluster(locked.url), { code: "REDIS_DENIED", message: /NOAUTH/ });
  } finally {
    await server.destroy();
    await locked.destroy();
  }
});

test("if a server does not speak TLS on the named port, the error says that TLS was tried", async () => {
  const server = await RedisServer.start();
  try {
    const target = parseRedisUrl(server.url.replace("redis://", "rediss://"));
    await assert.rejects(connectRedis(target, options), { code: "REDIS_UNAVAILABLE", message: /over TLS/ });
  } finally {
    await server.destroy();
  }
});

test("a server older than 7.0 is REDIS_UNSUPPORTED", async () => {
  const old = createServer((socket) => {
    const info = "# Server\r\nredis_version:6.2.14\r\n";
    socket.on("data", (data) => {
      const commands = data.toString().match(/\*\d+\r\n/g) ?? [];
      for (const _ of commands) socket.write(`$${info.length}\r\n${info}\r\n`);
    });
  }).listen(0, "127.0.0.1");
  await once(old, "listening");
  const { port } = old.address() as AddressInfo;
  try {
    await assert.rejects(connectRedis(parseRedisUrl(`redis://127.0.0.1:${port}`), options), {
      code: "REDIS_UNSUPPORTED",
    });
  } finally {
    old.close();
  }
});

test("a database that the server lacks is REDIS_URL_INVALID, and database 0 is not used instead", async () => {
  const server = await RedisServer.start({ databases: "4" });
  try {
    const connect = (db: number) =>
      connectRedis(parseRedisUrl(`redis://127.0.0.1:${server.port}/${db}`), options);
    (await connect(3)).disconnect();
    await assert.rejects(connect(4), { code: "REDIS_URL_INVALID", message: /no database 4/ });
  } finally {
    await server.destroy();
  }
});

test("a cluster's client sends calls for all nodes at once, and an unreachable node does not affect calls to the others", async (t) => {
  // Otherwise the remaining nodes refuse all calls once they detect the loss: after two seconds, or sooner
  // than this test can ask.
  const coverage = "cluster-require-full-coverage";
  const cluster = await RedisCluster.start({ [coverage]: "no" });
  t.after(() => cluster.destroy());
  // Enough keys that each node holds some.
  const keys = Array.from({ length: 24 }, (_, index) => `key-${index}`);
  const nodes = await Promise.all(keys.map((key) => cluster.nodeOf(key)));
  assert.equal(new Set(nodes).size, 3);
  const failedCalls = async () => {
    const client = await connectRedis(parseRedisUrl(cluster.url), options);
    const calls = await Promise.allSettled(keys.map((key) => client.incr(key)));
    client.disconnect();
    return keys.filter((_, index) => calls[index]?.status === "rejected");
  };
  assert.deepEqual(await failedCalls(), []);
  await cluster.servers[1]?.kill();
  const onLost = keys.filter((_, index) => nodes[index] === 1);
  // The node that is asked first is chosen at random.
  for (let time = 0; time < 10; time++) assert.deepEqual(await failedCalls(), onLost);
  const admins = [0, 2].flatMap((index) => cluster.servers[index]?.client() ?? []);
  t.after(() => admins.map((admin) => admin.disconnect()));
  for (const admin of admins) {
    await admin.config("SET", coverage, "yes");
    // A server that knows of the node's loss reads the setting only when slots change, or seem to change.
    await admin.call("cluster", "setslot", 0, "stable");
  }
  await until("the cluster refuses calls", async () => {
    const states = await Promise.all(admins.map((admin) => admin.call("cluster", "info")));
    return states.every((state) => /cluster_state:fail/.test(String(state)));
  });
  await assert.rejects(failedCalls(), { code: "REDIS_UNAVAILABLE", message: /CLUSTER INFO/ });
  for (const server of cluster.servers) await server.kill();
  await assert.rejects(failedCalls(), { code: "REDIS_UNAVAILABLE" });
});

test("a client of a cluster learns without a call that slots have moved", async (t) => {
  const cluster = await RedisCluster.start();
  t.after(() => cluster.destroy());
  const client = await connectRedis(parseRedisUrl(cluster.url), options);
  t.after(() => client.disconnect());
  assert.ok(client instanceof Cluster);
  const slot = 0;
  const [from, to] = cluster.servers;
  const masterOf = () => client.slots[slot]?.[0];
  assert.equal(masterOf(), `127.0.0.1:${from?.port}`);
  const admins = cluster.servers.map((server) => server.client());
  t.after(() => {
    for (const admin of admins) admin.disconnect();
  });
  const newOwner = String(await admins[1]?.call("cluster", "myid"));
  for (const admin of admins) await admin.call("cluster", "setslot", slot, "node", newOwner);
  await until("the client knows the new owner of the slot", () => masterOf() === `127.0.0.1:${to?.port}`);
});

test("a client of a cluster that is closed during its request for the slots leaves nothing that keeps the process alive", async (t) => {
  const cluster = await RedisCluster.start();
  t.after(() => cluster.destroy());
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const before = timers();
  const client = await connectRedis(parseRedisUrl(cluster.url), options);
  for (const server of cluster.servers) server.pause();
  // Longer than the pause between two requests for the slots; the current one ends with its time-out.
  await delay(1_500);
  client.disconnect();
  for (const server of cluster.servers) server.resume();
  // Closing connections have timers of their own for a while.
  await until("no timers are left", () => timers() <= before);
});
