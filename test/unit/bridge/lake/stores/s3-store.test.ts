import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Registry } from "prom-client";
import { BridgeError } from "../../../../../bridge/errors.ts";
import type { ObjectStore } from "../../../../../bridge/lake/stores/object-store.ts";
import type { S3StoreOptions } from "../../../../../bridge/lake/stores/s3/s3-store-options.ts";
import type { S3Request } from "../../../../support/s3-objects.ts";
import { type S3Fault, S3TestServer } from "../../../../support/s3-server.ts";
import { openTestStore, patientS3Config, s3Config } from "../../../../support/s3-store.ts";

const server = await S3TestServer.start();
after(() => server.close());

interface Subject {
  readonly store: ObjectStore;
  readonly folder: string;
  reopen(options?: Partial<S3StoreOptions>): Promise<ObjectStore>;
}

async function withStore(
  work: (subject: Subject) => Promise<void>,
  options: Partial<S3StoreOptions> = {},
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-s3-store-"));
  server.fault = () => "pass";
  server.store.objects.clear();
  server.store.uploads.clear();
  try {
    const reopen = (more: Partial<S3StoreOptions> = {}) =>
      openTestStore(server, { folder, prefix: "lake", config: patientS3Config, ...options, ...more });
    const store = await reopen();
    server.takeRequests();
    await work({ store, folder, reopen });
  } finally {
    server.fault = () => "pass";
    await rm(folder, { recursive: true, force: true });
  }
}

/** The first requests that `of` selects meet these faults, one each; the rest pass. */
function faults(of: (request: S3Request) => boolean, list: readonly S3Fault[]): void {
  const left = [...list];
  server.fault = (request) => (of(request) ? (left.shift() ?? "pass") : "pass");
}

const isPut = ({ method }: S3Request) => method === "PUT";
const isGet = ({ method, key }: S3Request) => method === "GET" && key !== "";
const bytes = (text: string) => new TextEncoder().encode(text);
const stored = (key: string) => server.store.objects.get(`lake/${key}`)?.bytes.toString();

const html = { status: 200, html: "<html><body>Sign in<br></body></html>" } as const;
const openFaults: readonly (readonly [name: string, code: string, fault: S3Fault])[] = [
  ["a missing bucket", "S3_BUCKET_MISSING", { status: 404, code: "NoSuchBucket" }],
  ["no permission", "S3_DENIED", { status: 403, code: "AccessDenied" }],
  ["an unknown key", "S3_CREDENTIALS_REFUSED", { status: 403, code: "InvalidAccessKeyId" }],
  ["a wrong secret", "S3_CREDENTIALS_REFUSED", { status: 403, code: "SignatureDoesNotMatch" }],
  ["an expired token", "S3_CREDENTIALS_REFUSED", { status: 400, code: "ExpiredToken" }],
  ["another region", "S3_REGION_WRONG", { status: 301, code: "PermanentRedirect" }],
  [
    "another region, named",
    "S3_REGION_WRONG",
    { status: 400, code: "AuthorizationHeaderMalformed", inside: "<Region>eu-west-1</Region>" },
  ],
  ["a clock that is wrong", "S3_CLOCK_SKEW", { status: 403, code: "RequestTimeTooSkewed" }],
  ["a web page", "S3_NOT_S3", html],
  ["a web page that is not found", "S3_NOT_S3", { status: 404, html: "<html>no</html>" }],
  ["an empty answer", "S3_NOT_S3", { status: 200, html: "" }],
  ["throttling", "STORE_UNAVAILABLE", { status: 503, code: "SlowDown" }],
  ["a failing server", "STORE_UNAVAILABLE", { status: 500, code: "InternalError" }],
  ["a failing gateway", "STORE_UNAVAILABLE", { status: 502, html: "<html>bad gateway</html>" }],
  ["resets", "STORE_UNAVAILABLE", "lose"],
  ["silence", "STORE_UNAVAILABLE", "hang"],
];

