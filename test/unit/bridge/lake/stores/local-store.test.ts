import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { errorCode, type FileSystem } from "../../../../../bridge/lake/stores/local/file-system.ts";
import { openLocalStore } from "../../../../../bridge/lake/stores/local/local-store.ts";
import { ownStagingFolderName } from "../../../../../bridge/lake/stores/local/staging-folder.ts";
import type { ObjectStore } from "../../../../../bridge/lake/stores/object-store.ts";
import { type DiskFaults, FakeDisk } from "../../../../support/fake-file-system.ts";

const root = "/disk/lake";
const paths = [
  "a",
  "_commits/1.json",
  "_commits/2.json",
  "t/event_date=x/event_hour=1/f",
  "t/_delta_log/0.json",
];

function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** By path: every content (null = absent) that a power cut may show, given the completed operations. */
class Expectations {
  readonly #possible = new Map<string, Set<string | null>>(paths.map((path) => [path, new Set([null])]));

  of(path: string): Set<string | null> {
    return this.#possible.get(path) as Set<string | null>;
  }

  may(path: string, content: string | null): void {
    this.of(path).add(content);
  }

  must(path: string, content: string | null): void {
    this.#possible.set(path, new Set([content]));
  }

  not(path: string, content: string | null): void {
    this.of(path).delete(content);
  }
}

/** One operation on a path that no other operation uses; two racing processes for putIfAbsent. */
async function operate(
  stores: readonly ObjectStore[],
  process: FileSystem,
  expected: Expectations,
  step: { path: string; content: string; kind: number; store: number },
): Promise<void> {
  const { path, content } = step;
  const store = stores[step.store] as ObjectStore;
  switch (step.kind) {
    case 0: {
      expected.may(path, content);
      await store.put(path, Buffer.from(content));
      return expected.must(path, content);
    }
    case 1: {
      const racers = stores.map(async (racer, index) => {
        const bytes = `${content}-${index}`;
        expected.may(path, bytes);
        const outcome = await racer.putIfAbsent(path, Buffer.from(bytes));
        if (outcome === "created") return expected.must(path, bytes);
        expected.not(path, null);
        expected.not(path, bytes);
      });
      const settled = await Promise.allSettled(racers);
      const failed = settled.find((result) => result.status === "rejected");
      if (failed) throw failed.reason;
      return;
    }
    case 2: {
      const unique = `${path}-${content}`;
      const local = join(store.stagingFolder, `local-${content}`);
      const file = await process.create(local);
      await file.write(Buffer.from(content));
      await file.close();
      expected.must(unique, null);
      expected.may(unique, content);
      await store.importFile(local, unique);
      return expected.must(unique, content);
    }
    case 3: {
      expected.may(path, null);
      await store.delete(path);
      return expected.must(path, null);
    }
    default: {
      const found = await store.get(path);
      // A read value was true at that moment, and must stay so.
      if (found !== null) return expected.must(path, Buffer.from(found).toString());
    }
  }
}

/**
 * Random work by two processes, one of which may be killed, then a power cut. Returns a reader's findings.
 */
async function faultsAfterPowerCut(seed: number, faults: DiskFaults = {}): Promise<string[]> {
  const random = seededRandom(seed);
  const disk = new FakeDisk(undefined, faults);
  const expected = new Expectations();
  const unique = new Set<string>(paths);
  const first = disk.process({ diesAtCall: random() < 0.7 ? Math.floor(random() * 150) : 1e9 });
  const second = disk.process({ diesAtCall: 20 + Math.floor(random() * 400) });
  const opened = await Promise.allSettled([openLocalStore(root, second), openLocalStore(root, first)]);
  const stores = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const secondStore = opened[0].status === "fulfilled" ? opened[0].value : undefined;
  if (secondStore) {
    const lanes = paths.map(async (path, lane) => {
      for (let count = 0; count < 6; count++) {
        const kind = Math.floor(random() * 6);
        const store = kind === 2 ? stores.indexOf(secondStore) : Math.floor(random() * stores.length);
        const content = `${lane}.${count}`;
        if (kind === 2) unique.add(`${path}-${content}`);
        await operate(stores, second, expected, { path, content, kind, store }).catch((error: unknown) => {
          if (error instanceof assert.AssertionError) throw error;
        });
      }
    });
    await Promise.all(lanes);
  }
  const survivor = await openLocalStore(root, disk.cutPower(random).process());
  const wrong: string[] = [];
  for (const path of unique) {
    const possible = expected.of(path);
    if (!possible) continue;
    const bytes = await survivor.get(path);
    const found = bytes === null ? null : Buffer.from(bytes).toString();
    if (!possible.has(found)) wrong.push(`${path}: ${found} is none of ${[...possible].join(", ")}`);
  }
  return wrong;
}

