import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  type CliResult,
  errorOf,
  freePorts,
  GatewayProcess,
  runCli,
  runCommand,
} from "../support/gateway-process.ts";
import { closed, connectClient, publishDemo } from "../support/mqtt-publisher.ts";
import { assertExports } from "../support/reference/exported-metrics.ts";

const fastBatches = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" };

describe("administration of a running gateway", { concurrency: false }, () => {
  let gateway: GatewayProcess;
  before(async () => {
    gateway = await GatewayProcess.start({
      environment: {
        ...fastBatches,
        TIDEGATE_MQTT_ANONYMOUS: "false",
        // Any client may publish below plant/ without a topic, but not on the names of a deleted topic.
        TIDEGATE_MQTT_PLAIN_FILTERS: "cmd/#,plant/#",
        TIDEGATE_MQTT_PLAIN_PUBLISHERS: "*",
      },
    });
  });
  after(() => gateway.destroy());

  test("a device connects with its key, publishes only as itself, and is disconnected when it is removed", async () => {
    const added = await gateway.cli("devices", "add", "press-7");
    assert.equal(added.code, 0);
    const { key } = added.json as { key: string };
    await assert.rejects(connectClient(gateway.mqttUrl), /Not authorized|Connection refused/);
    const wrong = { username: "press-7", password: `${key}x`, clientId: "press-7" };
    await assert.rejects(connectClient(gateway.mqttUrl, wrong), /Bad username or password|Not authorized/);

    const right = { ...wrong, password: key };
    const client = await connectClient(gateway.mqttUrl, right);
    await publishDemo(client, [{ device: "press-7", id: "1" }]);
    const impostor = closed(client);
    client.publish("fleet/press-8/telemetry", '{"id":"2","ts":1}', { qos: 1 });
    await impostor;

    const again = await connectClient(gateway.mqttUrl, right);
    const cut = closed(again);
    assert.equal((await gateway.cli("devices", "remove", "press-7")).code, 0);
    await cut;
    await assert.rejects(connectClient(gateway.mqttUrl, right), /Bad username or password|Not authorized/);
    assert.equal(errorOf(await gateway.cli("devices", "remove", "press-7")).code, "DEVICE_UNKNOWN");
  });

  test("the metrics of all processes match the reference", async () => {
    const titles = ["Gateway", "Broker", "Producer", "Embedded stream", "Consumer", "Tables", "Upkeep"];
    await gateway.until("the upkeep runs", async () => /process="upkeep"/.test(await gateway.metrics()));
    assertExports(await gateway.metrics(), titles);
  });

  test("a password from a file works as well, and the list shows no secrets", async () => {
    const file = join(gateway.dataFolder, "password");
    writeFileSync(file, "correct horse\n");
    const added = await gateway.cli(
      "devices",
      "add",
      "depot",
      "--role",
      "edge",
      "--prefix",
      "fleet/",
      "--password-file",
      file,
    );
    assert.equal((added.json as { key: unknown }).key, null);
    const edge = { username: "depot", password: "correct horse", clientId: "depot/1" };
    const client = await connectClient(gateway.mqttUrl, edge);
    await publishDemo(client, [
      { device: "d1", id: "1" },
      { device: "d2", id: "1" },
    ]);
    await client.endAsync();
    const listed = await gateway.cli("devices", "list");
    const { devices } = listed.json as { devices: { name: string; role: string; secret: string }[] };
    assert.deepEqual(
      devices.map(({ name, role, secret }) => ({ name, role, secret })),
      [{ name: "depot", role: "edge", secret: "password" }],
    );
    assert.ok(!listed.stdout.includes("horse"));
  });

  test("a topic accepts messages once it is created and until it is deleted; accepted messages are filed", async () => {
    const schema = join(gateway.dataFolder, "engine.json");
    writeFileSync(
      schema,
      JSON.stringify({ type: "object", properties: { rpm: { type: "integer" } }, required: ["rpm"] }),
    );
    const create = [
      "topics",
      "create",
      "engine",
      "--filter",
      "plant/{device}/engine",
      "--format",
      "json",
      "--schema",
      schema,
    ];
    assert.equal((await gateway.cli(...create)).code, 0);
    assert.equal(((await gateway.cli(...create)).json as { created: boolean }).created, false);
    const { key } = (await gateway.cli("devices", "add", "m1")).json as { key: string };
    const client = await connectClient(gateway.mqttUrl, { username: "m1", password: key, clientId: "m1" });
    await client.publishAsync("plant/m1/engine", '{"id":"1","ts":"2026-11-22T12:00:00Z","rpm":900}', {
      qos: 1,
    });
    await client.publishAsync("plant/m1/engine", '{"id":"2","ts":"2026-11-22T12:00:00Z"}', { qos: 1 });
    assert.equal((await gateway.cli("topics", "delete", "engine")).code, 0);
    const refused = closed(client);
    client.publish("plant/m1/engine", '{"id":"3","ts":0,"rpm":1}', { qos: 1 });
    await refused;
    await gateway.until(
      "the row is filed",
      async () => (await gateway.query("SELECT * FROM engine")).length > 0,
    );
    assert.deepEqual(await gateway.query("SELECT device_id, rpm FROM engine"), [
      { device_id: "m1", rpm: 900 },
    ]);

    const listed = async (): Promise<{ id: string; topic: string }[]> => {
      const filters = ["--topic", "engine", "--mqtt-topic", "plant/m1/engine", "--reason", "schema-violated"];
      const result = await gateway.cli("quarantine", "list", ...filters);
      return (result.json as { rows: { id: string; topic: string }[] }).rows;
    };
    await gateway.until("the other message is in quarantine", async () => (await listed()).length > 0);
    const rows = await listed();
    assert.deepEqual(
      rows.map(({ topic }) => topic),
      ["plant/m1/engine"],
    );
    const shown = await gateway.cli("quarantine", "show", rows[0]?.id ?? "");
    const { row } = shown.json as { row: { payload_base64: string; detail: string } };
    assert.equal(
      Buffer.from(row.payload_base64, "base64").toString(),
      '{"id":"2","ts":"2026-11-22T12:00:00Z"}',
    );
    assert.match(row.detail, /rpm/);
  });

  test("a message that a schema refused is filed once if it is sent again after the schema is corrected", async () => {
    const schemaFile = (name: string, schema: object) => {
      const file = join(gateway.dataFolder, name);
      writeFileSync(
        file,
        JSON.stringify({ type: "object", properties: { v: { type: "integer" } }, ...schema }),
      );
      return file;
    };
    const wrong = schemaFile("wrong.json", { required: ["missing"] });
    const create = ["topics", "create", "motors", "--filter", "motor/{device}", "--format", "json"];
    assert.equal((await gateway.cli(...create, "--schema", wrong)).code, 0);
    const { key } = (await gateway.cli("devices", "add", "m2")).json as { key: string };
    const client = await connectClient(gateway.mqttUrl, { username: "m2", password: key, clientId: "m2" });
    const publish = () => client.publishAsync("motor/m2", '{"id":"1","ts":0,"v":5}', { qos: 1 });
    await publish();
    const quarantined = async () => {
      const { json } = await gateway.cli("quarantine", "list", "--mqtt-topic", "motor/m2");
      return (json as { rows: unknown[] }).rows.length;
    };
    await gateway.until("the message is in quarantine", async () => (await quarantined()) > 0);
    const right = schemaFile("right.json", {});
    assert.equal((await gateway.cli("topics", "update", "motors", "--schema", right)).code, 0);
    await publish();
    await publish();
    const filed = () => gateway.query("SELECT device_id, v FROM motors");
    await gateway.until("the message is filed", async () => (await filed()).length > 0);
    await client.publishAsync("motor/m2", '{"id":"2","ts":0,"v":6}', { qos: 1 });
    await gateway.until("the next message is filed", async () => (await filed()).length > 1);
    assert.deepEqual([(await filed()).map(({ v }) => v).toSorted(), await quarantined()], [[5, 6], 1]);
    await client.endAsync();
  });

  test("exit codes: 2 for wrong usage, 1 for failures", async () => {
    const wrong: [string[], number, string][] = [
      [["topics", "create", "x", "--filter", "a/#/b", "--format", "raw"], 2, "TOPIC_INVALID"],
      [["topics", "create", "x", "--format", "raw"], 2, "USAGE_INVALID"],
      [["topics", "create", "x", "--filter", "fleet/+/telemetry", "--format", "raw"], 1, "TOPIC_AMBIGUOUS"],
      [["topics", "create", "x", "--filter", "plant/#", "--format", "raw"], 1, "TOPIC_AMBIGUOUS"],
      [["topics", "create", "x", "--filter", "x", "--format", "raw", "--rate", "abc"], 2, "USAGE_INVALID"],
      [["topics", "show", "nothing"], 1, "TOPIC_UNKNOWN"],
      [["topics", "delete", "telemetry", "--purge"], 1, "TOPIC_PURGE_UNSAFE"],
      [["quarantine", "list", "--topic", "nothing"], 2, "REQUEST_INVALID"],
      [["quarantine", "list", "--reason", "nothing"], 2, "REQUEST_INVALID"],
      [["quarantine", "list", "--limit", "many"], 2, "REQUEST_INVALID"],
      [["stream", "accept-gap", "0"], 1, "STREAM_NO_GAP"],
      [["stream", "accept-gap", "zero"], 2, "USAGE_INVALID"],
      [["query", "SELECT * FROM nowhere"], 1, "QUERY_FAILED"],
      [["query", "SELECT 1", "--format", "xml"], 2, "USAGE_INVALID"],
      [["query", "SELECT 1", "--lake", "file:no-such-lake"], 1, "LAKE_MISSING"],
      [["stream", "new", "--data", "no-such-folder"], 1, "DATA_FOLDER_UNUSABLE"],
      [["status", "--data", join(gateway.dataFolder, "nowhere")], 1, "GATEWAY_NOT_RUNNING"],
    ];
    const folder = (args: readonly string[]) =>
      args.includes("--data") ? [] : ["--data", gateway.dataFolder];
    const results: CliResult[] = [];
    for (const [args] of wrong) results.push(await runCommand([...args, ...folder(args), "--json"]));
    for (const [index, [args, code, error]] of wrong.entries()) {
      const result = results[index] as CliResult;
      assert.deepEqual(
        [result.code, errorOf(result)?.code],
        [code, error],
        `${args.join(" ")}: ${result.stderr}`,
      );
      assert.ok(result.stderr.trim().length > 10);
    }
    for (const args of [["topcis"], ["up", "--prot", "1"], ["topics", "create"]]) {
      const result = await runCommand([...args, "--json"]);
      assert.deepEqual([result.code, errorOf(result).code], [2, "USAGE_INVALID"], args.join(" "));
    }
    assert.deepEqual([existsSync("no-such-lake"), existsSync("no-such-folder")], [false, false]);
    const program = await runCli(["topcis"]);
    assert.equal(program.code, 2);
    assert.match(program.stderr, /did you mean topics/);
    assert.match((await runCli(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  test("the metrics of all processes are on one page, with labels", async () => {
    const text = await gateway.metrics();
    for (const process of ["supervisor", "broker", "consumer", "upkeep"])
      assert.match(text, new RegExp(`process="${process}"`));
    assert.match(text, /tidegate_child_up\{child="broker",process="supervisor"\} 1/);
    assert.match(text, /tidegate_stream_disk_free_bytes\{process="broker"\} [1-9]/);
    assert.match(text, /# TYPE tidegate_producer_appended_messages_total counter/);
  });

  test("the text form of status shows processes, books and a verdict", async () => {
    const { stdout, code } = await runCli(["status", "--data", gateway.dataFolder]);
    assert.equal(code, 0);
    assert.match(stdout, /broker\s+ready/);
    await gateway.until("everything is filed", async () =>
      /The books balance/.test((await runCli(["status", "--data", gateway.dataFolder])).stdout),
    );
  });
});

describe("a data folder over time", { concurrency: false }, () => {
  test("topics, keys and rows survive a restart; the lake alone is enough to restore its topics", async (t) => {
    const gateway = await GatewayProcess.start({ environment: fastBatches });
    t.after(() => gateway.destroy());
    await gateway.cli("topics", "delete", "telemetry_envelope");
    await gateway.cli("topics", "create", "engine", "--filter", "plant/{device}/engine", "--format", "raw");
    const client = await connectClient(gateway.mqttUrl);
    await publishDemo(client, [{ device: "d1", id: "1" }]);
    await client.endAsync();
    assert.equal(await gateway.stop(), 0);
    const names = async (): Promise<string[]> => {
      const { topics } = (await gateway.cli("topics", "list")).json as { topics: { name: string }[] };
      return topics.map(({ name }) => name);
    };
    await gateway.start();
    assert.deepEqual(await names(), ["engine", "telemetry"], "deleted demo topics stay deleted");
    assert.equal(await gateway.stop(), 0);

    rmSync(join(gateway.dataFolder, "registry"), { recursive: true });
    await gateway.start();
    assert.deepEqual(await names(), ["engine", "telemetry"]);
    const again = await connectClient(gateway.mqttUrl);
    await publishDemo(again, [
      { device: "d1", id: "1" },
      { device: "d1", id: "2" },
    ]);
    await again.endAsync();
    assert.equal(await gateway.stop(), 0);
    assert.equal((await gateway.query("SELECT * FROM telemetry")).length, 2);
  });

  test("a lost stream is reported; only `stream new` continues, and only while the gateway is stopped", async (t) => {
    const gateway = await GatewayProcess.start({ environment: fastBatches, waitUntilReady: true });
    t.after(() => gateway.destroy());
    const client = await connectClient(gateway.mqttUrl);
    await publishDemo(client, [{ device: "d1", id: "1" }]);
    await client.endAsync();
    assert.equal(await gateway.stop(), 0);
    const inOrder = await runCommand(["stream", "new", "--data", gateway.dataFolder, "--json"]);
    assert.deepEqual([inOrder.code, errorOf(inOrder).code], [1, "STREAM_IN_ORDER"]);

    const folder = join(gateway.dataFolder, "stream");
    renameSync(folder, `${folder}-lost`);
    const started = gateway.start().catch(() => {});
    await gateway.until("the refusal is in the status", async () => {
      const { reasons } = (await gateway.api("GET", "/v1/status")).body as { reasons: string[] };
      return reasons.some(
        (reason) => reason.includes("STREAM_GAP") && reason.includes("tidegate stream new"),
      );
    });
    assert.equal((await fetch(`${gateway.httpUrl}/readyz`)).status, 503);
    assert.match(gateway.output, /STREAM_GAP/);
    await assert.rejects(connectClient(gateway.mqttUrl));
    const running = await runCommand(["stream", "new", "--data", gateway.dataFolder, "--json"]);
    assert.deepEqual([running.code, errorOf(running).code], [1, "DATA_FOLDER_LOCKED"]);
    await gateway.stop();
    await started;

    const renewed = await runCommand(["stream", "new", "--data", gateway.dataFolder, "--json"]);
    assert.equal(renewed.code, 0, renewed.stderr);
    await gateway.start();
    const again = await connectClient(gateway.mqttUrl);
    await publishDemo(again, [{ device: "d1", id: "2" }]);
    await again.endAsync();
    assert.equal(await gateway.stop(), 0);
    assert.equal((await gateway.query("SELECT * FROM telemetry")).length, 2);
  });

  for (const part of ["lake", "stream"])
    test(`an older copy of the ${part} alone is refused`, async (t) => {
      const gateway = await GatewayProcess.start({ environment: fastBatches });
      t.after(() => gateway.destroy());
      const folder = join(gateway.dataFolder, part);
      const copy = join(gateway.dataFolder, "copy");
      for (const id of ["1", "2"]) {
        const client = await connectClient(gateway.mqttUrl);
        await publishDemo(client, [{ device: "d1", id }]);
        await client.endAsync();
        assert.equal(await gateway.stop(), 0);
        if (id === "1") cpSync(folder, copy, { recursive: true });
        await gateway.start();
      }
      assert.equal(await gateway.stop(), 0);
      rmSync(folder, { recursive: true });
      renameSync(copy, folder);
      const started = gateway.start().catch(() => {});
      await gateway.until("the copy is refused", async () => {
        const { reasons } = (await gateway.api("GET", "/v1/status")).body as { reasons: string[] };
        return reasons.some((reason) => reason.includes("STREAM_GAP"));
      });
      await gateway.stop();
      await started;
    });

  test("data of a newer version is refused before any change", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-test-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const gateway = await GatewayProcess.start({ dataFolder: folder });
    assert.equal(await gateway.stop(), 0);
    const lakeFile = join(folder, "lake", "_commits", "lake.json");
    assert.ok(existsSync(lakeFile), readdirSync(join(folder, "lake")).join());
    writeFileSync(lakeFile, JSON.stringify({ format: 99, lakeId: "x" }));
    const refused = await runCli(["up", "--data", folder, ...freePorts, "--json"]);
    assert.deepEqual([refused.code, errorOf(refused).code], [1, "LAKE_VERSION"]);
  });

  test("configuration errors of all sources are reported at once, with exit code 2", async () => {
    const environment = { TIDEGATE_HTTP_PORT: "eighty", TIDEGATE_HTTP_PROT: "1" };
    for (const command of [["up"], ["config", "check"]]) {
      const refused = await runCli([...command, "--stream", "kafka://eu-west-1/s", "--json"], environment);
      assert.equal(refused.code, 2);
      assert.equal(errorOf(refused).code, "CONFIG_INVALID");
      for (const path of ["http.port", "TIDEGATE_HTTP_PROT", "stream.url"])
        assert.ok(refused.stderr.includes(path), `${path} in ${refused.stderr}`);
    }
  });
});
