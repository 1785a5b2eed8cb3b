import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { endsInTime, GatewayProcess, runCli } from "../support/gateway-process.ts";
import { LiveMemory } from "../support/live-memory.ts";
import type { RunningFleet } from "../support/running-fleet.ts";
import type { S3Request } from "../support/s3-objects.ts";
import { S3TestServer } from "../support/s3-server.ts";
import { SharedGateways } from "../support/shared-gateways.ts";

const mib = 2 ** 20;
const server = await S3TestServer.start();
after(() => server.close());
// Commands that run in this process need the credentials as well.
Object.assign(process.env, server.environment);
beforeEach(() => {
  server.fault = () => "pass";
  server.requests.length = 0;
});
let lakes = 0;

const environment = { TIDEGATE_S3_TIMEOUT_MS: "1500", TIDEGATE_S3_CONNECT_TIMEOUT_MS: "500" };
const isWrite = ({ method }: S3Request) => method === "PUT" || method === "POST" || method === "DELETE";

/** A gateway with its lake in the bucket. */
async function withGateway(
  use: (gateways: SharedGateways, prefix: string) => Promise<void>,
  settings: Readonly<Record<string, string>> = {},
): Promise<void> {
  const prefix = `lake-${lakes++}`;
  const gateways = await SharedGateways.start(1, [], {
    lake: server.url(prefix),
    environment: { ...environment, ...settings },
  });
  try {
    await use(gateways, prefix);
  } finally {
    server.fault = () => "pass";
    await gateways.destroy();
  }
}

async function assertExact(gateways: SharedGateways, fleet: RunningFleet, expected: number): Promise<void> {
  const { acked, gaveUp } = await fleet.summary();
  assert.deepEqual({ acked, gaveUp }, { acked: expected, gaveUp: 0 });
  const { stored, lost, duplicated, phantom, altered } = await gateways.audit(fleet.ledger);
  assert.deepEqual([stored, lost, duplicated, phantom, altered], [expected, 0, 0, 0, 0]);
  const [status] = await gateways.statuses();
  assert.equal(status?.books?.isBalanced, true);
}

test("a gateway files into S3, and query, status, quarantine and audit read from S3", (context) =>
  withGateway(async (gateways, prefix) => {
    const fleet = gateways.fleet({ rate: 500, durationS: 3 });
    await assertExact(gateways, fleet, 1500);
    server.takeRequests();
    const again = gateways.fleet({ rate: 500, durationS: 4 });
    assert.equal((await again.ended).code, 0);
    const requests = server.takeRequests();
    // Counts from one commit's entry to the next. Requests of other commits before the first entry or after
    // the last do not count.
    const entries = [...requests.keys()].filter((at) =>
      /^PUT .*_commits\/\d{20}\.json$/.test(requests[at] ?? ""),
    );
    const cycles = entries.length - 1;
    const counted = (entries.at(-1) ?? 0) - (entries[0] ?? 0);
    assert.ok(cycles > 0);
    assert.deepEqual(
      requests.filter((request) => request.endsWith("?list")),
      [],
    );
    context.diagnostic(`${cycles} commits, ${counted} requests`);
    assert.ok(counted <= 8 * cycles, `${counted} requests of ${cycles} commits`);
    await assertExact(gateways, again, 2000);
    const { dataFolder } = gateways.at(0);
    const where = ["--data", dataFolder, "--lake", gateways.lake, "--json"];
    const queried = await runCli(["query", "SELECT count(*) AS n FROM telemetry", ...where]);
    assert.deepEqual((queried.json as { rows: unknown }).rows, [{ n: 3500 }], queried.stderr);
    assert.equal((await gateways.statuses())[0]?.lake.url, `s3://lake-bucket/${prefix}`);
    const quarantine = await gateways.at(0).api("GET", "/v1/quarantine");
    assert.equal(quarantine.status, 200, JSON.stringify(quarantine.body));
    assert.deepEqual(await gateways.stop(), [0]);
    assert.doesNotMatch(gateways.output, new RegExp(server.environment.AWS_SECRET_ACCESS_KEY));
  }, endsInTime));

test("a consumer that is killed between any two requests of a commit loses and duplicates no message", () =>
  withGateway(async (gateways) => {
    const gateway = gateways.at(0);
    const fleet = gateways.fleet({ rate: 300 });
    const strikes: readonly ((request: S3Request) => boolean)[] = [
      ({ method, key }) => method === "PUT" && /event_hour=.*parquet$/.test(key),
      ({ method, key }) => method === "PUT" && /_commits\/\d{20}\.json$/.test(key),
      ({ method, key }) => method === "PUT" && /_delta_log\/\d{20}\.json$/.test(key),
      ({ method, key }) => method === "GET" && /_commits\/\d{20}\.json$/.test(key),
    ];
    for (const strikesAt of strikes)
      for (const isAnswered of [false, true]) {
        await gateways.untilAcknowledged(100);
        const killed = new Promise<void>((resolve) => {
          server.fault = (request) => {
            if (!strikesAt(request)) return "pass";
            const pid = gateway.childPid("consumer");
            if (pid === null) return "pass";
            server.fault = () => "pass";
            process.kill(pid, "SIGKILL");
            resolve();
            return isAnswered ? "lose-answer" : "lose";
          };
        });
        await killed;
      }
    await assertExact(gateways, fleet, await fleet.finish());
    assert.equal(
      (await gateways.statuses())[0]?.processes.find(({ role }) => role === "consumer")?.restarts,
      8,
    );
  }));

