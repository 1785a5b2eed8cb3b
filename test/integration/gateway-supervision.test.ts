import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type RoleName, roleNames } from "../../gateway/processes/messages.ts";
import { freePort } from "../support/free-port.ts";
import {
  endsInTime,
  errorOf,
  freePorts,
  GatewayProcess,
  isAlive,
  runCli,
} from "../support/gateway-process.ts";
import { connectClient, publishDemo } from "../support/mqtt-publisher.ts";
import { until } from "../support/until.ts";

interface StatusBody {
  readonly isReady: boolean;
  readonly processes: {
    role: string;
    state: string;
    pid: number;
    restarts: number;
    hangs: number;
    listening: string | null;
  }[];
  readonly books: { read: number; filed: number; duplicates: number; isBalanced: boolean } | null;
}

async function statusOf(gateway: GatewayProcess): Promise<StatusBody> {
  return (await gateway.api("GET", "/v1/status")).body as unknown as StatusBody;
}

function pidOf(gateway: GatewayProcess, role: RoleName): number {
  const pid = gateway.childPid(role);
  assert.ok(pid !== null, `${role} runs`);
  return pid;
}

/** Ids of the demo topic's rows, sorted. */
async function storedIds(gateway: GatewayProcess): Promise<string[]> {
  const rows = await gateway.query("SELECT decode(message_id) AS id FROM telemetry ORDER BY id");
  return rows.map((row) => String(row["id"]));
}

const fastBatches = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" };

