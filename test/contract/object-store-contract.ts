import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { ObjectStore, StoredObject } from "../../bridge/lake/stores/object-store.ts";

export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** The same lake, opened again, as another process opens it. */
  readonly reopen: () => Promise<ObjectStore>;
  readonly close: () => Promise<void>;
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

async function read(store: ObjectStore, path: string): Promise<string | null> {
  const bytes = await store.get(path);
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

async function collect(objects: AsyncIterable<StoredObject>): Promise<string[]> {
  const paths: string[] = [];
  for await (const object of objects) paths.push(object.path);
  return paths;
}

/** The contract of ObjectStore. */
export function objectStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  async function withStore(work: (subject: StoreUnderTest) => Promise<void>): Promise<void> {
    const subject = await open();
    try {
      await work(subject);
    } finally {
      await subject.close();
    }
  }

  test(`${name}: an object is absent, then stored, then replaced, then deleted`, () =>
    withStore(async ({ store, reopen }) => {
      assert.equal(await read(store, "a/b.json"), null);
      await store.put("a/b.json", text("one"));
      assert.equal(await read(store, "a/b.json"), "one");
      await store.put("a/b.json", text("two"));
      assert.equal(await read(await reopen(), "a/b.json"), "two");
      await store.delete("a/b.json");
      await store.delete("a/b.json");
      await store.delete("never/was.json");
      assert.equal(await read(store, "a/b.json"), null);
    }));

  test(`${name}: of ten racers for one name exactly one creates the object, and its bytes stay`, () =>
    withStore(async ({ store, reopen }) => {
      const stores = [store, await reopen()];
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, (_, racer) =>
          (stores[racer % 2] as ObjectStore).putIfAbsent("_commits/1.json", text(`racer ${racer}`)),
        ),
      );
      assert.equal(outcomes.filter((outcome) => outcome === "created").length, 1);
      assert.equal(await read(store, "_commits/1.json"), `racer ${outcomes.indexOf("created")}`);
      assert.equal(await store.putIfAbsent("_commits/1.json", text("late")), "exists");
      assert.equal(await read(store, "_commits/1.json"), `racer ${outcomes.indexOf("created")}`);
    }));

  test(`${name}: a staged file is imported whole and leaves the staging folder`, () =>
    withStore(async ({ store, reopen }) => {
      const staged = join(store.stagingFolder, "rows.parquet");
      const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index * 7);
      writeFileSync(staged, bytes);
      assert.deepEqual(await store.importFile(staged, "t/event_date=2026-01-02/event_hour=3/x.parquet"), {
        bytes: bytes.length,
      });
      assert.equal(existsSync(staged), false);
      const stored = await (await reopen()).get("t/event_date=2026-01-02/event_hour=3/x.parquet");
      assert.ok(stored && Buffer.from(stored).equals(bytes));
    }));

  test(`${name}: listing is in lexicographic order, below a prefix, after a path, without the staging folder`, () =>
    withStore(async ({ store }) => {
      const paths = ["a.json", "a/1", "a/10", "a/2/x", "a/2/y", "a0", "ab/1", "b/1"];
      for (const path of paths) await store.put(path, text(path));
      writeFileSync(join(store.stagingFolder, "left-over"), "x");
      assert.deepEqual(await collect(store.list("")), [...paths].sort());
      assert.deepEqual(await collect(store.list("a/")), ["a/1", "a/10", "a/2/x", "a/2/y"]);
      assert.deepEqual(await collect(store.list("a/1")), ["a/1", "a/10"]);
      assert.deepEqual(await collect(store.list("a/2")), ["a/2/x", "a/2/y"]);
      assert.deepEqual(await collect(store.list("a/", { after: "a/10" })), ["a/2/x", "a/2/y"]);
      assert.deepEqual(await collect(store.list("a/", { after: "a/2/x" })), ["a/2/y"]);
      assert.deepEqual(await collect(store.list("a/", { after: "a/5" })), []);
      assert.deepEqual(await collect(store.list("nothing/here")), []);
    }));

  test(`${name}: a listed object has its size and a time near now`, () =>
    withStore(async ({ store }) => {
      await store.put("x/y", text("12345"));
      for await (const object of store.list("x/")) {
        assert.equal(object.bytes, 5);
        assert.ok(Math.abs(object.modifiedAtMs - Date.now()) < 600_000, String(object.modifiedAtMs));
      }
    }));

  test(`${name}: an empty object and 300 kB are read as they were stored`, () =>
    withStore(async ({ store }) => {
      const large = Uint8Array.from({ length: 300_000 }, (_, index) => (index * index) >> 3);
      await store.put("empty", new Uint8Array());
      await store.put("large", large);
      assert.equal((await store.get("empty"))?.length, 0);
      assert.ok(Buffer.from((await store.get("large")) ?? []).equals(large));
    }));

  test(`${name}: objects can be read as local files until they are released`, () =>
    withStore(async ({ store, reopen }) => {
      const paths = [1, 2, 3].map(
        (hour) => `t/event_hour=${hour}/0000000${hour}-0000-4000-8000-000000000000.parquet`,
      );
      for (const path of paths) await store.put(path, text(`rows of ${path}`));
      const seen: number[] = [];
      const copies = await (await reopen()).localCopies(paths, ({ files }) => seen.push(files));
      const again = await store.localCopies(paths.slice(1));
      for (const path of paths) {
        assert.equal(readFileSync(copies.location(path), "utf8"), `rows of ${path}`);
        assert.ok(copies.location(path).startsWith(copies.folder));
      }
      await copies.release();
      for (const path of paths.slice(1))
        assert.equal(readFileSync(again.location(path), "utf8"), `rows of ${path}`);
      await again.release();
      if (store.copyMaxBytes !== null) {
        assert.equal(existsSync(copies.location(paths[0] ?? "")), false);
        await assert.rejects(store.localCopies(["t/never-was.parquet"]), { code: "LAKE_DAMAGED" });
        assert.deepEqual(
          readdirSync(store.stagingFolder).filter((entry) => entry.startsWith("copies-")),
          [],
        );
      }
    }));

  test(`${name}: paths that leave the lake are refused with STORE_PATH_INVALID`, () =>
    withStore(async ({ store }) => {
      for (const path of [
        "",
        "/etc/x",
        "../x",
        "a/../../x",
        "a//b",
        "a/",
        "./a",
        "a\\b",
        "a\u0000b",
        "_staging/x",
      ])
        await assert.rejects(() => store.put(path, text("x")), { code: "STORE_PATH_INVALID" }, path);
    }));
}
