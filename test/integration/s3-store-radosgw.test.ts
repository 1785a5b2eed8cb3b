import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { openS3Store } from "../../bridge/lake/stores/s3/open-s3-store.ts";
import { parseS3Url } from "../../bridge/lake/stores/s3/s3-url.ts";
import { moveLake } from "../../bridge/lake/upkeep/move-lake.ts";
import { RadosgwCluster } from "../../simulator/prove/servers/radosgw-cluster.ts";
import { createBucket, localS3Client } from "../../simulator/prove/servers/s3-admin.ts";
import { makeEntry } from "../contract/commit-log-contract.ts";
import { objectStoreContract } from "../contract/object-store-contract.ts";
import { programArguments } from "../support/programs.ts";
import { s3Config } from "../support/s3-store.ts";
import { contentOf } from "../support/store-content.ts";
import { makeRow, openTestLake } from "../support/test-lake.ts";

const folder = await mkdtemp(join(tmpdir(), "tidegate-radosgw-store-"));
after(() => rm(folder, { recursive: true, force: true }));
const cluster = await RadosgwCluster.start(join(folder, "ceph"));
after(() => cluster.close());
const admin = localS3Client(cluster.url, cluster.credentials);
after(() => admin.destroy());
const bucket = "lakes";
await createBucket(admin, bucket);
process.env["AWS_ACCESS_KEY_ID"] = cluster.credentials.accessKeyId;
process.env["AWS_SECRET_ACCESS_KEY"] = cluster.credentials.secretAccessKey;

const config = s3Config({ timeoutMs: 20_000, connectTimeoutMs: 5000 });
let lakes = 0;

function url(prefix: string): string {
  return `s3://${bucket}/${prefix}?endpoint=${cluster.url}`;
}

function open(prefix: string, options: { leftAfterMs?: number } = {}): Promise<ObjectStore> {
  return openS3Store(parseS3Url(url(prefix)), {
    config,
    folder: join(folder, "files"),
    access: "write",
    ...options,
  });
}

async function openFresh() {
  const prefix = `lake-${lakes++}`;
  return { store: await open(prefix), reopen: () => open(prefix), close: async () => {} };
}

objectStoreContract("S3 store on radosgw", openFresh);

test("on radosgw: of ten writers of one number exactly one commits, and all read its entry", async () => {
  const { store, reopen } = await openFresh();
  await openCommitLog(store, { create: true });
  const writers = await Promise.all(
    Array.from({ length: 10 }, async () => openCommitLog(await reopen(), { create: false })),
  );
  for (let number = 1; number <= 5; number++) {
    const entries = writers.map(() => makeEntry(number));
    const results = await Promise.all(
      writers.map(async (log, writer) => {
        await log.load();
        return (await log.append(entries[writer] as (typeof entries)[0])).outcome;
      }),
    );
    const winner = results.indexOf("committed");
    assert.deepEqual(
      results.filter((outcome) => outcome !== "taken"),
      ["committed"],
    );
    for (const log of writers) {
      await log.load();
      assert.equal((await log.entry(number))?.commitId, entries[winner]?.commitId);
    }
  }
});

test("on radosgw: a lake moves from a disk to the bucket and back, byte for byte, and each old place is closed", async () => {
  const lake = await openTestLake();
  try {
    for (const number of [0, 1, 2]) await lake.commit([{ row: makeRow(number) }]);
    await lake.store.put("telemetry/event_date=2026-01-01/big.parquet", Buffer.alloc(6 * 2 ** 20, 7));
    const before = await contentOf(lake.store);
    const { store: there } = await openFresh();
    await moveLake({ from: lake.store, to: there, movedTo: "s3://lakes/there" });
    for (const [path, content] of await contentOf(there))
      if (!path.startsWith("_probe/")) assert.equal(content, before.get(path), path);
    const back = await openLocalStore(join(folder, "back"));
    const moved = await moveLake({ from: there, to: back, movedTo: "file:/back" });
    assert.deepEqual([moved.lakeId, moved.objects], [lake.commitLog.lakeId, before.size - 1]);
    assert.deepEqual(await contentOf(back), before);
    for (const left of [lake.store, there])
      await assert.rejects((await openCommitLog(left, { create: true })).load(), { code: "LAKE_MOVED" });
    assert.equal((await (await openCommitLog(back, { create: false })).load()).number, 3);
  } finally {
    await lake.close();
  }
});

