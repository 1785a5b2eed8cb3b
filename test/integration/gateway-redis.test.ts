import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { GatewayStatus } from "../../gateway/supervisor/gateway-status.ts";
import { freePort } from "../support/free-port.ts";
import { publishAll, statusOf, storedIds } from "../support/gateway-books.ts";
import { errorOf, freePorts, GatewayProcess, runCli } from "../support/gateway-process.ts";
import { closed, connectClient, publishDemo } from "../support/mqtt-publisher.ts";
import { RedisServer } from "../support/redis-server.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-gateway-redis-"));
after(() => rmSync(root, { recursive: true, force: true }));
const fastBatches = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300" };
const fastLeases = { TIDEGATE_LEASES_LEASE_MS: "2000" };
const secret = "pa55word-of-redis";

let folders = 0;
const newFolder = (name: string) => join(root, `${name}-${folders++}`);

function idsOf(device: string, count: number) {
  return Array.from({ length: count }, (_, index) => ({ device, id: `${device}-${index}` }));
}

describe("two gateways on one Redis and one lake", { concurrency: false }, () => {
  let server: RedisServer;
  let lake: string;
  let a: GatewayProcess;
  let b: GatewayProcess;
  before(async () => {
    server = await RedisServer.start({ requirepass: secret });
    lake = `file:${newFolder("lake")}`;
    const options = {
      flags: ["--stream", server.url, "--lake", lake],
      environment: {
        ...fastBatches,
        ...fastLeases,
        TIDEGATE_STREAM_PASSWORD: secret,
        TIDEGATE_SHUTDOWN_TIMEOUT_MS: "5000",
      },
    };
    [a, b] = await Promise.all([GatewayProcess.start(options), GatewayProcess.start(options)]);
  });
  after(async () => {
    await Promise.all([a.destroy(), b.destroy()]);
    await server.destroy();
  });

  const query = async (sql: string): Promise<Record<string, unknown>[]> => {
    const result = await a.cli("query", sql, "--lake", lake);
    assert.equal(result.code, 0, result.stderr);
    return (result.json as { rows: Record<string, unknown>[] }).rows;
  };

  test("a topic created through one takes messages through the other at once, and rows of both are filed once", async () => {
    const topic = { name: "engine", filter: "plant/{device}/engine", format: "json" };
    assert.equal((await a.api("POST", "/v1/topics", topic)).status, 201);
    const send = async (id: string): Promise<void> => {
      const client = await connectClient(b.mqttUrl);
      const lost = closed(client).then(() => assert.fail("the publish was refused"));
      const payload = JSON.stringify({ id, ts: Date.now() });
      await Promise.race([client.publishAsync("plant/p1/engine", payload, { qos: 1 }), lost]);
      lost.catch(() => {});
      await client.endAsync();
    };
    await b.until("the other broker knows the topic", async () => {
      await send("first");
      return true;
    });
    const client = await connectClient(b.mqttUrl);
    for (let index = 0; index < 50; index++)
      await client.publishAsync("plant/p1/engine", JSON.stringify({ id: `e${index}`, ts: Date.now() }), {
        qos: 1,
      });
    await client.endAsync();
    await publishAll(a, idsOf("d1", 200));
    await publishAll(b, idsOf("d2", 200));
    await publishAll(b, idsOf("d1", 50));
    await a.until("everything is filed", async () => {
      const [row] = await query("SELECT count(*) AS n FROM telemetry");
      const [other] = await query("SELECT count(*) AS n FROM engine");
      return Number(row?.["n"]) >= 400 && Number(other?.["n"]) >= 51;
    });
    const rows = await query(
      "SELECT count(*) AS n, count(DISTINCT decode(message_id)) AS ids FROM telemetry",
    );
    assert.deepEqual(rows, [{ n: 400, ids: 400 }]);
  });

  test("two admins who create rivals at once: one wins, on both gateways the same", async () => {
    const rivals = [a, b].map((gateway, index) =>
      gateway.api("POST", "/v1/topics", {
        name: `rival${index}`,
        filter: `rival/{x${index}}`,
        format: "raw",
      }),
    );
    const answers = await Promise.all(rivals);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409]);
    assert.ok(answers.some(({ body }) => body["code"] === "TOPIC_AMBIGUOUS"));
    const namesOn = async (gateway: GatewayProcess) =>
      ((await gateway.api("GET", "/v1/topics")).body["topics"] as { name: string }[]).map(({ name }) => name);
    await a.until("both know the winner", async () => {
      const [left, right] = [await namesOn(a), await namesOn(b)];
      return left.length === 4 && JSON.stringify(left) === JSON.stringify(right);
    });
  });

  test("a device added through one connects to the other, and is cut there when it is removed", async () => {
    const { body } = await a.api("POST", "/v1/devices", { name: "press-7" });
    const login = { username: "press-7", password: String(body["key"]), clientId: "press-7" };
    const client = await connectClient(b.mqttUrl, login);
    await publishDemo(client, [{ device: "press-7", id: "1" }]);
    const cut = closed(client);
    assert.equal((await a.api("DELETE", "/v1/devices/press-7")).status, 200);
    await cut;
    await assert.rejects(connectClient(b.mqttUrl, login), /Bad username or password|Not authorized/);
  });

  test("the partitions are shared, and status shows who has which, the durability and the memory", async () => {
    let status: GatewayStatus | undefined;
    await a.until("both own partitions", async () => {
      status = await statusOf(a);
      return new Set(status.consumer?.leases?.partitions.map(({ owner }) => owner)).size === 2;
    });
    assert.equal(status?.broker?.redis?.durability, "strict");
    assert.ok((status?.broker?.redis?.usedBytes ?? 0) > 0);
    const text = await runCli(["status", "--data", a.dataFolder]);
    assert.match(text.stdout, /durability strict; memory \d+ of \d+ bytes used/);
    assert.match(text.stdout, /\(this one\)/);
    assert.match(text.stdout, /pressure none/);
  });

  test("a gateway with another lake is refused and told which", async () => {
    const flags = ["--stream", server.url, "--data", newFolder("data"), ...freePorts];
    const refused = await runCli(["up", ...flags, "--json"], { TIDEGATE_STREAM_PASSWORD: secret });
    assert.equal(refused.code, 1);
    assert.equal(errorOf(refused).code, "REGISTRY_LAKE");
    assert.match(errorOf(refused).message, /--lake/);
  });

  test("the password is in no output, no record, no status and no metrics", async () => {
    const record = readFileSync(join(a.dataFolder, "processes.json"), "utf8");
    const status = JSON.stringify(await statusOf(a));
    const metrics = await a.metrics();
    assert.match(metrics, /tidegate_registry_up\{[^}]*process="broker"[^}]*\} 1/);
    for (const text of [a.output, b.output, record, status, metrics]) {
      assert.notEqual(text, "");
      assert.equal(text.includes(secret), false);
    }
  });

  test("a fleet on both, and a Redis that is killed amid it: the audit finds every acknowledged message once", async () => {
    const ledger = newFolder("ledger");
    const fleet = ["--devices", "200", "--connections", "20", "--rate", "500", "--duration", "6"];
    const both = `${a.mqttUrl},${b.mqttUrl}`;
    const simulated = runCli(["simulate", ...fleet, "--ledger", ledger, "--mqtt", both, "--json"]);
    const acknowledged = async (gateway: GatewayProcess) =>
      (await statusOf(gateway)).broker?.acknowledged ?? 0;
    const earlier = (await acknowledged(a)) + (await acknowledged(b));
    await a.until(
      "the fleet publishes",
      async () => (await acknowledged(a)) + (await acknowledged(b)) > earlier + 600,
    );
    await server.kill();
    await server.start();
    const run = await simulated;
    const { acked, gaveUp, unsent } = run.json as Record<string, number>;
    assert.deepEqual({ acked, gaveUp, unsent }, { acked: 3_000, gaveUp: 0, unsent: 0 }, run.stderr);
    const audit = await runCli(["audit", "--ledger", ledger, "--lake", lake, "--settle", "1", "--json"]);
    const { stored, lost, duplicated, phantom, altered } = audit.json as Record<string, number>;
    assert.deepEqual(
      { stored, lost, duplicated, phantom, altered },
      { stored: 3_000, lost: 0, duplicated: 0, phantom: 0, altered: 0 },
    );
    for (const gateway of [a, b]) assert.equal((await statusOf(gateway)).books?.isBalanced, true);
  });

  test("the consumer of a gateway that ends leaves its partitions to the other, also while that one's clients publish", async () => {
    let isPublishing = true;
    const publishing = (async () => {
      for (let batch = 0; isPublishing; batch++) await publishAll(a, idsOf(`live${batch}`, 20));
    })();
    const code = await b.stop();
    isPublishing = false;
    await publishing;
    assert.equal(code, 0, "draining a stream that others append to has an end");
    await publishAll(a, idsOf("d3", 100));
    await a.until("everything is filed", async () => {
      const rows = await query("SELECT decode(message_id) AS id FROM telemetry WHERE device_id = 'd3'");
      return rows.length === 100;
    });
    await b.start();
  });
});

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

  test("a Redis that is killed under load loses nothing: publishers wait, /readyz says why, and it goes on by itself", async () => {
    const server = await newServer();
    const gateway = await newGateway({ flags: ["--stream", server.url], environment: fastBatches });
    const { body } = await gateway.api("POST", "/v1/devices", { name: "press-7" });
    const login = { username: "press-7", password: String(body["key"]), clientId: "press-7" };
    await publishAll(gateway, idsOf("before", 100));
    await server.kill();
    const client = await connectClient(gateway.mqttUrl, { keepalive: 0 });
    const during = publishDemo(client, idsOf("during", 100));
    await gateway.until("it says that Redis is away", async () => {
      const answer = await fetch(`${gateway.httpUrl}/readyz`);
      return answer.status === 503 && /Redis|REDIS/.test(await answer.text());
    });
    await assert.rejects(connectClient(gateway.mqttUrl, login), /Server unavailable/, "it may come back");
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
      [0, 0],
      "no process had to die for it",
    );
  });

  test("a Redis that is down at the start is waited for, in words; a signal ends the waiting", async () => {
    const server = await newServer();
    await server.kill();
    const options = { flags: ["--stream", server.url], environment: fastBatches, waitUntilReady: false };
    const gateway = await newGateway(options);
    await gateway.until("it says what it waits for", () =>
      /"event":"registry.awaited".*trying again.*ECONNREFUSED/.test(gateway.output),
    );
    const asked = await runCli(["status", "--data", gateway.dataFolder, "--json"]);
    assert.equal(asked.code, 1);
    assert.match(
      asked.stderr + asked.stdout,
      /No gateway answers.*\(pid \d+\) is starting, and its log says/,
    );
    assert.equal(await gateway.stop(), 0);
    const gone = await runCli(["status", "--data", gateway.dataFolder, "--json"]);
    assert.match(gone.stderr + gone.stdout, /No gateway answers/);
    await gateway.start();
    await server.start();
    await gateway.waitUntilReady();
  });

  test("a wrong password ends with 1 and says where it is set; it is in no output", async () => {
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

  test("a password given in the URL is not in the titles of the gateway's processes", async () => {
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

  test("a server that may lose what it confirms is refused; with relaxed durability it runs, and banner and status say so", async () => {
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

  test("a Redis at its memory limit: nothing is acknowledged, nobody more is let in, status says so; room mends it", async () => {
    const server = await newServer();
    const gateway = await newGateway({ flags: ["--stream", server.url], environment: fastBatches });
    const early = await connectClient(gateway.mqttUrl);
    const client = server.client();
    const used = (await statusOf(gateway)).broker?.redis?.usedBytes ?? 0;
    await client.config("SET", "maxmemory", Math.floor(used / 0.98));
    await gateway.until("it is closed", async () => (await statusOf(gateway)).broker?.isOpen === false);
    const held = publishDemo(early, idsOf("d1", 10));
    await assert.rejects(connectClient(gateway.mqttUrl), /Server unavailable/);
    const { broker, reasons } = await statusOf(gateway);
    assert.deepEqual([broker?.acknowledged, broker?.redis?.pressure], [0, "refuse"]);
    assert.equal(broker?.refused["no-room"], 1);
    assert.match(reasons.join(), /nothing is acknowledged: REDIS_FULL|nothing is acknowledged: STREAM_FULL/);
    const text = await runCli(["status", "--data", gateway.dataFolder]);
    assert.match(text.stdout, /pressure refuse/);
    assert.match(text.stdout, /nobody more may connect/);
    await client.config("SET", "maxmemory", 1024 ** 3);
    client.disconnect();
    await held;
    await early.endAsync();
    await publishAll(gateway, idsOf("d2", 10));
    await gateway.until("all is filed", async () => (await storedIds(gateway)).length === 20);
  });

  test("broker and consumer run in gateways of their own", async () => {
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

  test("an emptied Redis is not served; `stream new` goes on, topics come back from the lake, and lost keys are named", async () => {
    const server = await newServer();
    const gateway = await newGateway({ flags: ["--stream", server.url], environment: fastBatches });
    const topic = { name: "engine", filter: "plant/{device}/engine", format: "json" };
    assert.equal((await gateway.api("POST", "/v1/topics", topic)).status, 201);
    assert.equal((await gateway.api("POST", "/v1/devices", { name: "press-7" })).status, 201);
    await publishAll(gateway, idsOf("d1", 20));
    await gateway.until("it is filed", async () => (await statusOf(gateway)).books?.filed === 20);
    const client = server.client();
    await client.flushall();
    client.disconnect();
    await gateway.until("it says what is lost", async () => {
      const { reasons } = await statusOf(gateway);
      return /STREAM_GAP/.test(reasons.join()) && /REGISTRY_LOST/.test(reasons.join());
    });
    await gateway.stop();
    const renewed = await gateway.cli("stream", "new", "--stream", server.url);
    assert.equal(renewed.code, 0, renewed.stderr);
    await gateway.start();
    assert.match(gateway.output, /"event":"registry.restored".*Identities are not in the lake/);
    const { body } = await gateway.api("GET", "/v1/topics/engine");
    assert.ok(body["topic"]);
    await publishAll(gateway, idsOf("d2", 20));
    await gateway.until("it is filed", async () => (await storedIds(gateway)).length === 40);
  });
});