test("completed operations survive a power cut at any moment, beside killed processes", async () => {
  for (let seed = 1; seed <= 300; seed++)
    assert.deepEqual(await faultsAfterPowerCut(seed), [], `seed ${seed}`);
});

for (const faults of [{ forgetsFileFlush: true }, { forgetsFolderFlush: true }] satisfies DiskFaults[])
  test(`the power cut test detects a disk that ${Object.keys(faults)}`, async () => {
    let wrong = 0;
    for (let seed = 1; seed <= 40; seed++) wrong += (await faultsAfterPowerCut(seed, faults)).length;
    assert.ok(wrong > 10, String(wrong));
  });

test("an object that a killed process left unflushed is durable once another process has read it", async () => {
  for (let calls = 1; calls < 40; calls++) {
    const disk = new FakeDisk();
    const killed = await openLocalStore(root, disk.process({ diesAtCall: 14 + calls })).catch(() => null);
    await killed?.putIfAbsent("new/folder/object", Buffer.from("x")).catch(() => null);
    const reader = await openLocalStore(root, disk.process());
    const seen = await reader.get("new/folder/object");
    const after = await openLocalStore(root, disk.cutPower(() => 0.9).process());
    if (seen !== null)
      assert.deepEqual(await after.get("new/folder/object"), seen, `killed at call ${calls}`);
  }
});

test("folders above the lake that a killed process created are durable once another process has stored something", async () => {
  const deep = "/new/levels/above/lake";
  for (let calls = 1; calls < 20; calls++) {
    const disk = new FakeDisk();
    await openLocalStore(deep, disk.process({ diesAtCall: calls })).catch(() => null);
    const store = await openLocalStore(deep, disk.process());
    await store.putIfAbsent("object", Buffer.from("x"));
    const after = await openLocalStore(deep, disk.cutPower(() => 0.9).process());
    assert.deepEqual(await after.get("object"), Buffer.from("x"), `killed at call ${calls}`);
  }
});

test("a failed flush is fatal: STORE_FLUSH_FAILED, not retryable, and every later call too", async () => {
  for (const target of ["file", "folder"]) {
    let isBroken = false;
    const disk = new FakeDisk();
    const fault = (call: string, path: string) => {
      const isFile = path.includes("~");
      return isBroken && call === "flush" && isFile === (target === "file") ? "EIO" : null;
    };
    const store = await openLocalStore(root, disk.process({ fault }));
    await store.put("a/b", Buffer.from("1"));
    isBroken = true;
    await assert.rejects(store.putIfAbsent("a/c", Buffer.from("1")), {
      code: "STORE_FLUSH_FAILED",
      retryable: false,
    });
    isBroken = false;
    await assert.rejects(store.put("a/d", Buffer.from("1")), { code: "STORE_FLUSH_FAILED" });
    await assert.rejects(store.get("a/b"), { code: "STORE_FLUSH_FAILED" });
  }
});

test("a full store is STORE_FULL with its name, any other refusal STORE_UNAVAILABLE; both are retryable and leave no file", async () => {
  let code: string | null = null;
  const disk = new FakeDisk();
  const store = await openLocalStore(
    root,
    disk.process({ fault: (call) => (call === "write" ? code : null) }),
  );
  for (const [errno, expected, message] of [
    ["ENOSPC", "STORE_FULL", /the disk is full: free or add disk space$/],
    ["EDQUOT", "STORE_FULL", /the disk quota is used up/],
    ["EMFILE", "STORE_FULL", /this process has too many open files: .*ulimit -n/],
    ["ENFILE", "STORE_FULL", /this machine has too many open files: .*fs\.file-max/],
    ["EIO", "STORE_UNAVAILABLE", /EIO/],
    ["EACCES", "STORE_UNAVAILABLE", /EACCES/],
  ] as const) {
    code = errno;
    const error = { code: expected, retryable: true, message };
    await assert.rejects(store.putIfAbsent("a", Buffer.from("1")), error);
    assert.equal(await store.get("a"), null);
    assert.deepEqual(await disk.process().readFolder(store.stagingFolder), []);
  }
  code = null;
  assert.equal(await store.putIfAbsent("a", Buffer.from("1")), "created");
});

test("a file system without hard links has its own error, which is not retryable", async () => {
  const disk = new FakeDisk();
  const store = await openLocalStore(
    root,
    disk.process({ fault: (call) => (call === "link" ? "EPERM" : null) }),
  );
  await assert.rejects(store.putIfAbsent("a", Buffer.from("1")), {
    code: "STORE_UNAVAILABLE",
    retryable: false,
    message: /no hard links/,
  });
});

/** A staging folder with a file in a folder, all of this age by the file system's clock. */
function leftover(root: string, name: string, ageMs: number): string {
  const folder = join(root, "_staging", name);
  mkdirSync(join(folder, "spill-1"), { recursive: true });
  const file = join(folder, "spill-1", "rows.parquet");
  writeFileSync(file, "x");
  const time = new Date(Date.now() - ageMs);
  for (const path of [file, join(folder, "spill-1"), folder]) utimesSync(path, time, time);
  return file;
}

