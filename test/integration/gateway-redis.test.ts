import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { freePort } from "../support/free-port.ts";
import { publishAll, statusOf, storedIds } from "../support/gateway-books.ts";
import { errorOf, freePorts, GatewayProcess, runCli } from "../support/gateway-process.ts";
import { connectClient, publishDemo } from "../support/mqtt-publisher.ts";
import { RedisServer } from "../support/redis-server.ts";
import { streamMembers } from "../support/stream-members.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-gateway-redis-"));
after(() => rmSync(root, { recursive: true, force: true }));
const fastBatches = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300" };
const secret = "pa55word-of-redis";

let folders = 0;
const newFolder = (name: string) => join(root, `${name}-${folders++}`);

function idsOf(device: string, count: number) {
  return Array.from({ length: count }, (_, index) => ({ device, id: `${device}-${index}` }));
}

describe("one gateway and its Redis", { concurrency: false }, () => {
  const servers: RedisServer[] = [];
  const gateways: GatewayProcess[] = [];
  after(async () => {
    for (const gateway of gateways) await gateway.destroy();
    for (const server of servers) await server.destroy();
  });

  async function newServer(settings: Record<string, string> = {}): Promise<RedisServer> {
    const server = await RedisServer.start(settings);
    servers.push(server);
    return server;
  }

  async function newGateway(options: Parameters<typeof GatewayProcess.start>[0]): Promise<GatewayProcess> {
    const gateway = await GatewayProcess.start(options);
    gateways.push(gateway);
    return gateway;
  }

  test("a Redis that is killed under load loses no message: publishers wait, /readyz says why, and all resumes by itself", async () => {
    const server = await newServer();
    const gateway = await newGateway({ flags: ["--stream", server.url], environment: fastBatches });
    await gateway.waitUntilAllRun();
    const { body } = await gateway.api("POST", "/v1/devices", { name: "press-7" });
    const login = { username: "press-7", password: String(body["key"]), clientId: "press-7" };
    await publishAll(gateway, idsOf("before", 100));
    await server.kill();
    const client = await connectClient(gateway.mqttUrl, { keepalive: 0 });
    const during = publishDemo(client, idsOf("during", 100));
    await gateway.until("the status says that Redis is unreachable", async () => {
      const answer = await fetch(`${gateway.httpUrl}/readyz`);
      return answer.status === 503 && /Redis|REDIS/.test(await answer.text());
    });
    await assert.rejects(
      connectClient(gateway.mqttUrl, login),
      /Server unavailable/,
      "the refusal is temporary",
    );
    await server.start();
    await during;
    await client.endAsync();
    await gateway.waitUntilReady();
    await gateway.until("everything is filed", async () => (await storedIds(gateway)).length >= 200);
    assert.deepEqual(new Set(await storedIds(gateway)).size, 200);
    await (await connectClient(gateway.mqttUrl, login)).endAsync();
    const { books, processes } = await statusOf(gateway);
    assert.equal(books?.isBalanced, true);
    assert.deepEqual(
      processes.map(({ restarts }) => restarts),
      [0, 0, 0],
      "no process ended",
    );
  });

  test("a start waits for a Redis that is down, and reports that; a signal ends the wait", async () => {
    const server = await newServer();
    await server.kill();
    const options = { flags: ["--stream", server.url], environment: fastBatches, waitUntilReady: false };
    const gateway = await newGateway(options);
    await gateway.until("the output says what the start waits for", () =>
      /"event":"registry.awaited".*retrying.*ECONNREFUSED/.test(gateway.output),
    );
    const asked = await runCli(["status", "--data", gateway.dataFolder, "--json"]);
    assert.equal(asked.code, 1);
    assert.match(asked.stderr + asked.stdout, /No gateway answers.*\(pid \d+\) is starting; its log says/);
    assert.equal(await gateway.stop(), 0);
    const gone = await runCli(["status", "--data", gateway.dataFolder, "--json"]);
    assert.match(gone.stderr + gone.stdout, /No gateway answers/);
    await gateway.start();
    await server.start();
    await gateway.waitUntilReady();
  });

  test("a wrong password ends the start with exit code 1 and the place of the setting; no output has the password", async () => {
    const server = await newServer({ requirepass: secret });
    const file = join(root, "wrong-password");
    writeFileSync(file, "wrong-pa55word\n");
    const ports = ["--mqtt", "127.0.0.1:0", "--http", `127.0.0.1:${await freePort()}`];
    const refused = await runCli(
      ["up", "--stream", server.url, "--data", newFolder("data"), ...ports, "--json"],
      {
        TIDEGATE_STREAM_PASSWORD_FILE: file,
      },
    );
    assert.equal(refused.code, 1);
    assert.equal(errorOf(refused).code, "REDIS_DENIED");
    assert.match(errorOf(refused).message, /stream\.passwordFile/);
    assert.equal((refused.stdout + refused.stderr).includes("wrong-pa55word"), false);
  });

  test("a password in the URL is not in the titles of the gateway's processes", async () => {
    const server = await newServer({ requirepass: secret });
    const url = server.url.replace("//", `//:${secret}@`);
    const gateway = await newGateway({ flags: ["--stream", url], environment: fastBatches });
    for (const pid of [gateway.pid, gateway.childPid("broker"), gateway.childPid("consumer")]) {
      const title = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      assert.notEqual(title, "");
      assert.equal(title.includes(secret), false, title);
    }
    assert.equal(gateway.output.includes(secret), false);
    assert.equal(await gateway.stop(), 0);
  });

  test("a server that may lose confirmed messages is refused; with relaxed durability the gateway runs, and banner and status warn", async () => {
    const server = await newServer({ appendfsync: "everysec" });
    const flags = ["--stream", server.url, "--data", newFolder("data"), ...freePorts];
    const refused = await runCli(["up", ...flags, "--json"], {});
    assert.equal(refused.code, 1);
    assert.match(errorOf(refused).message, /appendfsync/);
    const gateway = await newGateway({
      flags: ["--stream", `${server.url}?prefix=relaxed`],
      environment: { ...fastBatches, TIDEGATE_REDIS_DURABILITY: "relaxed" },
    });
    assert.match(gateway.output, /RELAXED DURABILITY/);
    const text = await runCli(["status", "--data", gateway.dataFolder]);
    assert.match(text.stdout, /RELAXED DURABILITY/);
    assert.match(text.stdout, /appendfsync/);
  });

  test("a Redis at its memory limit: no message is acknowledged, no new client is admitted, status says so; free memory ends this", async () => {
    const server = await newServer();
    const gateway = await newGateway({ flags: ["--stream", server.url], environment: fastBatches });
    const early = await connectClient(gateway.mqttUrl);
    const client = server.client();
    const used = streamMembers((await statusOf(gateway)).broker).redis?.usedBytes ?? 0;
    await client.config("SET", "maxmemory", Math.floor(used / 0.98));
    await gateway.until(
      "the connection is closed",
      async () => (await statusOf(gateway)).broker?.isOpen === false,
    );
    const held = publishDemo(early, idsOf("d1", 10));
    await assert.rejects(connectClient(gateway.mqttUrl), /Server unavailable/);
    const { broker, reasons } = await statusOf(gateway);
    assert.deepEqual([broker?.acknowledged, streamMembers(broker).redis?.pressure], [0, "refuse"]);
    assert.equal(broker?.refused["no-room"], 1);
    assert.match(
      reasons.join(),
      /no message is acknowledged: REDIS_FULL|no message is acknowledged: STREAM_FULL/,
    );
    const text = await runCli(["status", "--data", gateway.dataFolder]);
    assert.match(text.stdout, /pressure refuse/);
    assert.match(text.stdout, /no further client may connect/);
    await client.config("SET", "maxmemory", 1024 ** 3);
    client.disconnect();
    await held;
    await early.endAsync();
    await publishAll(gateway, idsOf("d2", 10));
    await gateway.until("all messages are filed", async () => (await storedIds(gateway)).length === 20);
  });

  test("broker and consumer run in separate gateways", async () => {
    const server = await newServer();
    const lake = `file:${newFolder("lake")}`;
    const flags = ["--stream", server.url, "--lake", lake, "--roles"];
    const ingest = await newGateway({ flags: [...flags, "broker"], environment: fastBatches });
    const filing = await newGateway({ flags: [...flags, "consumer"], environment: fastBatches });
    await publishAll(ingest, idsOf("d1", 50));
    await filing.until("everything is filed", async () => (await statusOf(filing)).books?.filed === 50);
    const status = await statusOf(ingest);
    assert.deepEqual([status.isReady, status.consumer, status.roles], [true, null, ["broker"]]);
    const text = await runCli(["status", "--data", filing.dataFolder]);
    assert.match(text.stdout, /The broker runs in another gateway/);
    const accepted = await ingest.cli("stream", "accept-gap", "0");
    assert.equal(errorOf(accepted).code, "ROLE_ELSEWHERE");
    assert.equal(await ingest.stop(), 0);
    assert.equal(await filing.stop(), 0);
  });

  test("an emptied Redis is refused; `stream new` continues, topics come back from the lake, and lost keys are reported", async () => {
    const server = await newServer();
    const gateway = await newGateway({ flags: ["--stream", server.url], environment: fastBatches });
    const topic = { name: "engine", filter: "plant/{device}/engine", format: "json" };
    assert.equal((await gateway.api("POST", "/v1/topics", topic)).status, 201);
    assert.equal((await gateway.api("POST", "/v1/devices", { name: "press-7" })).status, 201);
    await publishAll(gateway, idsOf("d1", 20));
    await gateway.until("the message is filed", async () => (await statusOf(gateway)).books?.filed === 20);
    const client = server.client();
    await client.flushall();
    client.disconnect();
    await gateway.until("the status says what is lost", async () => {
      const { reasons } = await statusOf(gateway);
      return /STREAM_GAP/.test(reasons.join()) && /REGISTRY_LOST/.test(reasons.join());
    });
    await gateway.stop();
    const renewed = await gateway.cli("stream", "new", "--stream", server.url);
    assert.equal(renewed.code, 0, renewed.stderr);
    await gateway.start();
    assert.match(gateway.output, /"event":"registry.restored".*The lake holds no identities/);
    const { body } = await gateway.api("GET", "/v1/topics/engine");
    assert.ok(body["topic"]);
    await publishAll(gateway, idsOf("d2", 20));
    await gateway.until("the message is filed", async () => (await storedIds(gateway)).length === 40);
  });
});
