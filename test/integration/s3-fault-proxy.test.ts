import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, describe, test } from "node:test";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import {
  cutAnswer,
  HeldCalls,
  htmlAnswer,
  resetAfter,
  timeOutAfterSuccess,
} from "../../simulator/prove/fault-proxies/http-fault.ts";
import { S3FaultProxy } from "../../simulator/prove/fault-proxies/s3-fault-proxy.ts";
import {
  conditionalConflict,
  internalErrorAfter,
  internalErrorBefore,
  makeReadOnly,
  noSuchBucket,
  s3AccessDenied,
  s3ClockSkew,
  slowDownAfter,
  slowDownBefore,
  wrongRegion,
} from "../../simulator/prove/fault-proxies/s3-faults.ts";
import { RadosgwCluster } from "../../simulator/prove/servers/radosgw-cluster.ts";
import { createBucket, localS3Client } from "../../simulator/prove/servers/s3-admin.ts";
import { s3rverCredentials, startS3rver } from "../../simulator/prove/servers/s3rver.ts";
import { until } from "../support/until.ts";

const Bucket = "lake";
const folder = await mkdtemp(join(tmpdir(), "tidegate-s3-faults-"));
const s3rver = await startS3rver({ folder: join(folder, "s3rver"), buckets: [Bucket] });
const cluster = await RadosgwCluster.start(join(folder, "radosgw"));
after(async () => {
  await s3rver.kill();
  await cluster.close();
  await rm(folder, { recursive: true, force: true });
});

function put(client: S3Client, Key: string, Body: string, IfNoneMatch?: "*", signal?: AbortSignal) {
  const command = new PutObjectCommand({ Bucket, Key, Body, ...(IfNoneMatch ? { IfNoneMatch } : {}) });
  return outcome(client.send(command, signal ? { abortSignal: signal } : {}));
}

function outcome(sent: Promise<unknown>): Promise<string> {
  return sent.then(
    () => "done",
    (error: Error) => error.name,
  );
}

/** null if there is no such object. */
async function textOf(client: S3Client, Key: string): Promise<string | null> {
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    return (await Body?.transformToString()) ?? null;
  } catch (error) {
    if ((error as Error).name === "NoSuchKey") return null;
    throw error;
  }
}

const servers = [
  { server: "s3rver", port: s3rver.port, url: s3rver.url, credentials: s3rverCredentials },
  { server: "radosgw", port: cluster.port, url: cluster.url, credentials: cluster.credentials },
] as const;