describe("supervision", { concurrency: false }, () => {
  test("killed children are restarted, others are not, and no acknowledged message is lost or duplicated", async (t) => {
    const gateway = await GatewayProcess.start({ environment: fastBatches });
    t.after(() => gateway.destroy());
    const first = { broker: pidOf(gateway, "broker"), consumer: pidOf(gateway, "consumer") };

    process.kill(first.consumer, "SIGKILL");
    const client = await connectClient(gateway.mqttUrl);
    await publishDemo(client, [
      { device: "d1", id: "a" },
      { device: "d2", id: "b" },
    ]);
    await client.endAsync();
    await gateway.until(
      "the consumer is back",
      () => (gateway.childPid("consumer") ?? first.consumer) !== first.consumer,
    );
    assert.equal(pidOf(gateway, "broker"), first.broker, "the broker continued");

    process.kill(first.broker, "SIGKILL");
    await gateway.until(
      "the broker is back",
      () => (gateway.childPid("broker") ?? first.broker) !== first.broker,
    );
    const consumer = pidOf(gateway, "consumer");
    await gateway.waitUntilReady();
    const again = await connectClient(gateway.mqttUrl);
    await publishDemo(again, [
      { device: "d1", id: "a" },
      { device: "d1", id: "c" },
    ]);
    await again.endAsync();
    assert.equal(pidOf(gateway, "consumer"), consumer, "the consumer continued");

    await gateway.until(
      "all messages are filed",
      async () => ((await statusOf(gateway)).books?.read ?? 0) >= 4,
    );
    const status = await statusOf(gateway);
    assert.equal(status.books?.isBalanced, true);
    assert.equal(status.books?.duplicates, 1);
    assert.deepEqual(
      status.processes.map(({ restarts }) => restarts),
      [1, 1, 0],
    );
    assert.deepEqual(await storedIds(gateway), ["a", "b", "c"]);
  });

  test("a hanging consumer is reported, killed and restarted, while publishes are acknowledged", async (t) => {
    const environment = { ...fastBatches, TIDEGATE_SUPERVISION_SILENCE_MS: "8000" };
    const gateway = await GatewayProcess.start({ environment });
    t.after(() => gateway.destroy());
    const [broker, consumer] = [pidOf(gateway, "broker"), pidOf(gateway, "consumer")];
    process.kill(consumer, "SIGSTOP");
    const client = await connectClient(gateway.mqttUrl);
    await publishDemo(client, [{ device: "d1", id: "a" }]);
    await client.endAsync();
    await gateway.until("the hang is reported while publishes are acknowledged", async () => {
      const { status, body } = await gateway.api("GET", "/readyz");
      return status === 200 && /consumer has hung for \d s/.test(String(body["degraded"]));
    });
    await gateway.until(
      "another consumer runs",
      () => (gateway.childPid("consumer") ?? consumer) !== consumer,
    );
    await gateway.waitUntilReady();
    await gateway.until(
      "all messages are filed",
      async () => ((await statusOf(gateway)).books?.filed ?? 0) === 1,
    );
    assert.equal(pidOf(gateway, "broker"), broker, "the broker continued");
    const { processes } = await statusOf(gateway);
    assert.deepEqual(
      processes.map(({ role, hangs, restarts }) => [role, hangs, restarts]),
      [
        ["broker", 0, 0],
        ["consumer", 1, 1],
        ["upkeep", 0, 0],
      ],
    );

    assert.match(
      await gateway.metrics(),
      /tidegate_child_hangs_total\{child="consumer",process="supervisor"\} 1/,
    );
    assert.match(gateway.output, /"event":"child\.silent","role":"consumer"/);
  });

  test("children end when the supervisor is killed; the next supervisor continues at the last commit", async (t) => {
    const gateway = await GatewayProcess.start({ environment: fastBatches });
    t.after(() => gateway.destroy());
    const token = gateway.token;
    const client = await connectClient(gateway.mqttUrl);
    await publishDemo(client, [{ device: "d1", id: "a" }]);
    await gateway.waitUntilAllRun();
    const children = roleNames.map((role) => pidOf(gateway, role));
    gateway.signal("SIGKILL");
    await gateway.exited();
    await until("all have ended", () => !children.some(isAlive));

    await gateway.start();
    assert.equal(gateway.token, token);
    const again = await connectClient(gateway.mqttUrl);
    await publishDemo(again, [
      { device: "d1", id: "a" },
      { device: "d1", id: "b" },
    ]);
    await again.endAsync();
    await gateway.until(
      "the resend is recognised",
      async () => (await statusOf(gateway)).books?.duplicates === 1,
    );
    assert.deepEqual(await storedIds(gateway), ["a", "b"]);
  });

  test("a child that is stopped by a signal does not survive the start of a new supervisor", async (t) => {
    const gateway = await GatewayProcess.start();
    t.after(() => gateway.destroy());
    await gateway.waitUntilAllRun();
    const orphans = roleNames.map((role) => pidOf(gateway, role));
    for (const pid of orphans) process.kill(pid, "SIGSTOP");
    gateway.signal("SIGKILL");
    await gateway.exited();
    await delay(200);
    assert.deepEqual(
      orphans.map(isAlive),
      [true, true, true],
      "stopped processes can't detect that their supervisor has ended",
    );
    await gateway.start();
    assert.deepEqual(orphans.map(isAlive), [false, false, false]);
    assert.match(gateway.output, /child\.left/);
    const client = await connectClient(gateway.mqttUrl);
    await publishDemo(client, [{ device: "d1", id: "a" }]);
    await client.endAsync();
  });

  test("a data folder has only one gateway, even while a signal has stopped that gateway", async (t) => {
    const gateway = await GatewayProcess.start();
    t.after(() => gateway.destroy());
    const up = ["up", "--data", gateway.dataFolder, ...freePorts, "--json"];
    const second = await runCli(up);
    assert.equal(second.code, 1);
    assert.equal(errorOf(second).code, "DATA_FOLDER_LOCKED");
    assert.match(second.stderr, new RegExp(`process ${gateway.pid}\\b`));
    assert.equal((await runCli(["stream", "new", "--data", gateway.dataFolder, "--force"])).code, 1);
    gateway.signal("SIGSTOP");
    const third = await runCli(up);
    gateway.signal("SIGCONT");
    assert.equal(third.code, 1);
    assert.match(third.stderr, new RegExp(`process ${gateway.pid}\\b.*does not answer`));
    await gateway.waitUntilReady();
  });

  test("an address in use is reported, and no process is left running", async (t) => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    t.after(() => taken.close());
    const { port } = taken.address() as { port: number };
    for (const [flag, code] of [
      ["--http", "HTTP_ADDRESS_UNUSABLE"],
      ["--mqtt", "CHILD_FAILED"],
    ] as const) {
      const folder = mkdtempSync(join(tmpdir(), "tidegate-test-"));
      t.after(() => rmSync(folder, { recursive: true, force: true }));
      const other = flag === "--http" ? "--mqtt" : "--http";
      const addresses = [flag, `127.0.0.1:${port}`, other, `127.0.0.1:${await freePort()}`];
      const refused = await runCli(["up", "--data", folder, ...addresses, "--json"]);
      assert.equal(refused.code, 1);
      const { error } = refused.json as { error: { code: string; message: string } };
      assert.equal(error.code, code);
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`));
      if (flag === "--mqtt") assert.match(error.message, /MQTT_ADDRESS_UNUSABLE/);
    }
  });

  test("TERM: all acknowledged messages are filed, then all processes exit with 0", async (t) => {
    const gateway = await GatewayProcess.start({
      environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "3600000" },
    });
    t.after(() => gateway.destroy());
    const client = await connectClient(gateway.mqttUrl);
    const messages = Array.from({ length: 500 }, (_, index) => ({
      device: `d${index % 7}`,
      id: `m${index}`,
    }));
    await publishDemo(client, messages);
    await gateway.waitUntilAllRun();
    const children = roleNames.map((role) => pidOf(gateway, role));
    assert.equal(await gateway.stop(), 0);
    assert.deepEqual(children.map(isAlive), [false, false, false]);
    assert.equal((await storedIds(gateway)).length, 500);
  });

  test("a second TERM ends all processes at once", async (t) => {
    const gateway = await GatewayProcess.start();
    t.after(() => gateway.destroy());
    const consumer = pidOf(gateway, "consumer");
    process.kill(consumer, "SIGSTOP");
    gateway.signal("SIGTERM");
    await gateway.until("the broker has ended", () => gateway.childPid("broker") === null);
    gateway.signal("SIGTERM");
    assert.notEqual(await gateway.exited(), 0);
    await until("the consumer has ended", () => !isAlive(consumer));
  });

  test("a drain that takes too long exits with 1, and the next start finishes it", async (t) => {
    const environment = {
      TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "3600000",
      TIDEGATE_SHUTDOWN_TIMEOUT_MS: "500",
    };
    const gateway = await GatewayProcess.start({ environment });
    t.after(() => gateway.destroy());
    const client = await connectClient(gateway.mqttUrl);
    await publishDemo(client, [{ device: "d1", id: "a" }]);
    process.kill(pidOf(gateway, "consumer"), "SIGSTOP");
    assert.equal(await gateway.stop(), 1);
    assert.match(gateway.output, /filed after the next start/);
    await gateway.start(endsInTime);
    assert.equal(await gateway.stop(), 0);
    assert.deepEqual(await storedIds(gateway), ["a"]);
  });
});
