import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  type DedupWindow,
  dedupKeyBytes,
  type WindowEntries,
} from "../../bridge/lake/window/dedup-window.ts";

const baseSeconds = 1_700_000_000;
const baseMs = baseSeconds * 1000;
const hourSeconds = 3600;

export function windowKey(id: string | number): Buffer {
  return windowKeys(id);
}

export function windowKeys(...ids: (string | number)[]): Buffer {
  const keys = Buffer.alloc(ids.length * dedupKeyBytes);
  for (const [index, id] of ids.entries())
    keys.write(hash("sha256", String(id), "binary"), index * dedupKeyBytes, dedupKeyBytes, "latin1");
  return keys;
}

export function windowEntries(
  ids: readonly (string | number)[],
  options: { contentHash?: number; expiresAtSeconds?: number } = {},
): WindowEntries {
  const { contentHash = 7, expiresAtSeconds = baseSeconds + hourSeconds } = options;
  return {
    length: ids.length,
    keys: windowKeys(...ids),
    contentHashes: new Uint32Array(ids.length).fill(contentHash),
    expiresAtSeconds: new Uint32Array(ids.length).fill(expiresAtSeconds),
    filedAtSeconds: new Uint32Array(ids.length).fill(expiresAtSeconds - hourSeconds),
    devices: Uint16Array.from(ids, (_, index) => index),
  };
}

