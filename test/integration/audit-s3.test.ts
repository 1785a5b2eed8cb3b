import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { audit } from "../../simulator/audit/audit.ts";
import { openLake } from "../../simulator/audit/open-lake.ts";
import { type AuditedRun, auditedRun, flaws } from "../support/audited-run.ts";
import { S3TestServer } from "../support/s3-server.ts";

const server = await S3TestServer.start();
after(() => server.close());
Object.assign(process.env, server.environment);
const quiet = { show: () => {}, stop: () => {} };
let lakes = 0;

function put(key: string, bytes: Buffer): void {
  server.store.objects.set(key, { bytes, tag: "tag", modified: new Date() });
}

/** A copy of the run's lake in the bucket, and the audit of that copy. */
function inBucket({ lake, ledger }: AuditedRun) {
  const prefix = `audited-${lakes++}`;
  for (const file of readdirSync(lake.folder, { recursive: true, encoding: "utf8" })) {
    const path = join(lake.folder, file);
    if (statSync(path).isFile()) put(`${prefix}/${file}`, readFileSync(path));
  }
  const options = {
    ledgerFolder: ledger,
    lake: openLake(server.url(prefix)),
    waitMs: 0,
    settleMs: 0,
    lookAgainMs: 5,
  };
  return { prefix, audit: () => audit(options, quiet, new AbortController().signal) };
}

test("a lake in S3 is audited like one on a disk, from its checkpoint on, and nothing is written", async () => {
  const run = await auditedRun();
  run.lake.keepCommitLog();
  await run.lake.add("telemetry", run.rows.slice(0, 200));
  await run.lake.checkpoint("telemetry", { parts: 1, removeEntries: true });
  await run.lake.add("telemetry", run.rows.slice(200));
  const { audit: auditBucket } = inBucket(run);
  server.takeRequests();
  const result = await auditBucket();
  assert.deepEqual([...flaws(result), result.logFaults, result.isProven], [0, 0, 0, 0, 0, true]);
  assert.deepEqual(
    server.takeRequests().filter((request) => !request.startsWith("GET ")),
    [],
  );
});

test("missing and duplicated rows in S3 are found", async () => {
  const run = await auditedRun();
  await run.lake.add("telemetry", run.rows.slice(0, 300));
  await run.lake.add("telemetry", run.rows.slice(290, 310));
  const { prefix, audit: auditBucket } = inBucket(run);
  const [lost, duplicated] = flaws(await auditBucket());
  assert.deepEqual([lost, duplicated], [run.plan.total - 310, 10]);
  const file = [...server.store.objects.keys()].find((key) =>
    key.startsWith(`${prefix}/telemetry/event_date`),
  );
  assert.ok(file);
  server.store.objects.delete(file);
  const [fault] = (await auditBucket()).faults;
  assert.equal(fault?.code, "AUDIT_FILE_UNREADABLE");
});

test("a missing commit in S3 is found, and so is a commit log that can't be listed", async () => {
  const run = await auditedRun();
  run.lake.keepCommitLog();
  await run.lake.add("telemetry", run.rows.slice(0, 300));
  await run.lake.add("telemetry", run.rows.slice(300));
  const { prefix, audit: auditBucket } = inBucket(run);
  server.fault = ({ query }) =>
    query.get("prefix")?.includes("_commits/") === true ? { status: 403, code: "AccessDenied" } : "pass";
  const unread = await auditBucket();
  assert.deepEqual([unread.isProven, unread.faults[0]?.code], [false, "AUDIT_LAKE_UNREACHABLE"]);
  server.fault = () => "pass";
  server.store.objects.delete(`${prefix}/_commits/${"1".padStart(20, "0")}.json`);
  const result = await auditBucket();
  assert.deepEqual([result.logFaults > 0, result.isProven], [true, false]);
  assert.match(result.examples[0] ?? "", /commit 1 is missing/);
});

test("an unreadable bucket proves nothing, and the audit says why", async () => {
  const run = await auditedRun();
  await run.lake.add("telemetry", run.rows);
  const { audit: auditBucket } = inBucket(run);
  server.fault = () => ({ status: 403, code: "AccessDenied" });
  await assert.rejects(auditBucket(), {
    code: "AUDIT_LAKE_UNREACHABLE",
    message: /AccessDenied.*AWS credentials/,
  });
  server.fault = ({ query }) => (query.has("list-type") ? { status: 403, code: "AccessDenied" } : "pass");
  const result = await auditBucket();
  assert.deepEqual([result.isProven, result.faults[0]?.code], [false, "AUDIT_LAKE_UNREACHABLE"]);
  server.fault = () => "pass";
  assert.equal((await auditBucket()).isProven, true);
});

test("large objects are read in parts", async () => {
  const bytes = randomBytes(17 * 1024 ** 2);
  put("large/file.parquet", bytes);
  put("large/empty", Buffer.alloc(0));
  const lake = openLake(server.url("large"));
  const file = await lake.open("file.parquet");
  assert.equal(file?.bytes, bytes.length);
  for (const [start, end] of [
    [0, 10],
    [bytes.length - 8, bytes.length],
    [16 * 1024 ** 2 - 5, 16 * 1024 ** 2 + 5],
  ] as const)
    assert.ok(Buffer.from((await file?.slice(start, end)) ?? []).equals(bytes.subarray(start, end)));
  assert.equal((await lake.open("empty"))?.bytes, 0);
  assert.equal(await lake.open("nothing"), null);
  assert.deepEqual((await lake.list("")).sort(), ["empty", "file.parquet"]);
});

test("URLs that name no lake are refused; the error does not repeat credentials", () => {
  for (const url of ["s3:", "s3://id:topsecret@bucket/x", "gs://bucket"])
    assert.throws(
      () => openLake(url),
      (error: Error) => {
        assert.equal((error as { code?: string }).code, "AUDIT_USAGE");
        assert.doesNotMatch(error.message, /topsecret/);
        return true;
      },
    );
});