for (const [name, code, fault] of openFaults)
  test(`a lake is not opened: ${name} is ${code}, and says what to do`, () =>
    withStore(async ({ reopen }) => {
      server.fault = () => fault;
      const waits = fault === "hang" ? { timeoutMs: 150 } : {};
      const config = { ...patientS3Config, ...waits, attempts: 2 };
      await assert.rejects(reopen({ config }), (error) => {
        assert.ok(error instanceof BridgeError);
        assert.equal(error.code, code, error.message);
        assert.equal(error.retryable, ["STORE_UNAVAILABLE", "S3_CLOCK_SKEW"].includes(code));
        assert.doesNotMatch(error.message, /test-secret/);
        return true;
      });
      assert.ok(server.requests.length <= 2, "bounded attempts");
    }));

test("the error names the right region if S3 says it, and the operation that is not allowed", () =>
  withStore(async ({ reopen }) => {
    server.fault = () => ({
      status: 400,
      code: "AuthorizationHeaderMalformed",
      inside: "<Region>eu-west-1</Region>",
    });
    await assert.rejects(reopen(), /region=eu-west-1/);
    faults(isPut, [{ status: 403, code: "AccessDenied" }]);
    await assert.rejects(reopen(), /PutObject on lake-bucket\/lake\/_probe\/.*s3:PutObject/);
    server.fault = () => ({ status: 403, code: "AccessDenied" });
    await assert.rejects(reopen({ access: "read" }), /s3:ListBucket/);
  }));

test("a server that ignores conditions is refused, and with access to read it is not probed", () =>
  withStore(async ({ reopen }) => {
    server.store.objects.clear();
    server.fault = () => "ignore-condition";
    await assert.rejects(reopen(), { code: "S3_UNCONDITIONAL", retryable: false });
    faults(isPut, [{ status: 501, code: "NotImplemented" }]);
    await assert.rejects(reopen(), { code: "S3_UNCONDITIONAL" });
    server.fault = () => "pass";
    server.takeRequests();
    await reopen({ access: "read" });
    assert.deepEqual(server.takeRequests(), ["GET ?list"]);
  }));

test("without credentials the lake is not opened", () =>
  withStore(async ({ folder }) => {
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = process.env;
    const home = process.env["HOME"];
    try {
      const opened = openTestStore(server, { folder, prefix: "lake" });
      delete process.env["AWS_ACCESS_KEY_ID"];
      delete process.env["AWS_SECRET_ACCESS_KEY"];
      process.env["HOME"] = folder;
      await assert.rejects(opened, { code: "S3_CREDENTIALS_MISSING", retryable: false });
    } finally {
      Object.assign(process.env, { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, HOME: home });
    }
  }));

const outcomes: readonly (readonly [name: string, list: readonly S3Fault[]])[] = [
  ["an answer that is lost", ["lose-answer"]],
  ["a request that is lost", ["lose"]],
  ["silence", ["hang", "hang"]],
  [
    "a failing server",
    [
      { status: 500, code: "InternalError" },
      { status: 503, code: "SlowDown" },
    ],
  ],
  ["somebody else's request under way", [{ status: 409, code: "ConditionalRequestConflict" }]],
];

for (const [name, list] of outcomes)
  test(`create-if-absent ends with the truth after ${name}`, () =>
    withStore(
      async ({ store }) => {
        faults(isPut, list);
        assert.equal(await store.putIfAbsent("_commits/1.json", bytes("ours")), "created");
        assert.equal(stored("_commits/1.json"), "ours");
        faults(isPut, list);
        assert.equal(await store.putIfAbsent("_commits/1.json", bytes("theirs")), "exists");
        assert.equal(stored("_commits/1.json"), "ours");
      },
      list.includes("hang") ? { config: s3Config({ timeoutMs: 200 }) } : {},
    ));

test("ten racers whose answers are lost at random agree on one winner", () =>
  withStore(async ({ store, reopen }) => {
    const stores = [store, await reopen(), await reopen()];
    for (let round = 0; round < 20; round++) {
      server.fault = (request) => (isPut(request) && Math.random() < 0.4 ? "lose-answer" : "pass");
      const path = `_commits/${round}.json`;
      const results = await Promise.all(
        Array.from({ length: 10 }, (_, racer) =>
          (stores[racer % 3] as ObjectStore).putIfAbsent(path, bytes(`racer ${racer}`)),
        ),
      );
      assert.equal(results.filter((result) => result === "created").length, 1);
      assert.equal(stored(path), `racer ${results.indexOf("created")}`);
    }
  }));