const outages = [
  ["resets every connection", () => "lose"],
  ["answers nobody", () => "hang"],
  ["loses all of its answers", () => "lose-answer"],
  [
    "became read-only",
    (request: S3Request) => (isWrite(request) ? { status: 403, code: "AccessDenied" } : "pass"),
  ],
  ["answers with a web page", () => ({ status: 200, html: "<html><p>Sign in</html>" })],
] as const;

for (const [name, fault] of outages)
  test(`while S3 ${name}, publishes are acknowledged and stored; they are filed once S3 works again`, (t) => {
    const memory = new LiveMemory();
    t.after(() => memory.destroy());
    return withGateway(async (gateways) => {
      const fleet = gateways.fleet({ rate: 500 });
      await gateways.untilAcknowledged(500);
      const consumer = gateways.at(0).childPid("consumer");
      assert.ok(consumer);
      const before = await memory.of(consumer);
      server.requests.length = 0;
      server.fault = fault as typeof server.fault;
      const beganAtMs = performance.now();
      await delay(4000);
      await gateways.at(0).until("the stream stores messages that the lake can't take", async () => {
        return (await gateways.acknowledged()) > 1000;
      });
      const requests = server.requests.length;
      const seconds = (performance.now() - beganAtMs) / 1000;
      assert.ok(requests < 50 * seconds, `${requests} requests in ${seconds} s: no storm`);
      server.fault = () => "pass";
      await assertExact(gateways, fleet, await fleet.finish());
      const growth = (await memory.of(consumer)).liveBytes - before.liveBytes;
      assert.ok(growth < 40 * mib, `the consumer holds ${Math.round(growth / mib)} MiB more`);
      await memory.untilResident(consumer, before.residentBytes + 200 * mib);
      const processes = (await gateways.statuses())[0]?.processes ?? [];
      assert.deepEqual(
        processes.map(({ restarts }) => restarts),
        [0, 0, 0],
      );
    }, memory.environment);
  });

test("entries of a foreign writer in a table's log are handled", () =>
  withGateway(async (gateways, prefix) => {
    const fleet = gateways.fleet({ rate: 500 });
    let foreign = 0;
    server.fault = ({ method, key }) => {
      const isOurs =
        method === "PUT" && key.startsWith(`${prefix}/telemetry/_delta_log/`) && !/0{20}\.json$/.test(key);
      if (isOurs && !server.store.objects.has(key) && foreign < 4) {
        const text = `{"commitInfo":{"timestamp":1,"operation":"OPTIMIZE"}}\n{"txn":{"appId":"somebody","version":${foreign++}}}\n`;
        server.store.objects.set(key, { bytes: Buffer.from(text), tag: "foreign", modified: new Date() });
      }
      return "pass";
    };
    await gateways.at(0).until("the foreign writer has written", () => foreign === 4);
    await gateways.untilAcknowledged(500);
    await assertExact(gateways, fleet, await fleet.finish());
  }));

test("a start waits for an unreachable S3", async () => {
  server.fault = () => "lose";
  const options = { lake: server.url("late"), environment, waitUntilReady: false };
  const gateways = await SharedGateways.start(1, [], options);
  try {
    await gateways.at(0).until("the output says that the start waits", () => {
      return /not started yet, retrying/.test(gateways.output);
    });
    assert.ok(server.requests.length > 0);
    server.fault = () => "pass";
    await gateways.at(0).waitUntilReady();
    await assertExact(gateways, gateways.fleet({ rate: 200, durationS: 2 }), 400);
  } finally {
    await gateways.destroy();
  }
});

test("a gateway that waits for S3 ends on a signal", async (context) => {
  server.fault = () => "hang";
  const gateway = await GatewayProcess.start({
    flags: ["--lake", server.url("never")],
    environment: { TIDEGATE_S3_TIMEOUT_MS: "100000" },
    waitUntilReady: false,
  });
  context.after(() => gateway.destroy());
  await gateway.until("it asks", () => server.requests.length > 0);
  assert.equal(await gateway.stop(), 0);
});

test("a gateway that can't use its bucket reports the reason at once", async (context) => {
  const data = mkdtempSync(join(tmpdir(), "tidegate-refused-"));
  context.after(() => rmSync(data, { recursive: true }));
  const up = (lake: string) => {
    return runCli(
      ["up", "--data", data, "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--lake", lake],
      environment,
    );
  };
  const missing = await up(server.url("x").replace("lake-bucket", "no-such-bucket"));
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /There is no bucket no-such-bucket.*aws s3 mb/);
  server.fault = () => "ignore-condition";
  assert.match((await up(server.url("unconditional"))).stderr, /ignores conditional writes/);
  const inUrl = await up("s3://key:topsecret@bucket/x");
  assert.equal(inUrl.code, 2);
  assert.match(inUrl.stderr, /must not contain credentials/);
  assert.doesNotMatch(inUrl.stderr, /topsecret/);
});