test("opening a lake removes leftovers of dead processes, not those of living ones", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-staging-"));
  const own = ownStagingFolderName();
  const [owner = ""] = own.split("~");
  const dayMs = 86_400_000;
  const left = {
    dead: leftover(folder, `${owner}~4194304~00000000`, 0),
    // A later process has the number of the dead one.
    followed: leftover(folder, `${owner}1~${process.pid}~00000001`, 0),
    elsewhere: leftover(folder, "elsewhere~1~00000002", dayMs + 1000),
    container: leftover(folder, `${hostname()}@00000000.1.1~4194304~00000003`, dayMs + 1000),
  };
  const kept = {
    own: leftover(folder, own, 2 * dayMs),
    // Process numbers of another container mean other processes here.
    container: leftover(folder, `${hostname()}@00000000.1.1~4194304~00000004`, dayMs - 60_000),
    elsewhere: leftover(folder, "elsewhere~1~00000005", dayMs - 60_000),
    former: leftover(folder, `${hostname()}~4194304~00000006`, dayMs - 60_000),
  };
  // The process writes into a file that it created long ago.
  kept.elsewhere = leftover(folder, "elsewhere~1~00000007", 2 * dayMs);
  writeFileSync(kept.elsewhere, "more");
  await openLocalStore(folder);
  assert.deepEqual(
    Object.entries(left).filter(([, file]) => existsSync(file)),
    [],
  );
  assert.deepEqual(
    Object.entries(kept).filter(([, file]) => !existsSync(file)),
    [],
  );
  rmSync(folder, { recursive: true, force: true });
});

test("a process whose staging folder another host has removed creates it again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-staging-"));
  const store = await openLocalStore(folder);
  rmSync(join(folder, "_staging"), { recursive: true });
  assert.equal(await store.putIfAbsent("a", Buffer.from("1")), "created");
  rmSync(store.stagingFolder, { recursive: true });
  await store.put("a", Buffer.from("2"));
  assert.equal(Buffer.from((await store.get("a")) ?? []).toString(), "2");
  rmSync(folder, { recursive: true, force: true });
});

test("a deleted folder of a table is created again, those of the commit log and the lake are not", async () => {
  const above = mkdtempSync(join(tmpdir(), "tidegate-folder-gone-"));
  const folder = join(above, "lake");
  const store = await openLocalStore(folder);
  const bytes = Buffer.from("1");
  const isUnavailable = (error: unknown) => errorCode(error) === "STORE_UNAVAILABLE";
  await store.put("t/event_date=x/event_hour=1/a", bytes);
  await store.put("_commits/1.json", bytes);

  rmSync(join(folder, "t"), { recursive: true });
  await store.put("t/event_date=x/event_hour=1/b", bytes);
  rmSync(join(folder, "t"), { recursive: true });
  assert.equal(await store.putIfAbsent("t/event_date=x/event_hour=2/c", bytes), "created");
  rmSync(join(folder, "t/event_date=x/event_hour=2"), { recursive: true });
  const local = join(store.stagingFolder, "local");
  writeFileSync(local, "12");
  assert.deepEqual(await store.importFile(local, "t/event_date=x/event_hour=2/d"), { bytes: 2 });

  await store.putIfAbsent("t/_delta_log/0.json", bytes);
  rmSync(join(folder, "t"), { recursive: true });
  await store.put("t/event_date=x/event_hour=1/a", bytes);
  for (let attempt = 0; attempt < 2; attempt++)
    await assert.rejects(store.putIfAbsent("t/_delta_log/1.json", bytes), {
      code: "LAKE_DAMAGED",
      details: { path: "t/_delta_log" },
    });
  assert.equal(existsSync(join(folder, "t/_delta_log")), false);
  assert.equal(await store.putIfAbsent("t/_delta_log/0.json", bytes), "created");

  rmSync(join(folder, "_commits"), { recursive: true });
  await assert.rejects(store.putIfAbsent("_commits/2.json", bytes), isUnavailable);
  assert.equal(existsSync(join(folder, "_commits")), false);
  rmSync(folder, { recursive: true });
  await assert.rejects(store.put("t/event_date=x/event_hour=1/e", bytes), isUnavailable);
  assert.equal(existsSync(folder), false);
  rmSync(above, { recursive: true, force: true });
});

test("a lake below a path that is a file cannot be opened", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-store-"));
  writeFileSync(join(folder, "file"), "x");
  await assert.rejects(openLocalStore(join(folder, "file", "lake")), (error: unknown) => {
    return errorCode(error) === "STORE_UNAVAILABLE";
  });
  rmSync(folder, { recursive: true, force: true });
});