test("on radosgw: each of many races has exactly one winner, whose bytes stay", async () => {
  const stores = [await open("races"), await open("races")];
  for (let round = 0; round < 20; round++) {
    const path = `_commits/${round}.json`;
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, racer) =>
        (stores[racer % 2] as ObjectStore).putIfAbsent(path, Buffer.from(`racer ${racer}`)),
      ),
    );
    assert.equal(results.filter((result) => result === "created").length, 1);
    const found = Buffer.from((await stores[0]?.get(path)) ?? []).toString();
    assert.equal(found, `racer ${results.indexOf("created")}`);
  }
});

test("on radosgw: a wrong secret and a missing bucket are different errors", async () => {
  const { AWS_SECRET_ACCESS_KEY: secret } = process.env;
  process.env["AWS_SECRET_ACCESS_KEY"] = "wrong";
  try {
    await assert.rejects(open("x"), { code: "S3_CREDENTIALS_REFUSED" });
  } finally {
    process.env["AWS_SECRET_ACCESS_KEY"] = secret;
  }
  const missing = parseS3Url(`s3://no-such-bucket/x?endpoint=${cluster.url}`);
  await assert.rejects(openS3Store(missing, { config, folder, access: "write" }), {
    code: "S3_BUCKET_MISSING",
  });
});

test("on radosgw: a file in several parts is read as it was stored, with checksums and without", async () => {
  const content = randomBytes(20 * 1024 ** 2);
  for (const checksums of ["crc32", "none"] as const) {
    const options = {
      config: { ...config, checksums },
      folder: join(folder, checksums),
      access: "write",
    } as const;
    const store = await openS3Store(parseS3Url(url("parts")), options);
    const staged = join(store.stagingFolder, "large.parquet");
    writeFileSync(staged, content);
    const path = `t/${checksums}.parquet`;
    assert.deepEqual(await store.importFile(staged, path), { bytes: content.length });
    assert.ok(content.equals((await store.get(path)) ?? Buffer.alloc(0)));
    const copies = await store.localCopies([path]);
    assert.ok(content.equals(readFileSync(copies.location(path))));
    await copies.release();
  }
});

async function uploadsBelow(prefix: string): Promise<number> {
  const listed = await admin.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }));
  return listed.Uploads?.length ?? 0;
}

/** A process that imports a large file again and again. */
function uploader(prefix: string, file: string): ChildProcess {
  const program = programArguments("test/support/upload-child.ts");
  return spawn(process.execPath, [...program, url(prefix), join(folder, "child"), file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

test("on radosgw: a process that is killed during uploads leaves no object, and its parts are removed a day later", async () => {
  const prefix = "killed";
  const file = join(folder, "large.parquet");
  writeFileSync(file, randomBytes(64 * 1024 ** 2));
  const store = await open(prefix);
  for (let kill = 0; kill < 3; kill++) {
    const child = uploader(prefix, file);
    assert.ok(child.stdout);
    await once(child.stdout, "data");
    while ((await uploadsBelow(prefix)) <= kill && child.exitCode === null);
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  const left = await uploadsBelow(prefix);
  assert.ok(left > 0, "the process was killed during an upload");
  for await (const { path } of store.list("t/")) assert.fail(`${path} is an incomplete object`);
  assert.equal(await store.removeLeftovers(), 0);
  const tomorrow = await open(prefix, { leftAfterMs: -25 * 3_600_000 });
  assert.equal(await uploadsBelow(prefix), 0);
  assert.equal(await tomorrow.removeLeftovers(), 0);
});