/** The contract of DedupWindow. `open` returns a new empty window; the test closes it. */
export function dedupWindowContract(name: string, open: () => Promise<DedupWindow>): void {
  describe(`DedupWindow contract: ${name}`, () => {
    let window: DedupWindow;
    before(async () => {
      window = await open();
    });
    after(() => window.close());

    /** Each test works on partitions of its own. */
    let nextPartition = 0;
    const started = async (applied = "p0"): Promise<number> => {
      const partition = nextPartition++;
      await window.beginSeed(partition, `token-${partition}`);
      assert.equal(
        await window.endSeed(partition, `token-${partition}`, { chunks: 0, applied, streamTimeMs: baseMs }),
        true,
      );
      return partition;
    };
    const step = (from: string, to: string, seconds = 0) => ({
      from,
      to,
      streamTimeMs: baseMs + seconds * 1000,
    });
    const appliedOf = (partition: number) => window.applied(partition, "committed elsewhere");
    const known = async (partition: number, applied: string, ...ids: (string | number)[]) => {
      const hits = await window.lookup(partition, applied, windowKeys(...ids));
      assert.ok(hits, `the window of partition ${partition} is not at ${applied}`);
      return [...hits.expiresAtSeconds].map((expiry) => expiry > 0);
    };

    test("a partition without an apply has no position and answers no lookup", async () => {
      const partition = nextPartition++;
      assert.equal(await appliedOf(partition), null);
      assert.equal(await window.lookup(partition, "", windowKeys("a")), null);
      assert.equal(await window.apply(partition, step("", "p1"), windowEntries(["a"])), false);
      assert.equal(await appliedOf(partition), null);
    });

    test("a seeded partition knows the seeded ids with their hash and expiry", async () => {
      const partition = nextPartition++;
      await window.beginSeed(partition, "t1");
      assert.equal(await appliedOf(partition), null);
      assert.equal(
        await window.seed(partition, "t1", 0, windowEntries(["a", "b"], { contentHash: 11 })),
        true,
      );
      assert.equal(await window.lookup(partition, "p9", windowKeys("a")), null, "no answer during seeding");
      assert.equal(
        await window.endSeed(partition, "t1", { chunks: 1, applied: "p9", streamTimeMs: baseMs }),
        true,
      );
      assert.equal(await appliedOf(partition), "p9");
      const hits = await window.lookup(partition, "p9", windowKeys("b", "unknown", "a"));
      assert.deepEqual([...(hits?.expiresAtSeconds ?? [])], [baseSeconds + 3600, 0, baseSeconds + 3600]);
      assert.deepEqual([hits?.contentHashes[0], hits?.contentHashes[2]], [11, 11]);
    });

    test("content hashes keep all 32 bits", async () => {
      const partition = await started();
      await window.apply(partition, step("p0", "p1"), windowEntries(["a"], { contentHash: 0xfedc_ba98 }));
      assert.equal((await window.lookup(partition, "p1", windowKeys("a")))?.contentHashes[0], 0xfedc_ba98);
    });

    test("apply adds the ids and moves the position, together", async () => {
      const partition = await started();
      assert.equal(await window.apply(partition, step("p0", "p1"), windowEntries(["a", "b"])), true);
      assert.equal(await appliedOf(partition), "p1");
      assert.deepEqual(await known(partition, "p1", "a", "b", "c"), [true, true, false]);
    });

    test("an apply from another position changes nothing", async () => {
      const partition = await started();
      assert.equal(await window.apply(partition, step("p1", "p2"), windowEntries(["a"])), false);
      assert.equal(await window.apply(partition, step("", "p2"), windowEntries(["a"])), false);
      assert.equal(await appliedOf(partition), "p0");
      assert.deepEqual(await known(partition, "p0", "a"), [false]);
    });

    test("an apply that is repeated is refused and does no harm", async () => {
      const partition = await started();
      assert.equal(await window.apply(partition, step("p0", "p1"), windowEntries(["a"])), true);
      assert.equal(await window.apply(partition, step("p0", "p1"), windowEntries(["a", "b"])), false);
      assert.deepEqual(await known(partition, "p1", "a", "b"), [true, false]);
    });

    test("an apply without ids moves the position", async () => {
      const partition = await started();
      assert.equal(await window.apply(partition, step("p0", "p1"), windowEntries([])), true);
      assert.equal(await appliedOf(partition), "p1");
    });

    test("a lookup is answered only at the applied position, even without keys", async () => {
      const partition = await started();
      assert.equal(await window.lookup(partition, "p1", windowKeys("a")), null);
      assert.equal(await window.lookup(partition, "", windowKeys("a")), null);
      assert.equal(await window.lookup(partition, "p1", new Uint8Array(0)), null);
      assert.equal((await window.lookup(partition, "p0", new Uint8Array(0)))?.expiresAtSeconds.length, 0);
    });

    test("keys may lie anywhere in their buffer", async () => {
      const partition = await started();
      await window.apply(partition, step("p0", "p1"), windowEntries(["a"]));
      const shifted = Buffer.concat([Buffer.alloc(3), windowKeys("a")]);
      const hits = await window.lookup(partition, "p1", new Uint8Array(shifted).subarray(3));
      assert.equal(hits?.expiresAtSeconds[0], baseSeconds + hourSeconds);
    });

    test("a new seeding forgets everything, and the old token is refused", async () => {
      const partition = await started();
      await window.apply(partition, step("p0", "p1"), windowEntries(["a"]));
      await window.beginSeed(partition, "old");
      assert.equal(await appliedOf(partition), null);
      await window.beginSeed(partition, "new");
      assert.equal(await window.seed(partition, "old", 0, windowEntries(["b"])), false);
      assert.equal(
        await window.endSeed(partition, "old", { chunks: 1, applied: "p1", streamTimeMs: baseMs }),
        false,
      );
      assert.equal(await appliedOf(partition), null);
      assert.equal(await window.seed(partition, "new", 0, windowEntries(["c"])), true);
      assert.equal(
        await window.endSeed(partition, "new", { chunks: 1, applied: "p1", streamTimeMs: baseMs }),
        true,
      );
      assert.deepEqual(await known(partition, "p1", "a", "b", "c"), [false, false, true]);
    });

    test("apply is refused while a seeding is under way", async () => {
      const partition = await started();
      await window.beginSeed(partition, "t2");
      assert.equal(await window.apply(partition, step("p0", "p1"), windowEntries(["a"])), false);
      assert.equal(await window.apply(partition, step("", "p1"), windowEntries(["a"])), false);
    });

    test("a chunk out of turn is refused, and so is an end if a chunk is missing", async () => {
      const partition = nextPartition++;
      await window.beginSeed(partition, "t4");
      const end = { chunks: 2, applied: "p1", streamTimeMs: baseMs };
      assert.equal(
        await window.seed(partition, "t4", 1, windowEntries(["b"])),
        false,
        "the first chunk is missing",
      );
      assert.equal(await window.seed(partition, "t4", 0, windowEntries(["a"])), true);
      assert.equal(
        await window.seed(partition, "t4", 0, windowEntries(["a"])),
        false,
        "the chunk is in the window already",
      );
      assert.equal(await window.endSeed(partition, "t4", end), false);
      assert.equal(await appliedOf(partition), null);
      assert.equal(await window.seed(partition, "t4", 1, windowEntries(["b"])), true);
      assert.equal(await window.endSeed(partition, "t4", end), true);
      assert.deepEqual(await known(partition, "p1", "a", "b"), [true, true]);
    });

    test("the token of a finished seeding is no longer valid", async () => {
      const partition = nextPartition++;
      await window.beginSeed(partition, "t3");
      await window.endSeed(partition, "t3", { chunks: 0, applied: "p1", streamTimeMs: baseMs });
      assert.equal(await window.seed(partition, "t3", 0, windowEntries(["late"])), false);
      assert.equal(
        await window.endSeed(partition, "t3", { chunks: 0, applied: "p0", streamTimeMs: baseMs }),
        false,
      );
      assert.equal(await appliedOf(partition), "p1");
      assert.deepEqual(await known(partition, "p1", "late"), [false]);
    });

    test("partitions do not share ids or positions", async () => {
      const left = await started();
      const right = await started();
      await window.apply(left, step("p0", "p1"), windowEntries(["a"]));
      assert.equal(await appliedOf(right), "p0");
      assert.deepEqual(await known(right, "p0", "a"), [false]);
    });

    test("an id is known until stream time reaches its expiry, however often the window moves on", async () => {
      const partition = await started();
      const last = hourSeconds - 1;
      await window.apply(partition, step("p0", "p1"), windowEntries(["a"]));
      await window.apply(
        partition,
        step("p1", "p2", 60),
        windowEntries(["b"], { expiresAtSeconds: baseSeconds + 9000 }),
      );
      await window.apply(partition, step("p2", "p3", last), windowEntries([]));
      assert.deepEqual(await known(partition, "p3", "a", "b"), [true, true]);
    });

    test("an id that is added again keeps the later expiry, in whatever order", async () => {
      const partition = await started();
      const early = { contentHash: 1, expiresAtSeconds: baseSeconds + 100 };
      const late = { contentHash: 2, expiresAtSeconds: baseSeconds + 200 };
      await window.apply(partition, step("p0", "p1"), windowEntries(["a"], early));
      await window.apply(partition, step("p1", "p2"), windowEntries(["a", "b"], late));
      await window.apply(partition, step("p2", "p3"), windowEntries(["b"], early));
      const hits = await window.lookup(partition, "p3", windowKeys("a", "b"));
      assert.deepEqual([...(hits?.expiresAtSeconds ?? [])], [baseSeconds + 200, baseSeconds + 200]);
      assert.deepEqual([...(hits?.contentHashes ?? [])], [2, 2]);
    });

    test("expired ids are freed eventually, and only those", async () => {
      const partition = await started();
      const count = 5000;
      const mortal = Array.from({ length: count }, (_, index) => `${partition}-mortal-${index}`);
      const before = (await window.status()).ids;
      await window.apply(
        partition,
        step("p0", "q0"),
        windowEntries(mortal, { expiresAtSeconds: baseSeconds + 60 }),
      );
      await window.apply(
        partition,
        step("q0", "q1"),
        windowEntries(["b"], { expiresAtSeconds: baseSeconds + 90_000 }),
      );
      for (let turn = 1; turn <= 120; turn++)
        await window.apply(partition, step(`q${turn}`, `q${turn + 1}`, 60 * turn), windowEntries([]));
      assert.ok((await window.status()).ids <= before + 1 + count / 10, "most of the expired ids are gone");
      assert.deepEqual(await known(partition, "q121", "b"), [true]);
    });

    test("one apply takes thousands of ids, and the status counts them", async () => {
      const partition = await started();
      const ids = Array.from({ length: 20_000 }, (_, index) => `${partition}-${index}`);
      const before = await window.status();
      await window.apply(partition, step("p0", "p1"), windowEntries(ids));
      const hits = await window.lookup(partition, "p1", windowKeys(...ids));
      assert.ok(hits?.expiresAtSeconds.every((expiry) => expiry === baseSeconds + hourSeconds));
      const status = await window.status();
      assert.equal(status.ids - before.ids, ids.length);
      assert.ok(status.bytes >= ids.length * dedupKeyBytes);
      assert.equal(status.isShort, false);
    });

    test("of two applies from one position, one wins", async () => {
      const partition = await started();
      const outcomes = await Promise.all([
        window.apply(partition, step("p0", "p1"), windowEntries(["left"])),
        window.apply(partition, step("p0", "p2"), windowEntries(["right"])),
      ]);
      assert.deepEqual(outcomes.toSorted(), [false, true]);
      const winner = outcomes[0] ? "left" : "right";
      const at = (await appliedOf(partition)) ?? "";
      assert.equal(at, outcomes[0] ? "p1" : "p2");
      assert.deepEqual(await known(partition, at, winner), [true]);
    });
  });
}
