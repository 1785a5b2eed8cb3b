import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import type { Redis } from "ioredis";
import { BridgeError } from "../../bridge/errors.ts";
import { FaultProxy } from "../../simulator/prove/under-test/fault-proxy.ts";
import { openTestLeases, PuppetProcess, testLeaseMs } from "../support/lease-processes.ts";
import { RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";

const key = "tidegate:{stream}:leases";
let server: RedisServer;
let client: Redis;
before(async () => {
  server = await RedisServer.start();
  client = server.client();
  client.on("error", () => {});
});
after(async () => {
  client.disconnect();
  await server.destroy();
});
beforeEach(() => client.flushall());

const heldBy = (leases: Awaited<ReturnType<typeof openTestLeases>>) => [...leases.held().keys()];
const dueOf = (leases: Awaited<ReturnType<typeof openTestLeases>>) =>
  [...leases.held()].filter(([, { isDue }]) => isDue).map(([partition]) => partition);
const owners = (leases: Awaited<ReturnType<typeof openTestLeases>>) =>
  leases.status().partitions.map(({ owner }) => owner);

describe("distribution of partitions", () => {
  /** Lets all processes renew and hand over until nothing changes any more. */
  async function settle(processes: readonly PuppetProcess[]): Promise<void> {
    for (let turn = 0; turn < 3; turn++)
      for (const process of processes) {
        await process.ask("renew");
        if (process.due.length > 0) await process.ask("renew", process.due);
      }
  }
  const shares = (processes: readonly PuppetProcess[]) => processes.map(({ owned }) => owned);

  test("each process gets its share; a new process gets only the surplus of the others, and nothing else moves", async () => {
    const [a, b, c] = ["a", "b", "c"].map(
      (name) => new PuppetProcess(client, name, { partitions: [0, 1, 2, 3, 4, 5, 6] }),
    );
    assert.ok(a && b && c);
    await a.ask("join");
    assert.deepEqual(a.owned, [0, 1, 2, 3, 4, 5, 6]);
    await b.ask("join");
    assert.deepEqual(b.owned, []);
    assert.equal(b.table?.waiting, 3);
    await a.ask("renew");
    assert.equal(a.due.length, 3);
    await settle([a, b]);
    assert.deepEqual(shares([a, b]), [
      [0, 1, 2, 3],
      [4, 5, 6],
    ]);
    await c.ask("join");
    await settle([a, b, c]);
    assert.deepEqual(shares([a, b, c]), [
      [0, 1, 2],
      [4, 5],
      [3, 6],
    ]);
  });

  test("if partitions do not divide evenly, the process that already has one more keeps it, whatever its name", async () => {
    const [z, a] = ["z", "a"].map((name) => new PuppetProcess(client, name, { partitions: [0, 1, 2, 3, 4] }));
    assert.ok(z && a);
    await z.ask("join");
    await a.ask("join");
    await settle([z, a]);
    assert.deepEqual(shares([z, a]), [
      [0, 1, 2],
      [3, 4],
    ]);
  });

  test("partitions that a leaving process releases go to the others at once", async () => {
    const [a, b] = [new PuppetProcess(client, "a"), new PuppetProcess(client, "b")];
    await a.ask("join");
    await b.ask("join");
    await settle([a, b]);
    const before = b.table?.rows.get(0)?.token ?? 0;
    await a.ask("leave");
    await b.ask("renew");
    assert.deepEqual(b.owned, [0, 1, 2, 3]);
    assert.ok((b.table?.rows.get(0)?.token ?? 0) > before, "with a higher token");
  });

  test("processes that know different partitions leave each other's alone, and share those that both know", async () => {
    const a = new PuppetProcess(client, "a", { partitions: [0, 1, 2, 3] });
    const b = new PuppetProcess(client, "b", { partitions: [2, 3, 70, 71] });
    await a.ask("join");
    await b.ask("join");
    await settle([a, b]);
    await settle([a, b]);
    const owned = [...a.owned, ...b.owned];
    assert.equal(new Set(owned).size, owned.length, "no partition has two owners");
    assert.ok(a.owned.includes(0) && b.owned.includes(70), `${a.owned} and ${b.owned}`);
    const agreed = [2, 3, 70, 71];
    const later = new PuppetProcess(client, "a", { partitions: agreed });
    await later.ask("join");
    await settle([later, b]);
    await settle([later, b]);
    assert.deepEqual([...later.owned, ...b.owned].toSorted(), agreed.toSorted());
  });

  test("any sequence of joins, deaths, departures and slow hand-overs ends balanced, with rising tokens", async () => {
    const step = fc.record({
      process: fc.nat({ max: 4 }),
      act: fc.constantFrom("join", "renew", "hand over", "leave", "restart"),
    });
    const names = ["a", "b", "c", "d", "e"];
    let stream = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.array(step, { maxLength: 40 }),
        async (count, steps) => {
          const partitions = Array.from({ length: count }, (_, partition) => partition);
          const options = { streamId: `p${++stream}`, partitions, leaseMs: 60_000 };
          const processes = new Map<string, PuppetProcess>();
          const tokens = new Map<number, number>();
          for (const { process, act } of steps) {
            const name = names[process] as string;
            const found = processes.get(name);
            if (act === "leave") {
              await found?.ask("leave");
              processes.delete(name);
            } else if (!found || act === "restart") {
              const fresh = new PuppetProcess(client, name, options);
              processes.set(name, fresh);
              await fresh.ask("join");
            } else await found.ask("renew", act === "hand over" ? found.due : []);
            for (const [partition, row] of processes.get(name)?.table?.rows ?? []) {
              assert.ok(row.token >= (tokens.get(partition) ?? 0), "tokens never fall");
              assert.ok(processes.has(row.owner), "owners are alive");
              tokens.set(partition, row.token);
            }
          }
          const living = [...processes.values()];
          await settle(living);
          await settle(living);
          const sizes = living.map(({ owned }) => owned.length);
          if (living.length > 0)
            assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `balanced: ${sizes}`);
          assert.equal(
            sizes.reduce((sum, size) => sum + size, 0),
            living.length > 0 ? count : 0,
          );
          assert.equal(new Set(living.flatMap(({ owned }) => owned)).size, living.length > 0 ? count : 0);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("processes that join, leave, die and sleep", () => {
  test("two processes share the partitions; each has what the other one handed over", async () => {
    const a = await openTestLeases(server, { processName: "a" });
    assert.deepEqual(heldBy(a), [0, 1, 2, 3]);
    const b = await openTestLeases(server, { processName: "b" });
    let calls = 0;
    a.onChange(() => {
      calls += 1;
    });
    await until("process a has to hand over", () => [...a.held().values()].some(({ isDue }) => isDue));
    assert.ok(calls > 0);
    assert.deepEqual(heldBy(b), [], "partitions are not given before they are handed over");
    await a.release([2, 3]);
    assert.deepEqual(heldBy(a), [0, 1]);
    await until("b has its share", () => heldBy(b).length === 2);
    assert.deepEqual(owners(b), ["a", "a", "b", "b"]);
    assert.deepEqual(b.status().processes, ["a", "b"]);
    await a.close({ isLeaving: true });
    await until("b has all", () => heldBy(b).length === 4);
    await b.close({ isLeaving: true });
  });

  test("after an orderly end, leases are free at once, long before they would expire", async () => {
    const a = await openTestLeases(server, { processName: "a", leaseMs: 60_000 });
    const b = new PuppetProcess(client, "b");
    await b.ask("join");
    await a.close({ isLeaving: true });
    await b.ask("renew");
    assert.deepEqual(b.owned, [0, 1, 2, 3]);
    assert.deepEqual(b.table?.members, ["b"]);
  });

  test("partitions of a dead process are taken over once its lease has expired", async () => {
    const dead = new PuppetProcess(client, "dead");
    await dead.ask("join");
    const token = dead.table?.rows.get(0)?.token ?? 0;
    const me = await openTestLeases(server);
    assert.deepEqual(heldBy(me), []);
    assert.deepEqual(owners(me), ["dead", "dead", "dead", "dead"]);
    await until("all are taken over", () => heldBy(me).length === 4);
    assert.ok((me.held().get(0)?.token ?? 0) > token);
    await me.close({ isLeaving: true });
  });

  test("a process that does not hand over loses its surplus after the time of a lease", async () => {
    const stuck = new PuppetProcess(client, "a-stuck");
    await stuck.ask("join");
    const me = await openTestLeases(server);
    await until("the surplus is taken over", async () => {
      await stuck.ask("renew");
      return heldBy(me).length === 2;
    });
    assert.deepEqual(heldBy(me), [2, 3]);
    assert.deepEqual(stuck.owned, [0, 1]);
    await me.close({ isLeaving: true });
  });

  test("a process that slept does not consider itself an owner, by its own clock, before others may take over", async () => {
    let skippedMs = 0;
    const monotonicMs = () => performance.now() + skippedMs;
    const me = await openTestLeases(server, { leaseMs: 60_000, monotonicMs });
    assert.equal(heldBy(me).length, 4);
    skippedMs = 55_000;
    assert.deepEqual(heldBy(me), []);
    await me.close({ isLeaving: true });
  });

  test("a process that ends for a restart keeps its partitions until its lease expires", async () => {
    const failed = await openTestLeases(server, { processName: "failed" });
    await failed.close({ isLeaving: false });
    assert.deepEqual(heldBy(failed), []);
    const other = await openTestLeases(server, { processName: "other" });
    assert.deepEqual(heldBy(other), []);
    const restarted = await openTestLeases(server, { processName: "failed" });
    assert.ok(heldBy(restarted).length >= 2, "it inherits");
    await restarted.close({ isLeaving: false });
    await until("all partitions are taken over eventually", () => heldBy(other).length === 4);
    await other.close({ isLeaving: true });
  });

  test("a process that is cut off from the server, or from its answers, is no owner any more when another one takes over", async () => {
    const proxy = await FaultProxy.start(server.port);
    const cut = await openTestLeases({ url: `redis://127.0.0.1:${proxy.port}/0` }, { processName: "cut" });
    const other = await openTestLeases(server, { processName: "other" });
    try {
      for (const act of ["hold", "swallow-replies"] as const) {
        await until("both have their share", async () => {
          for (const each of [cut, other]) await each.release(dueOf(each));
          return heldBy(cut).length === 2 && heldBy(other).length === 2;
        });
        proxy.set(act);
        await until("taken over", () => {
          const both = heldBy(cut).filter((partition) => other.held().has(partition));
          assert.deepEqual(both, [], "no partition has two owners");
          return heldBy(other).length === 4;
        });
        proxy.set("pass");
        proxy.cut();
      }
    } finally {
      await cut.close({ isLeaving: true });
      await other.close({ isLeaving: true });
      await proxy.close();
    }
  });

  test("a restarted process inherits at once; the process that it replaces gives up and reports that", async () => {
    const old = await openTestLeases(server, { processName: "twin" });
    const before = old.held().get(0)?.token ?? 0;
    const young = await openTestLeases(server, { processName: "twin" });
    assert.deepEqual(heldBy(young), [0, 1, 2, 3]);
    assert.ok((young.held().get(0)?.token ?? 0) > before);
    await until("the replacement is reported", () => old.status().failure?.code === "LEASES_REPLACED");
    assert.deepEqual(heldBy(old), []);
    assert.match(old.status().failure?.message ?? "", /another process joined as twin/);
    await old.close({ isLeaving: true });
    assert.equal(heldBy(young).length, 4, "the old process took no partition with it");
    await young.close({ isLeaving: true });
  });
});

describe("a server in trouble", () => {
  test("FLUSHALL: leases are given again, with higher tokens", async () => {
    const a = await openTestLeases(server, { processName: "a" });
    const before = a.held().get(3)?.token ?? 0;
    await client.flushall();
    await until("the process owns them again", () => (a.held().get(3)?.token ?? 0) > before);
    assert.deepEqual(heldBy(a), [0, 1, 2, 3]);
    await a.close({ isLeaving: true });
  });

  test("killed: leases of a process expire, and come back with the server", async () => {
    const me = await openTestLeases(server);
    await server.kill();
    assert.equal(heldBy(me).length, 4, "an outage shorter than a lease has no effect");
    await until("the lease has expired", () => heldBy(me).length === 0);
    await until("the failure is reported", () => me.status().failure?.code === "REDIS_UNAVAILABLE");
    await server.start();
    await until("the process owns them again", () => heldBy(me).length === 4);
    assert.equal(me.status().failure, null);
    await me.close({ isLeaving: true });
  });

  test("paused: releasing and closing do not hang", async () => {
    const me = await openTestLeases(server);
    server.pause();
    try {
      await me.release([0]);
      assert.deepEqual(heldBy(me), [1, 2, 3], "released here, whatever the server knows");
      await me.close({ isLeaving: true });
    } finally {
      server.resume();
    }
  });

  test("full: leases are renewed nevertheless, since only consumers can free memory", async () => {
    await client.set("ballast", "x".repeat(100_000));
    await client.config("SET", "maxmemory", "1");
    try {
      await assert.rejects(client.set("more", "y"), /OOM/);
      const me = await openTestLeases(server);
      assert.equal(heldBy(me).length, 4);
      await delay(testLeaseMs * 1.5);
      assert.equal(heldBy(me).length, 4);
      await me.close({ isLeaving: true });
    } finally {
      await client.config("SET", "maxmemory", "0");
    }
  });

  test("clock set back by an hour: dead processes are detected no later", async () => {
    const dead = new PuppetProcess(client, "dead");
    await dead.ask("join");
    const facts = JSON.parse((await client.hget(key, "m:dead")) ?? "") as { e: number };
    facts.e += 3_600_000;
    await client.hset(key, "m:dead", JSON.stringify(facts));
    const me = await openTestLeases(server);
    assert.deepEqual(heldBy(me), []);
    await until("taken over", () => heldBy(me).length === 4);
    await me.close({ isLeaving: true });
  });

  test("clock set back by an hour: tokens still rise, even after the process that had the highest", async () => {
    const before = new PuppetProcess(client, "before");
    const [row] = (await before.ask("join")).rows.values();
    const highest = (row?.token ?? 0) + 3_600_000;
    await client.hset(key, "token", String(highest));
    await before.ask("leave");
    const next = new PuppetProcess(client, "next");
    const tokens = [...(await next.ask("join")).rows.values()].map(({ token }) => token);
    assert.deepEqual(
      tokens,
      [1, 2, 3, 4].map((more) => highest + more),
    );
    await next.ask("leave");
    const last = [...(await new PuppetProcess(client, "last").ask("join")).rows.values()].map(
      ({ token }) => token,
    );
    assert.ok(Math.min(...last) > Math.max(...tokens), `${last} after ${tokens}`);
  });

  test("clock set forward: partitions that others took meanwhile are distributed again", async () => {
    const a = await openTestLeases(server, { processName: "a" });
    const facts = JSON.parse((await client.hget(key, "m:a")) ?? "") as { e: number };
    facts.e -= 3_600_000;
    await client.hset(key, "m:a", JSON.stringify(facts));
    const b = new PuppetProcess(client, "b");
    await b.ask("join");
    assert.deepEqual(b.owned, [0, 1, 2, 3]);
    await until("process a learns of the loss", () => heldBy(a).length === 0);
    await b.ask("renew", (await b.ask("renew")) && b.due);
    await until("process a has its share again", () => heldBy(a).length === 2);
    await a.close({ isLeaving: true });
  });

  test("a key of another type in its place is REDIS_KEY_TYPE", async () => {
    await client.set(key, "somebody else's");
    await assert.rejects(
      openTestLeases(server),
      (error) => error instanceof BridgeError && error.code === "REDIS_KEY_TYPE" && !error.retryable,
    );
  });

  test("without a server the error is REDIS_UNAVAILABLE", async () => {
    await server.kill();
    try {
      await assert.rejects(
        openTestLeases(server),
        (error) => error instanceof BridgeError && error.code === "REDIS_UNAVAILABLE" && error.retryable,
      );
    } finally {
      await server.start();
    }
  });
});
