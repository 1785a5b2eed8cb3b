import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { ObjectStore } from "../../../../../bridge/lake/stores/object-store.ts";
import { S3TestServer } from "../../../../support/s3-server.ts";
import { openTestStore, s3Config } from "../../../../support/s3-store.ts";

const server = await S3TestServer.start();
after(() => server.close());

async function withLake(
  work: (lake: {
    store: ObjectStore;
    folder: string;
    file: (bytes: number) => Promise<string>;
  }) => Promise<void>,
  cacheMaxBytes = 1_000_000,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-s3-copies-"));
  server.fault = () => "pass";
  try {
    const store = await openTestStore(server, {
      folder,
      prefix: "lake",
      config: s3Config({ cacheMaxBytes }),
    });
    const file = async (bytes: number) => {
      const path = `t/event_hour=1/${randomUUID()}.parquet`;
      await store.put(path, new Uint8Array(bytes).fill(bytes % 251));
      return path;
    };
    server.takeRequests();
    await work({ store, folder, file });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function kept(folder: string): number {
  return readdirSync(join(folder, "cache")).reduce(
    (sum, name) => sum + statSync(join(folder, "cache", name)).size,
    0,
  );
}

test("a copied file is not downloaded again, whichever process copied it", () =>
  withLake(async ({ store, folder, file }) => {
    const path = await file(1000);
    await (await store.localCopies([path])).release();
    const other = await openTestStore(server, { folder, prefix: "lake" });
    server.takeRequests();
    const copies = await other.localCopies([path, path]);
    assert.equal(readFileSync(copies.location(path)).length, 1000);
    assert.deepEqual(server.takeRequests(), []);
    await copies.release();
  }));

test("the same path of another lake is another file", () =>
  withLake(async ({ store, folder, file }) => {
    const path = await file(1000);
    await (await store.localCopies([path])).release();
    const other = await openTestStore(server, { folder, prefix: "other" });
    await assert.rejects(other.localCopies([path]), { code: "LAKE_DAMAGED", retryable: true });
  }));

test("a name that may be used twice is downloaded each time", () =>
  withLake(async ({ store }) => {
    const path = "t/_delta_log/00000000000000000100.checkpoint.parquet";
    for (const text of ["first", "second"]) {
      await store.put(path, Buffer.from(text));
      const copies = await store.localCopies([path]);
      assert.equal(readFileSync(copies.location(path), "utf8"), text);
      await copies.release();
    }
  }));

test("kept copies are bounded; the least recently used goes first, and stays with its readers", () =>
  withLake(async ({ store, folder, file }) => {
    const [old, used, ...more] = await Promise.all([400, 401, 402, 403].map((bytes) => file(bytes * 1000)));
    assert.ok(old && used);
    const reading = await store.localCopies([old]);
    await (await store.localCopies([used])).release();
    await (await store.localCopies(more)).release();
    assert.ok(kept(folder) <= 1_000_000, `${kept(folder)} bytes`);
    assert.equal(readFileSync(reading.location(old)).length, 400_000);
    await reading.release();
    server.takeRequests();
    await (await store.localCopies(more.slice(-1))).release();
    assert.deepEqual(server.takeRequests(), []);
    await (await store.localCopies([old])).release();
    assert.equal(server.takeRequests().length, 1);
  }));

test("downloads are parallel and bounded; a failure leaves nothing behind", () =>
  withLake(async ({ store, file }) => {
    const paths = await Promise.all(Array.from({ length: 30 }, () => file(10)));
    let underWay = 0;
    let most = 0;
    server.fault = () => {
      most = Math.max(most, ++underWay);
      setTimeout(() => underWay--, 15);
      return { delayMs: 15 };
    };
    await (await store.localCopies(paths)).release();
    assert.ok(most > 1 && most <= 8, `${most} at a time`);
    const fresh = await file(10);
    server.fault = () => ({ status: 403, code: "AccessDenied" });
    await assert.rejects(store.localCopies([...paths, fresh]), { code: "S3_DENIED" });
    assert.deepEqual(readdirSync(store.stagingFolder), []);
  }));

test("an interrupted download never counts as the file", () =>
  withLake(async ({ store, folder, file }) => {
    const path = await file(50_000);
    server.fault = () => "half";
    await assert.rejects(store.localCopies([path]), { code: "STORE_UNAVAILABLE", retryable: true });
    assert.equal(kept(folder), 0);
    server.fault = () => "pass";
    const copies = await store.localCopies([path]);
    assert.equal(statSync(copies.location(path)).size, 50_000);
    await copies.release();
    assert.equal(existsSync(copies.folder), false);
  }));