for (const { server, port, url, credentials } of servers) {
  describe(`the S3 fault proxy in front of ${server}`, async () => {
    const proxy = await S3FaultProxy.listen({ targetPort: port, server });
    const client = localS3Client(proxy.url, credentials, { maxAttempts: 1 });
    const direct = localS3Client(url, credentials);
    if (server === "radosgw") await createBucket(client, Bucket);
    after(async () => {
      client.destroy();
      direct.destroy();
      await proxy.close();
    });

    test("objects pass whole, small and large", async () => {
      const large = Buffer.alloc(6_000_000, 7);
      assert.equal(await put(client, "small", "text"), "done");
      const upload = new Upload({
        client,
        params: { Bucket, Key: "large", Body: Readable.from([large, large]) },
      });
      await upload.done();
      assert.equal(await textOf(client, "small"), "text");
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: "large" }));
      assert.ok(
        large.equals(Buffer.from((await Body?.transformToByteArray()) ?? []).subarray(0, large.length)),
      );
      const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }));
      assert.equal(Contents?.find(({ Key }) => Key === "large")?.Size, 2 * large.length);
    });

    test("of ten racers for one key exactly one wins; readers see its whole object, which stays", async () => {
      const text = (racer: number) => String(racer).repeat(100_000);
      const racers = Array.from({ length: 10 }, (_, racer) => put(client, "raced", text(racer), "*"));
      const readers = Array.from({ length: 10 }, () => textOf(client, "raced"));
      const outcomes = await Promise.all(racers);
      const winner = outcomes.indexOf("done");
      assert.deepEqual(
        outcomes.toSorted(),
        outcomes.map((_, index) => (index < 9 ? "PreconditionFailed" : "done")),
      );
      for (const read of await Promise.all(readers)) assert.ok(read === null || read === text(winner));
      assert.equal(await put(client, "raced", "later", "*"), "PreconditionFailed");
      assert.equal(await textOf(direct, "raced"), text(winner));
    });

    test("an error before the write leaves no object, and an error after the write leaves the object", async () => {
      const cases = [
        [slowDownBefore(), "SlowDown", null],
        [slowDownAfter(), "SlowDown", "x"],
        [internalErrorBefore(), "InternalError", null],
        [internalErrorAfter(), "InternalError", "x"],
        [conditionalConflict(), "ConditionalRequestConflict", null],
        [s3AccessDenied(), "AccessDenied", null],
        [noSuchBucket(), "NoSuchBucket", null],
        [wrongRegion("eu-central-1"), "PermanentRedirect", null],
        [resetAfter(), "TimeoutError", "x"],
      ] as const;
      for (const [index, [fault, name, text]] of cases.entries()) {
        const injected = proxy.inject(fault, { on: ["PutObject"], times: 1 });
        assert.equal(await put(client, `error-${index}`, "x", "*"), name);
        assert.equal(injected.struck, 1);
        assert.equal(await textOf(direct, `error-${index}`), text, fault.name);
      }
    });

    test("a put that timed out after its success has stored the object, and a second put is refused", async () => {
      const fault = proxy.inject(timeOutAfterSuccess(), { on: ["PutObject"], times: 1 });
      const waiting = new AbortController();
      const sent = put(client, "timed-out", "x", "*", waiting.signal);
      await until("the put was struck", () => fault.struck === 1);
      waiting.abort();
      assert.equal(await sent, "AbortError");
      assert.equal(await put(client, "timed-out", "y", "*"), "PreconditionFailed");
      assert.equal(await textOf(direct, "timed-out"), "x");
    });

    test("if both puts are conditional, a late put loses to one that came meanwhile; otherwise the late put overwrites", async () => {
      const held = new HeldCalls();
      proxy.inject(held, { on: ["PutObject"], times: 2 });
      assert.notEqual(await put(client, "late", "first", "*"), "done");
      assert.notEqual(await put(client, "late-plain", "first"), "done");
      assert.equal(held.size, 2);
      assert.equal(await textOf(direct, "late"), null);
      assert.equal(await put(client, "late", "second", "*"), "done");
      assert.equal(await put(client, "late-plain", "second"), "done");
      assert.deepEqual(
        (await held.release()).map(({ status }) => status),
        [412, 200],
      );
      assert.equal(await textOf(direct, "late"), "second");
      assert.equal(await textOf(direct, "late-plain"), "first");
    });

    test("a read-only bucket can be read and listed, and later written again", async () => {
      assert.equal(await put(client, "kept", "x"), "done");
      const readOnly = makeReadOnly(proxy);
      assert.equal(await put(client, "kept", "y"), "AccessDenied");
      assert.equal(
        await outcome(client.send(new DeleteObjectCommand({ Bucket, Key: "kept" }))),
        "AccessDenied",
      );
      assert.equal(await textOf(client, "kept"), "x");
      assert.ok((await client.send(new ListObjectsV2Command({ Bucket }))).Contents?.length);
      assert.equal(proxy.counters["readOnly"], 2);
      readOnly.remove();
      assert.equal(await put(client, "kept", "y"), "done");
    });

    test("an answer that is cut short, HTML, or missing is not taken for an object", async () => {
      assert.equal(await put(client, "read", "x".repeat(50_000)), "done");
      for (const fault of [cutAnswer(), htmlAnswer(502)]) {
        const injected = proxy.inject(fault, { on: ["GetObject"], times: 1 });
        assert.notEqual(await outcome(textOf(client, "read")), "done");
        assert.equal(injected.struck, 1);
      }
      await proxy.down();
      assert.notEqual(await outcome(textOf(client, "read")), "done");
      await proxy.up();
      const patient = localS3Client(proxy.url, credentials);
      assert.equal((await textOf(patient, "read"))?.length, 50_000);
      patient.destroy();
    });

    test("a client with a wrong clock is refused", async () => {
      const skew = proxy.inject(s3ClockSkew(-3_600_000), { on: ["PutObject"], times: 1 });
      const skewed = localS3Client(proxy.url, credentials, { maxAttempts: 1 });
      assert.equal(await put(skewed, "skewed", "x"), "RequestTimeTooSkewed");
      assert.equal(skew.struck, 1);
      assert.equal(await textOf(direct, "skewed"), null);
      skewed.destroy();
    });
  });
}

test("requests that s3rver would store wrongly are refused", async () => {
  const proxy = await S3FaultProxy.listen({ targetPort: s3rver.port, server: "s3rver" });
  const client = localS3Client(proxy.url, s3rverCredentials, { maxAttempts: 1 });
  const Body = Readable.from([Buffer.alloc(1000)]);
  const sent = client.send(new PutObjectCommand({ Bucket, Key: "framed", Body, ContentLength: 1000 }));
  assert.equal(await outcome(sent), "NotImplemented");
  assert.equal(await textOf(client, "framed"), null);
  client.destroy();
  await proxy.close();
});