test("a late put of a writer that gave up changes nothing that others built on", () =>
  withStore(
    async ({ store }) => {
      server.fault = (request) => (isPut(request) ? "late" : "pass");
      await assert.rejects(store.putIfAbsent("_commits/1.json", bytes("late")), {
        code: "STORE_UNAVAILABLE",
        retryable: true,
      });
      server.fault = () => "pass";
      assert.equal(await store.putIfAbsent("_commits/1.json", bytes("other")), "created");
      server.releaseLate();
      assert.equal(stored("_commits/1.json"), "other");
    },
    { config: s3Config({ timeoutMs: 200, attempts: 2 }) },
  ));

test("a put that succeeds after its time-out and before the next attempt is still ours", () =>
  withStore(
    async ({ store }) => {
      let puts = 0;
      server.fault = (request) => {
        if (!isPut(request)) return "pass";
        if (++puts === 1) return "late";
        server.releaseLate();
        return "pass";
      };
      assert.equal(await store.putIfAbsent("_commits/1.json", bytes("ours")), "created");
      assert.equal(puts, 2);
    },
    { config: s3Config({ timeoutMs: 200 }) },
  ));

test("once open, every revoked right is retryable, because it may be granted again", () =>
  withStore(async ({ store }) => {
    for (const fault of [
      { status: 403, code: "AccessDenied" },
      { status: 404, code: "NoSuchBucket" },
      { status: 403, code: "InvalidAccessKeyId" },
    ] as const) {
      server.fault = () => fault;
      const isRetryable = (error: unknown) => error instanceof BridgeError && error.retryable;
      await assert.rejects(store.putIfAbsent("a", bytes("x")), isRetryable);
      await assert.rejects(store.get("a"), isRetryable);
    }
    server.fault = () => "pass";
    assert.equal(await store.putIfAbsent("a", bytes("x")), "created");
  }));

test("an exhausted quota is STORE_FULL, and any other refusal quotes the server", () =>
  withStore(async ({ store }) => {
    server.fault = () => ({ status: 403, code: "QuotaExceeded" });
    await assert.rejects(store.put("a", bytes("x")), { code: "STORE_FULL", retryable: true });
    server.fault = () => ({ status: 400, code: "InvalidRequest" });
    await assert.rejects(store.put("a", bytes("x")), { code: "S3_REFUSED", message: /InvalidRequest/ });
  }));

test("a web page is neither an object nor proof that one was stored", () =>
  withStore(async ({ store }) => {
    server.fault = () => html;
    await assert.rejects(store.get("a"), { code: "S3_NOT_S3" });
    await assert.rejects(store.put("a", bytes("x")), { code: "S3_NOT_S3" });
    await assert.rejects(store.putIfAbsent("a", bytes("x")), { code: "S3_NOT_S3" });
    server.fault = () => ({ status: 404, html: "<html>gone</html>" });
    await assert.rejects(store.get("a"), { code: "S3_NOT_S3" });
  }));

test("an answer that stops in the middle is requested again", () =>
  withStore(async ({ store }) => {
    await store.put("a", bytes("0123456789".repeat(1000)));
    faults(isGet, ["half", "half"]);
    assert.equal((await store.get("a"))?.length, 10_000);
    faults(isGet, ["half"]);
    const copies = await store.localCopies(["a"]);
    assert.ok(existsSync(copies.location("a")));
    await copies.release();
  }));

test("a request without an answer is sent a bounded number of times", () =>
  withStore(
    async ({ store }) => {
      server.fault = () => "hang";
      await assert.rejects(store.get("a"), { code: "STORE_UNAVAILABLE", retryable: true });
      assert.equal(server.takeRequests().length, 3);
    },
    { config: s3Config({ timeoutMs: 250, attempts: 3 }) },
  ));

test("a stopped opening ends at once, and an open store continues", () =>
  withStore(async ({ reopen }) => {
    const config = s3Config({ timeoutMs: 60_000, connectTimeoutMs: 5000 });
    const early = new AbortController();
    server.fault = () => {
      setImmediate(() => early.abort());
      return "hang";
    };
    await assert.rejects(reopen({ config, signal: early.signal }), { code: "STORE_UNAVAILABLE" });
    server.fault = () => "pass";
    const late = new AbortController();
    const store = await reopen({ config, signal: late.signal });
    late.abort();
    assert.equal(await store.putIfAbsent("a", bytes("x")), "created");
  }));

