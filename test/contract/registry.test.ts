import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pino } from "pino";
import { connectRedis, parseRedisUrl } from "../../bridge/redis/index.ts";
import { newDeviceRecord } from "../../gateway/registry/device-record.ts";
import { keepReconciled } from "../../gateway/registry/keep-reconciled.ts";
import { LmdbRegistry } from "../../gateway/registry/lmdb-registry.ts";
import { reconcileTopics } from "../../gateway/registry/reconcile-topics.ts";
import { RedisRegistry } from "../../gateway/registry/redis/redis-registry.ts";
import type { RegistryStore } from "../../gateway/registry/registry-store.ts";
import { Topics } from "../../gateway/registry/topics.ts";
import { MemoryTopicArchive } from "../support/memory-topic-archive.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";
import { registryContract, topicRecord } from "./registry-contract.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-registry-"));
const stores: RegistryStore[] = [];
let server: RedisServer;
let cluster: RedisCluster;
before(async () => {
  server = await RedisServer.start({ appendfsync: "no" });
  cluster = await RedisCluster.start({ appendfsync: "no" });
});
after(async () => {
  for (const store of stores) await store.close();
  await cluster.destroy();
  await server.destroy();
  rmSync(root, { recursive: true, force: true });
});

function kept<Store extends RegistryStore>(store: Store): Store {
  stores.push(store);
  return store;
}

registryContract("lmdb", async () => {
  const folder = mkdtempSync(join(root, "lmdb-"));
  const store = kept(await LmdbRegistry.openForWriting(folder));
  return {
    store,
    openReader: async () => kept(LmdbRegistry.openForReading(folder)),
    reopen: async () => {
      await store.close();
      stores.splice(stores.indexOf(store), 1);
      return kept(await LmdbRegistry.openForWriting(folder));
    },
  };
});

const lake = { lakeId: "lake-1", url: "file:///srv/lake" };
let prefixes = 0;
const newPrefix = () => `test${prefixes++}`;

interface Place {
  readonly url: string;
}

async function connection(prefix: string, on: Place = server) {
  const logger = pino({ level: "silent" });
  const target = parseRedisUrl(on.url);
  const client = await connectRedis(target, { name: "test", timeoutMs: 5_000, logger, random: Math.random });
  return { client, prefix, logger, now: Date.now, pollMs: 50 };
}

async function openShared(prefix: string, on?: Place): Promise<RedisRegistry> {
  return kept((await RedisRegistry.openForWriting(await connection(prefix, on), lake)).registry);
}

const openReader = async (prefix: string, on?: Place) =>
  kept(await RedisRegistry.openForReading(await connection(prefix, on)));

registryContract("redis", async () => {
  const prefix = newPrefix();
  const store = await openShared(prefix);
  return { store, openReader: () => openReader(prefix), reopen: () => openShared(prefix) };
});

registryContract("redis cluster", async () => {
  const prefix = newPrefix();
  const store = await openShared(prefix, cluster);
  return {
    store,
    openReader: () => openReader(prefix, cluster),
    reopen: () => openShared(prefix, cluster),
  };
});

function administration(store: RegistryStore, archive: MemoryTopicArchive): Topics {
  return new Topics({
    store,
    archive,
    now: () => 1,
    packetMaxBytes: 262_144,
    plainFilters: [],
    changed: async () => {},
  });
}

async function addDevice(store: RegistryStore, name: string): Promise<void> {
  await store.addDevice((await newDeviceRecord({ name }, 1)).record);
}

