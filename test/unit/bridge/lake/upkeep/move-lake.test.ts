import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import { openLocalStore } from "../../../../../bridge/lake/stores/local/local-store.ts";
import type { ObjectStore } from "../../../../../bridge/lake/stores/object-store.ts";
import { moveLake } from "../../../../../bridge/lake/upkeep/move-lake.ts";
import { contentOf } from "../../../../support/store-content.ts";
import { makeRow, openTestLake, type TestLake } from "../../../../support/test-lake.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-move-"));
after(() => rmSync(root, { recursive: true, force: true }));
const movedTo = "s3://bucket/there";
const big = "telemetry/date=2026-01-01/big.parquet";
let places = 0;

const newPlace = (): Promise<ObjectStore> => openLocalStore(join(root, `place-${places++}`));

async function withLake(work: (lake: TestLake) => Promise<void>): Promise<void> {
  const lake = await openTestLake();
  try {
    for (const number of [0, 1, 2]) await lake.commit([{ row: makeRow(number) }]);
    await lake.store.put(big, Buffer.alloc(3 * 1024 * 1024, 7));
    await work(lake);
  } finally {
    await lake.close();
  }
}

/** The store, with one of its methods replaced. */
function changed(store: ObjectStore, methods: Partial<ObjectStore>): ObjectStore {
  return new Proxy(store, {
    get: (target, name) => {
      const own = methods[name as keyof ObjectStore];
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test("every object arrives, the log continues there, and is closed for processes that have the old place open", () =>
  withLake(async (lake) => {
    const before = await contentOf(lake.store);
    const to = await newPlace();
    const seen: number[] = [];
    const moved = await moveLake({
      from: lake.store,
      to,
      movedTo,
      onProgress: ({ bytes }) => seen.push(bytes),
    });
    assert.deepEqual(await contentOf(to), before);
    assert.deepEqual([moved.lakeId, moved.objects], [lake.commitLog.lakeId, before.size - 1]);
    assert.ok((seen.at(-1) ?? 0) > 3 * 1024 * 1024);
    const goesOn = await openCommitLog(to, { create: false });
    assert.equal((await goesOn.load()).number, 3);
    const closed = { code: "LAKE_MOVED", message: /start the gateway with --lake s3:\/\/bucket\/there/ };
    await assert.rejects(lake.commit([{ row: makeRow(3) }]), closed);
    await assert.rejects((await openCommitLog(lake.store, { create: true })).load(), closed);
    await assert.rejects(moveLake({ from: lake.store, to, movedTo }), closed);
    await assert.rejects(moveLake({ from: lake.store, to: await newPlace(), movedTo: "file:/else" }), closed);
  }));

test("an interrupted copy leaves the old lake in use and no lake in the new place; the next attempt continues", () =>
  withLake(async (lake) => {
    const place = await newPlace();
    const breaksOff = changed(place, { importFile: () => Promise.reject(new Error("unplugged")) });
    await assert.rejects(moveLake({ from: lake.store, to: breaksOff, movedTo }), /unplugged/);
    await lake.commit([{ row: makeRow(3) }]);
    await assert.rejects(openCommitLog(place, { create: true }), { code: "LAKE_DAMAGED" });
    const before = await contentOf(lake.store);
    await moveLake({ from: lake.store, to: place, movedTo });
    assert.deepEqual(await contentOf(place), before);
  }));

test("a move that was interrupted after the old lake was closed is completed by the next attempt", () =>
  withLake(async (lake) => {
    const place = await newPlace();
    const putIfAbsent: ObjectStore["putIfAbsent"] = (path, bytes) =>
      path === "_commits/lake.json" ? Promise.reject(new Error("unplugged")) : place.putIfAbsent(path, bytes);
    await assert.rejects(
      moveLake({ from: lake.store, to: changed(place, { putIfAbsent }), movedTo }),
      /unplugged/,
    );
    await assert.rejects(lake.commit([{ row: makeRow(3) }]), { code: "LAKE_MOVED" });
    const before = await contentOf(lake.store);
    assert.ok(before.delete("_commits/00000000000000000004.json"), "it closes the log");
    await moveLake({ from: lake.store, to: place, movedTo });
    assert.deepEqual(await contentOf(place), before);
  }));

test("commits during the copy are copied before the lake is closed, or the move is refused: LAKE_IN_USE", () =>
  withLake(async (lake) => {
    const place = await newPlace();
    let isCommitted = false;
    const importFile: ObjectStore["importFile"] = async (file, path) => {
      if (!isCommitted) await lake.commit([{ row: makeRow(3) }]);
      isCommitted = true;
      return place.importFile(file, path);
    };
    const busy = changed(place, { importFile });
    await assert.rejects(moveLake({ from: lake.store, to: busy, movedTo }), { code: "LAKE_IN_USE" });
    await lake.commit([{ row: makeRow(4) }]);
    const before = await contentOf(lake.store);
    await moveLake({ from: lake.store, to: place, movedTo });
    assert.deepEqual(await contentOf(place), before);
  }));

test("objects published or replaced during the copy arrive in their final state", () =>
  withLake(async (lake) => {
    const place = await newPlace();
    const hint = "telemetry/_delta_log/_last_checkpoint";
    const write = (version: number) => lake.store.put(hint, Buffer.from(JSON.stringify({ version })));
    await write(10);
    const importFile: ObjectStore["importFile"] = async (file, path) => {
      await write(20);
      await lake.store.put("telemetry/_delta_log/00000000000000000099.json", Buffer.from("{}"));
      return place.importFile(file, path);
    };
    await moveLake({ from: lake.store, to: changed(place, { importFile }), movedTo });
    const before = await contentOf(lake.store);
    assert.ok(before.delete("_commits/00000000000000000004.json"), "it closes the log");
    assert.deepEqual(await contentOf(place), before);
  }));

test("an object that did not arrive whole is detected: the new place is no lake", () =>
  withLake(async (lake) => {
    const place = await newPlace();
    const put: ObjectStore["put"] = (path, bytes) =>
      place.put(path, path.endsWith(".parquet") ? bytes.slice(1) : bytes);
    await assert.rejects(moveLake({ from: lake.store, to: changed(place, { put }), movedTo }), {
      code: "LAKE_DAMAGED",
      message: /has \d+ bytes in .*, and \d+ in/,
    });
    assert.equal(await place.get("_commits/lake.json"), null);
    await moveLake({ from: lake.store, to: place, movedTo });
    assert.equal((await (await openCommitLog(place, { create: false })).load()).number, 3);
  }));

test("a place that holds anything else is refused, and nothing is closed: LAKE_EXISTS", () =>
  withLake(async (lake) => {
    const used = await newPlace();
    await used.put("somebody/elses.txt", Buffer.from("x"));
    const other = await newPlace();
    await openCommitLog(other, { create: true });
    for (const to of [used, other])
      await assert.rejects(moveLake({ from: lake.store, to, movedTo }), { code: "LAKE_EXISTS" });
    await assert.rejects(moveLake({ from: await newPlace(), to: await newPlace(), movedTo }), {
      code: "LAKE_MISSING",
    });
    await lake.commit([{ row: makeRow(3) }]);
  }));