function largeFile(store: ObjectStore): { file: string; content: Buffer } {
  const file = join(store.stagingFolder, "large.parquet");
  const content = randomBytes(20 * 1024 ** 2);
  writeFileSync(file, content);
  return { file, content };
}

test("a large file is uploaded in parts; failed parts are sent again", () =>
  withStore(async ({ store }) => {
    const { file, content } = largeFile(store);
    faults(({ query }) => query.has("partNumber"), [{ status: 503, code: "SlowDown" }, "lose"]);
    assert.deepEqual(await store.importFile(file, "t/x.parquet"), { bytes: content.length });
    assert.ok(server.store.objects.get("lake/t/x.parquet")?.bytes.equals(content));
    assert.equal(server.store.uploads.size, 0);
    assert.equal(existsSync(file), false);
  }));

test("a failed upload is aborted, and its file stays for the next attempt", () =>
  withStore(async ({ store }) => {
    const { file } = largeFile(store);
    server.fault = ({ query }) => (query.has("partNumber") ? { status: 403, code: "AccessDenied" } : "pass");
    await assert.rejects(store.importFile(file, "t/x.parquet"), { code: "S3_DENIED", retryable: true });
    assert.ok(existsSync(file));
    assert.equal(server.store.uploads.size, 0);
    assert.equal(server.store.objects.has("lake/t/x.parquet"), false);
  }));

test("unfinished uploads are aborted a day later, those of other lakes never", () =>
  withStore(async ({ store, reopen }) => {
    const begun = { initiated: new Date(), parts: new Map() };
    server.store.uploads.set("ours", { key: "lake/t/x.parquet", ...begun });
    server.store.uploads.set("others", { key: "lake-2/t/x.parquet", ...begun });
    assert.equal(await store.removeLeftovers(), 0);
    server.store.now = () => Date.now() + 25 * 3_600_000;
    await reopen().finally(() => {
      server.store.now = Date.now;
    });
    assert.deepEqual([...server.store.uploads.keys()], ["others"]);
    server.fault = ({ query }) => (query.has("uploads") ? { status: 501, code: "NotImplemented" } : "pass");
    assert.equal(await (await reopen()).removeLeftovers(), 0);
  }));

test("encryption and checksums apply to every object if they are set, and not otherwise", () =>
  withStore(async ({ store, reopen }) => {
    const last = () => server.requests.at(-1)?.headers ?? {};
    await store.put("a", bytes("x"));
    assert.equal(last()["x-amz-server-side-encryption"], undefined);
    assert.ok(last()["x-amz-checksum-crc32"]);
    const kms = await reopen({
      config: s3Config({ encryption: "aws:kms", kmsKeyId: "key-1", checksums: "none" }),
    });
    await kms.putIfAbsent("b", bytes("x"));
    assert.equal(last()["x-amz-server-side-encryption"], "aws:kms");
    assert.equal(last()["x-amz-server-side-encryption-aws-kms-key-id"], "key-1");
    assert.equal(last()["x-amz-checksum-crc32"], undefined);
  }));

test("listings continue over pages", () =>
  withStore(async ({ store }) => {
    for (let number = 0; number < 2500; number++)
      server.store.objects.set(`lake/many/${String(number).padStart(5, "0")}`, {
        bytes: Buffer.alloc(1),
        tag: "t",
        modified: new Date(),
      });
    const paths: string[] = [];
    for await (const { path } of store.list("many/", { after: "many/00099" })) paths.push(path);
    assert.equal(paths.length, 2400);
    assert.deepEqual(paths, [...paths].sort());
  }));

test("requests are counted by operation and outcome", () => {
  const registry = new Registry();
  return withStore(
    async ({ store }) => {
      await store.get("a");
      await store.put("a", bytes("x"));
      await store.putIfAbsent("a", bytes("y"));
      const text = await registry.metrics();
      assert.match(text, /tidegate_s3_requests_total\{operation="GetObject",outcome="absent"\} 1/);
      // Opening the store put and found the probe, and read the time.
      assert.match(text, /tidegate_s3_requests_total\{operation="PutObject",outcome="ok"\} 3/);
      assert.match(text, /tidegate_s3_requests_total\{operation="PutObject",outcome="exists"\} 2/);
    },
    { registry },
  );
});