describe("a registry that gateways share", () => {
  test("the other gateways soon learn of a new topic and a removal, and report them", async () => {
    const prefix = newPrefix();
    const [ours, theirs] = [await openShared(prefix), await openShared(prefix)];
    const heard: string[] = [];
    theirs.listen({
      topicsChanged: () => heard.push("topics"),
      deviceRevoked: (name) => heard.push(`revoked ${name}`),
      identitiesInDoubt: () => heard.push("doubt"),
    });
    await administration(ours, new MemoryTopicArchive()).create({
      name: "engine",
      filter: "engine/{device}",
      format: "json",
    });
    await until("the topic is known", () => theirs.allTopics().length === 1);
    await addDevice(ours, "d1");
    await ours.removeDevice("d1");
    await until("the removal is reported", () => heard.includes("revoked d1"));
    assert.deepEqual(heard, ["topics", "revoked d1"]);
  });

  test("if administrators create rival topics on several gateways at once, exactly one wins, in registry and lake", async () => {
    const prefix = newPrefix();
    const archive = new MemoryTopicArchive();
    const admins: Topics[] = [];
    for (let gateway = 0; gateway < 3; gateway++)
      admins.push(administration(await openShared(prefix), archive));
    for (let round = 0; round < 20; round++) {
      const outcomes = await Promise.allSettled(
        admins.map((admin, index) =>
          admin.create({ name: `n${round}_${index}`, filter: `r${round}/{x${index}}`, format: "raw" }),
        ),
      );
      const refused = outcomes.flatMap((outcome) =>
        outcome.status === "rejected" ? [outcome.reason.code] : [],
      );
      assert.deepEqual(refused, ["TOPIC_AMBIGUOUS", "TOPIC_AMBIGUOUS"]);
    }
    const same = await Promise.all(
      admins.map((admin) => admin.create({ name: "same", filter: "same/{d}", format: "raw" })),
    );
    assert.deepEqual(same.map(({ created }) => created).sort(), [false, false, true]);
    const store = await openReader(prefix);
    assert.equal(store.allTopics().length, 21);
    assert.equal(archive.records.size, 21, "the loser leaves nothing in the lake");
    assert.deepEqual(await reconcileTopics(store, archive), { imported: 0, exported: 0 });
  });

  test("a version whose administrator died before writing it to the lake is published by the next change or start", async () => {
    for (const next of ["change", "start"]) {
      const prefix = newPrefix();
      const archive = new MemoryTopicArchive();
      const dead = await openShared(prefix);
      await dead.reserveTopics([topicRecord("left")], dead.topicsVersion);
      const store = await openShared(prefix);
      if (next === "start") await reconcileTopics(store, archive);
      else
        await assert.rejects(
          administration(store, archive).create({ name: "rival", filter: "left/{x}", format: "raw" }),
          { code: "TOPIC_AMBIGUOUS" },
        );
      assert.deepEqual([...archive.records.keys()], ["id-left/1"]);
      assert.deepEqual(store.allTopics(), [topicRecord("left")]);
    }
  });

  test("if gateways start together on a lake with topics, the topics are imported once", async () => {
    const prefix = newPrefix();
    const archive = new MemoryTopicArchive();
    for (const name of ["a", "b", "c"]) await archive.write(topicRecord(name));
    const shared = await Promise.all([openShared(prefix), openShared(prefix), openShared(prefix)]);
    const done = await Promise.all(shared.map((store) => reconcileTopics(store, archive)));
    assert.equal(
      done.reduce((sum, { imported }) => sum + imported, 0),
      3,
    );
    for (const store of shared) {
      await store.refresh();
      assert.equal(store.allTopics().length, 3);
    }
  });

  test("gateways of another lake, and a registry of a newer version, are refused; another prefix is another registry", async () => {
    const prefix = newPrefix();
    await openShared(prefix);
    const other = { lakeId: "lake-2", url: "file:///srv/other" };
    await assert.rejects(RedisRegistry.openForWriting(await connection(prefix), other), {
      code: "REGISTRY_LAKE",
      message: /file:\/\/\/srv\/lake.*--lake/,
    });
    const client = server.client();
    await client.hset(`${prefix}:{registry}:facts`, "format", "9");
    client.disconnect();
    await assert.rejects(openShared(prefix), { code: "REGISTRY_VERSION" });
    await assert.rejects(openReader(newPrefix()), { code: "REGISTRY_LOST" });
  });

  test("a foreign key in place of the registry is reported", async () => {
    const prefix = newPrefix();
    const client = server.client();
    await client.set(`${prefix}:{registry}:facts`, "theirs");
    client.disconnect();
    await assert.rejects(openShared(prefix), { code: "REDIS_KEY_TYPE" });
  });

  test("if an older copy replaces a registry, missing topics come back from the lake while gateways run", async () => {
    const prefix = newPrefix();
    const archive = new MemoryTopicArchive();
    const store = await openShared(prefix);
    keepReconciled(store, archive, pino({ level: "silent" }));
    const topics = administration(store, archive);
    await topics.create({ name: "old", filter: "old/{d}", format: "raw" });
    const { topic } = await topics.create({ name: "new", filter: "new/{d}", format: "raw" });
    // Lower numbers than the known ones reveal a loss.
    await until("both are known", () => store.allTopics().length === 2);
    const client = server.client();
    await client
      .multi()
      .hdel(`${prefix}:{registry}:topics`, `${topic.topicId}/1`)
      .hincrby(`${prefix}:{registry}:facts`, "changes", -1)
      .exec();
    let kept = 0;
    const count = setInterval(async () => {
      kept = await client.hlen(`${prefix}:{registry}:topics`);
    }, 20);
    await until("the topic is back", () => kept === 2).finally(() => clearInterval(count));
    client.disconnect();
    assert.equal((await openReader(prefix)).allTopics().length, 2);
  });

  test("a cut log, and a replaced registry, put every identity in doubt", async () => {
    const prefix = newPrefix();
    const ours = await openShared(prefix);
    const theirs = await openReader(prefix);
    let doubts = 0;
    theirs.listen({ identitiesInDoubt: () => doubts++ });
    await addDevice(ours, "d1");
    const client = server.client();
    const changes = `${prefix}:{registry}:changes`;
    await client.multi().hincrby(`${prefix}:{registry}:facts`, "changes", 2).del(changes).exec();
    await until("the cut is detected", () => doubts === 1);
    await client.del(`${prefix}:{registry}:facts`);
    await openShared(prefix);
    await until("the replacement is detected", () => doubts === 2);
    client.disconnect();
  });

  test("a log with a gap or without its beginning, and another registry with the same numbers, put every identity in doubt", async () => {
    const client = server.client();
    const revoked = (number: number) => [`${number}-0`, "revoked", `d${number}`] as const;
    const doubtful = {
      hole: (facts: string, changes: string, known: number) =>
        client
          .multi()
          .hincrby(facts, "changes", 3)
          .xadd(changes, ...revoked(known + 1))
          .xadd(changes, ...revoked(known + 3)),
      front: (facts: string, changes: string, known: number) =>
        client
          .multi()
          .hincrby(facts, "changes", 2)
          .xadd(changes, ...revoked(known + 2)),
      epoch: (facts: string) => client.multi().hset(facts, "epoch", "f".repeat(16)),
    };
    try {
      for (const [what, change] of Object.entries(doubtful)) {
        const prefix = newPrefix();
        const [ours, theirs] = [await openShared(prefix), await openReader(prefix)];
        const heard: string[] = [];
        theirs.listen({
          deviceRevoked: (name) => heard.push(name),
          identitiesInDoubt: () => heard.push("doubt"),
        });
        await addDevice(ours, "d1");
        await ours.removeDevice("d1");
        await until("the removal is reported", () => heard.length === 1);
        await change(`${prefix}:{registry}:facts`, `${prefix}:{registry}:changes`, 1).exec();
        await until(`the ${what} is detected`, () => heard.length === 2);
        assert.deepEqual(heard, ["d1", "doubt"]);
      }
    } finally {
      client.disconnect();
    }
  });
});

