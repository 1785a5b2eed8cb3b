import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { GatewayStatus } from "../../gateway/status/gateway-status.ts";
import { publishAll, statusOf } from "../support/gateway-books.ts";
import { errorOf, freePorts, GatewayProcess, runCli } from "../support/gateway-process.ts";
import { closed, connectClient, publishDemo } from "../support/mqtt-publisher.ts";
import { RedisServer } from "../support/redis-server.ts";
import { assertExports } from "../support/reference/exported-metrics.ts";
import { streamMembers } from "../support/stream-members.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-gateways-on-redis-"));
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

  test("a topic created on one gateway accepts messages on the other at once, and rows of both are filed once", async () => {
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

  test("if an administrator moves topic names to another topic while both gateways receive resends, each message is filed once", async () => {
    const topic = { name: "hall", filter: "hall/{device}/#", format: "json" };
    assert.equal((await a.api("POST", "/v1/topics", topic)).status, 201);
    const ts = Date.now();
    const sent = Array.from({ length: 20 }, (_, index) => `h${index}`);
    let fresh = 0;
    const send = async (gateway: GatewayProcess, ids: readonly string[]): Promise<void> => {
      const client = await connectClient(gateway.mqttUrl);
      const lost = closed(client).then(() => assert.fail("the publish was refused"));
      const acknowledged = ids.map((id) =>
        client.publishAsync("hall/h1/t", JSON.stringify({ id, ts }), { qos: 1 }),
      );
      await Promise.race([Promise.all(acknowledged), lost]);
      lost.catch(() => {});
      await client.endAsync();
    };
    /** Sends all messages again and a new one to each gateway, until the new ones are filed in that table. */
    const sendUntilFiledIn = async (table: string): Promise<void> => {
      await a.until(`messages are filed in ${table}`, async () => {
        const news = [a, b].map(() => `new${fresh++}`);
        for (const [index, gateway] of [a, b].entries()) await send(gateway, [...sent, news[index] ?? ""]);
        const isIn = `decode(message_id) IN (${news.map((id) => `'${id}'`).join(", ")})`;
        return (await query(`SELECT 1 AS one FROM ${table} WHERE ${isIn}`)).length === 2;
      });
    };
    await b.until("the other broker knows the topic", async () => {
      await send(b, sent);
      return true;
    });
    await sendUntilFiledIn("hall");
    assert.equal(
      (await a.api("POST", "/v1/topics", { ...topic, name: "hall_t", filter: "hall/{device}/t" })).status,
      201,
    );
    await sendUntilFiledIn("hall_t");
    assert.equal((await b.api("DELETE", "/v1/topics/hall_t")).status, 200);
    await sendUntilFiledIn("hall");
    const both = "(SELECT message_id FROM hall UNION ALL SELECT message_id FROM hall_t)";
    const [row] = await query(`SELECT count(*) AS n, count(DISTINCT message_id) AS ids FROM ${both}`);
    assert.deepEqual(row, { n: sent.length + fresh, ids: sent.length + fresh });
    for (const name of ["hall", "hall_t"]) await a.api("DELETE", `/v1/topics/${name}`);
  });

  test("if two administrators create rival topics at once, one wins, the same on both gateways", async () => {
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
    await a.until("both gateways know the winner", async () => {
      const [left, right] = [await namesOn(a), await namesOn(b)];
      return left.length === 4 && JSON.stringify(left) === JSON.stringify(right);
    });
  });

  test("a device added on one gateway connects to the other, and is disconnected there when it is removed", async () => {
    const { body } = await a.api("POST", "/v1/devices", { name: "press-7" });
    const login = { username: "press-7", password: String(body["key"]), clientId: "press-7" };
    const client = await connectClient(b.mqttUrl, login);
    await publishDemo(client, [{ device: "press-7", id: "1" }]);
    const cut = closed(client);
    assert.equal((await a.api("DELETE", "/v1/devices/press-7")).status, 200);
    await cut;
    await assert.rejects(connectClient(b.mqttUrl, login), /Bad username or password|Not authorized/);
  });

  test("both gateways share the partitions, and status shows owners, durability and memory", async () => {
    let status: GatewayStatus | undefined;
    await a.until("both own partitions", async () => {
      status = await statusOf(a);
      return new Set(status.consumer?.leases?.partitions.map(({ owner }) => owner)).size === 2;
    });
    assert.equal(streamMembers(status?.broker).redis?.durability, "strict");
    assert.ok((streamMembers(status?.broker).redis?.usedBytes ?? 0) > 0);
    const text = await runCli(["status", "--data", a.dataFolder]);
    assert.match(text.stdout, /durability strict; memory \d+ of \d+ bytes used/);
    assert.match(text.stdout, /\(this one\)/);
    assert.match(text.stdout, /pressure none/);
  });

  test("a gateway with another lake is refused, with the URL of the shared lake", async () => {
    const flags = ["--stream", server.url, "--data", newFolder("data"), ...freePorts];
    const refused = await runCli(["up", ...flags, "--json"], { TIDEGATE_STREAM_PASSWORD: secret });
    assert.equal(refused.code, 1);
    assert.equal(errorOf(refused).code, "REGISTRY_LAKE");
    assert.match(errorOf(refused).message, /--lake/);
  });

  test("the metrics of all processes match the reference", async () => {
    const titles = ["Gateway", "Broker", "Producer", "Stream on Redis", "Consumer", "Leases", "Tables"];
    await a.until("the upkeep runs", async () => /process="upkeep"/.test(await a.metrics()));
    assertExports(await a.metrics(), [...titles, "Upkeep"]);
  });

  test("the password is in no output, log record, status or metric", async () => {
    const record = readFileSync(join(a.dataFolder, "processes.json"), "utf8");
    const status = JSON.stringify(await statusOf(a));
    const metrics = await a.metrics();
    assert.match(metrics, /tidegate_registry_up\{[^}]*process="broker"[^}]*\} 1/);
    for (const text of [a.output, b.output, record, status, metrics]) {
      assert.notEqual(text, "");
      assert.equal(text.includes(secret), false);
    }
  });

  test("a fleet on both gateways while their Redis is killed: the audit finds every acknowledged message once", async () => {
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

  test("the consumer of a gateway that ends leaves its partitions to the other gateway, even while clients publish there", async () => {
    let isPublishing = true;
    const publishing = (async () => {
      for (let batch = 0; isPublishing; batch++) await publishAll(a, idsOf(`live${batch}`, 20));
    })();
    const code = await b.stop();
    isPublishing = false;
    await publishing;
    assert.equal(code, 0, "draining ends even if others append to the stream");
    await publishAll(a, idsOf("d3", 100));
    await a.until("everything is filed", async () => {
      const rows = await query("SELECT decode(message_id) AS id FROM telemetry WHERE device_id = 'd3'");
      return rows.length === 100;
    });
    await b.start();
  });
});