describe("a registry whose Redis is unreachable", () => {
  test("the known topics stay, identities can't be looked up, and missed changes are reported afterwards", async () => {
    const own = await RedisServer.start();
    try {
      const [ours, theirs] = [await openShared("p", own), await openReader("p", own)];
      const revoked: string[] = [];
      theirs.listen({ deviceRevoked: (name) => revoked.push(name) });
      await administration(ours, new MemoryTopicArchive()).create({
        name: "a",
        filter: "a/{d}",
        format: "raw",
      });
      await addDevice(ours, "d1");
      await until("the topic is known", () => theirs.allTopics().length === 1);
      await own.kill();
      await until("the outage is in the status", () => theirs.status().trouble?.code === "REDIS_UNAVAILABLE");
      assert.equal(theirs.allTopics().length, 1);
      await assert.rejects(theirs.device("d1"), { code: "REDIS_UNAVAILABLE", retryable: true });
      await own.start();
      const admin = await openShared("p", own);
      assert.equal((await admin.device("d1"))?.name, "d1");
      await admin.removeDevice("d1");
      await until("the removal is reported", () => revoked.length > 0);
      assert.deepEqual(revoked, ["d1"]);
      assert.equal(theirs.status().trouble, null);
    } finally {
      await own.destroy();
    }
  });

  test("an emptied Redis is REGISTRY_LOST: the known topics stay, and a client with a key is neither admitted nor refused as wrong", async () => {
    const own = await RedisServer.start();
    try {
      const store = await openShared("p", own);
      await administration(store, new MemoryTopicArchive()).create({
        name: "a",
        filter: "a/{d}",
        format: "raw",
      });
      await addDevice(store, "d1");
      const client = own.client();
      await client.flushall();
      client.disconnect();
      await until("the loss is in the status", () => store.status().trouble?.code === "REGISTRY_LOST");
      assert.equal(store.allTopics().length, 1);
      await assert.rejects(store.device("d1"), { code: "REGISTRY_LOST", retryable: true });
      await assert.rejects(addDevice(store, "d2"), { code: "REGISTRY_LOST" });
    } finally {
      await own.destroy();
    }
  });
});
