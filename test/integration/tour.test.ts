import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { BackgroundCommand } from "../support/background-command.ts";
import { DocumentTour, isExcused, replaceEach, runScript } from "../support/document-tour.ts";
import { codeBlocks } from "../support/documents.ts";
import { freePort } from "../support/free-port.ts";
import { GatewayProcess } from "../support/gateway-process.ts";
import type { ProgramResult } from "../support/run-program.ts";

const root = join(import.meta.dirname, "..", "..");
const dist = join(root, "dist");

const readme = "README.md";
const tidegate = `node ${join(dist, "gateway", "main.js")}`;
const quick = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300" };

/** Why a block with Python can't run here, or false. */
function pythonMissing(module: string): string | false {
  const { status, error } = spawnSync("python3", ["-c", `import ${module}`], { encoding: "utf8" });
  if (error) return "python3 is not installed";
  return status === 0 ? false : `python3 has no ${module}`;
}

/**
 * The code blocks of README.md and docs, in a temporary folder and on one gateway. Only ports, the size of
 * the fleet and the age of a batch differ. The last tests stop that gateway, copy its folder, and move it to
 * a Redis.
 */
describe("the commands of README.md and docs", { concurrency: false }, () => {
  const documents = new DocumentTour();
  let folder: string;
  let gateway: GatewayProcess;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tidegate-tour-"));
    gateway = await GatewayProcess.start({
      dataFolder: join(folder, "data"),
      environment: quick,
    });
  });
  after(async () => {
    await gateway.destroy();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs commands of a document; rejects if one fails. */
  async function run(commands: string, replacements: Record<string, string> = {}): Promise<ProgramResult> {
    const result = await attempt(commands, replacements);
    assert.equal(result.code, 0, `${commands}\n${result.stdout}${result.stderr}`);
    return result;
  }

  async function attempt(
    commands: string,
    replacements: Record<string, string> = {},
  ): Promise<ProgramResult> {
    const script = replaceEach(commands, replacements)
      .replaceAll("npx tidegate", tidegate)
      .replaceAll("mosquitto_pub", `mosquitto_pub -p ${gateway.mqttPort}`);
    return await runScript(script, folder);
  }

  async function filed(table: string, count: number): Promise<void> {
    await gateway.until(
      `${count} rows are in ${table}`,
      async () => (await gateway.query(`SELECT 1 FROM ${table}`)).length >= count,
    );
  }

  test("`npx tidegate` is this program", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    const { stdout, stderr } = await runScript("npx --no-install tidegate --version", root);
    assert.equal(stdout, `${version}\n`, stderr);
  });

  test("mosquitto_pub publishes, a resend is acknowledged and filed once, and the books show that", async () => {
    await run(documents.commands(readme, "mosquitto_pub -t fleet"));
    await filed("telemetry", 2);
    const { stdout } = await run(documents.commands(readme, "npx tidegate status"));
    assert.match(
      stdout,
      /^press-7 +\d{4}-\d\d-\d\dT[\d:.]+Z +21\.5\npress-7 +\S+ +21\.7\n\(2 rows\)\nTidegate \d/m,
    );
    assert.match(stdout, /3 acknowledged; refused: none/);
    assert.match(
      stdout,
      /^all +3 +2 +1 +0 +0 +0 +0 +0$/m,
      "counts for read, filed and duplicates, and for nothing else",
    );
    // A moment later the producer claims the acknowledged blocks, in another block that must be read.
    await gateway.until("the books balance", async () => {
      const shown = await run(documents.commands(readme, "npx tidegate status"));
      return /The books balance/.test(shown.stdout);
    });
  });

  test("the example of the SDK publishes, and the next run continues with its outbox", async () => {
    const short = {
      "node dist": `node ${dist}`,
      "publish-telemetry.js": `publish-telemetry.js --url ${gateway.mqttUrl} --count 3 --interval-ms 1`,
    };
    for (const last of ["0000000000000003", "0000000000000006"]) {
      const { stdout } = await run(documents.commands(readme, "publish-telemetry.js", "node"), short);
      assert.match(stdout, new RegExp(`${last} is acknowledged\n`));
      assert.match(stdout, /everything is acknowledged\n$/);
    }
    await filed("telemetry_envelope", 6);
    const { stdout } = await run(documents.commands(readme, "publish-telemetry.js", "npx tidegate query"));
    assert.match(stdout, /^example-1 +fleet\/example-1\/envelope .*"humidity":40/m);
    assert.match(stdout, /\(5 rows\)\n$/);
  });

  test("a topic, and a device whose key is shown once and permits publishing as that device", async () => {
    const { stdout } = await run(documents.commands(readme, "devices add", "npx tidegate"));
    assert.match(stdout, /^Topic engines created \(version 1\)\.$/m);
    const key = /^ {2}(tgk_\S+)$/m.exec(stdout)?.[1] ?? "";
    assert.ok(key.length > 40, stdout);
    const listed = await gateway.cli("devices", "list");
    assert.match(listed.stdout, /press-7/);
    for (const shown of [listed.stdout, gateway.output]) assert.ok(!shown.includes(key));

    const publish = documents.commands(readme, "devices add", "mosquitto_pub");
    const asDevice = (replacements: Record<string, string>) => attempt(publish, replacements);
    assert.equal((await asDevice({ KEY: key })).code, 0);
    assert.notEqual((await asDevice({ KEY: `${key}x` })).code, 0, "a wrong key");
    assert.notEqual(
      (await asDevice({ KEY: key, "plant/press-7": "plant/press-8" })).code,
      0,
      "another's name",
    );
    await filed("engines", 1);
    assert.deepEqual(await gateway.query("SELECT device_id, decode(message_id) AS id FROM engines"), [
      { device_id: "press-7", id: "1" },
    ]);
  });

  test("a fleet runs, and the audit proves that each of its messages is filed once", async () => {
    const small = {
      "--devices 10000 --connections 1000 --rate 16700 --duration 60": `--devices 300 --connections 20 --rate 500 --duration 2 --mqtt ${gateway.mqttUrl}`,
      "--lake file:data/lake": "--lake file:data/lake --settle 2",
    };
    const { stdout } = await run(documents.commands(readme, "npx tidegate simulate"), small);
    assert.match(stdout, /1000 of 1000 sent, 1000 acknowledged, 0 given up/);
    assert.match(stdout, /^ +stored +1000 /m);
    assert.match(stdout, /^ +lost +0 /m);
    assert.match(stdout, /^ +duplicated +0 /m);
    assert.match(stdout, /PROVEN/);
  });

  test("Python's paho-mqtt publishes with QoS 1 and 2", async (context) => {
    const probe = spawnSync(
      "python3",
      ["-c", "import paho.mqtt.client as m; m.CallbackAPIVersion.VERSION2"],
      {
        encoding: "utf8",
      },
    );
    if (probe.status !== 0) {
      const reason = `python3 has no paho-mqtt 2: ${(probe.stderr ?? String(probe.error)).trim().split("\n").at(-1)}`;
      context.diagnostic(reason);
      context.skip(reason);
      return;
    }
    const script = join(root, "test", "support", "publish-paho.py");
    const { code, stdout, stderr } = await runScript(
      `python3 ${script} ${gateway.mqttPort} paho-1 100`,
      folder,
    );
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "100\n");
    const sql =
      "SELECT count(DISTINCT message_id)::INT AS ids, count(*)::INT AS n FROM telemetry WHERE device_id = 'paho-1'";
    await gateway.until("all are filed", async () => Number((await gateway.query(sql))[0]?.["n"]) >= 100);
    assert.deepEqual(await gateway.query(sql), [{ ids: 100, n: 100 }]);
  });

  test("devices.md: the example of the SDK publishes", async () => {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(root, join(folder, "node_modules", "tidegate"));
    const example = documents.block("docs/devices.md", "DeviceClient.open");
    writeFileSync(
      join(folder, "example.mjs"),
      replaceEach(example, { "mqtt://127.0.0.1:1883": gateway.mqttUrl }),
    );
    await run("node example.mjs");
    const sql = "SELECT decode(payload) AS payload FROM telemetry_envelope WHERE device_id = 'pump-7'";
    await gateway.until("the message is filed", async () => (await gateway.query(sql)).length > 0);
    assert.deepEqual(await gateway.query(sql), [{ payload: '{"pressure":3.2}' }]);
  });

  test("topics.md: topics are created, shown, changed and deleted, and a schema makes columns", async () => {
    const page = "docs/topics.md";
    const { stdout } = await run(documents.commands(page, "topics create pumps"));
    assert.match(stdout, /^Topic pumps created \(version 1\)\.$/m);
    assert.match(stdout, /"dedupeWindowMs": 3600000/);
    writeFileSync(join(folder, "pressure.json"), documents.block(page, '"required"'));
    await run(documents.commands(page, "--schema"));
    const columns = JSON.parse((await run("npx tidegate topics show pressure")).stdout) as {
      columns: unknown;
    };
    assert.deepEqual(columns.columns, [
      { name: "pressure", type: "double" },
      { name: "valve", type: "string" },
      { name: "checked_at", type: "timestamp" },
    ]);
    await run(documents.commands(page, "--event-past"));
    await run(documents.commands(page, "--retain"));
    const { stdout: listed } = await run("npx tidegate topics list");
    assert.match(listed, /^archive +archive\/\{device\} +json +2 +400d +1h +400d +live$/m);
    await run("mosquitto_pub -t fleet/press-7/telemetry -q 1 -m 'no JSON'");
    await filed("_quarantine", 1);
    const shown = await run(documents.commands(page, "quarantine list"));
    assert.match(shown.stdout, /press-7 .*payload-undecodable/);
    assert.match(shown.stdout, /^payload-undecodable +1$/m);
  });

  test("operating/: configuration, monitoring and the first checks in case of trouble", async () => {
    const page = "docs/operating/README.md";
    writeFileSync(join(folder, "tidegate.toml"), documents.block(page, "[mqtt]"));
    const { stdout } = await run(documents.commands(page, "config check"));
    assert.match(stdout, /The configuration is valid\./);
    assert.match(stdout, /^port = 1884$/m);
    assert.match(stdout, /^maxBatchAgeMs = 10000$/m);
    const port = { "127.0.0.1:8080": `127.0.0.1:${gateway.httpPort}` };
    const metrics = await run(documents.commands("docs/operating/monitoring.md", "curl"), port);
    assert.match(metrics.stdout, /"isReady":true/);
    assert.match(metrics.stdout, /^tidegate_degraded(\{.*\})? 0$/m);
    const status = await run(documents.commands("docs/operating/troubleshooting.md", "tidegate status"));
    assert.match(status.stdout, /payload-undecodable/);
  });

  test("operating/aws.md: the policy is valid", () => {
    const policy = JSON.parse(documents.block("docs/operating/aws.md", "Statement")) as {
      Statement: { Effect: string; Action: string[]; Resource: string }[];
    };
    for (const { Effect, Resource } of policy.Statement) {
      assert.equal(Effect, "Allow");
      assert.match(Resource, /^arn:aws:(kinesis|s3|kms):/);
    }
  });

  test("tables.md: tidegate and outside readers read the tables", async (context) => {
    const page = "docs/tables.md";
    const { stdout } = await run(documents.commands(page, "--format csv"));
    assert.match(stdout, /^event_hour,n\r?\n\d+,\d+\r?\n/);
    const readers = [
      { modules: "deltalake", word: "import DeltaTable", shows: /press-7/ },
      { modules: "polars, deltalake", word: "import polars", shows: /press-7/ },
    ];
    for (const { modules, word, shows } of readers) {
      const commands = documents.commands(page, word);
      const missing = pythonMissing(modules);
      if (missing) context.diagnostic(missing);
      else assert.match((await run(commands)).stdout, shows);
    }
  });

  test("operating/backup-and-restore.md: a copy of a stopped gateway's folder works as a gateway", async () => {
    assert.equal(await gateway.stop(), 0);
    const page = "docs/operating/backup-and-restore.md";
    await run(documents.commands(page, "cp -a", "cp"));
    const copy = await up(documents.commands(page, "cp -a", "npx"), {
      "127.0.0.1:1884": "127.0.0.1:0",
      "127.0.0.1:8081": `127.0.0.1:${await freePort()}`,
    });
    const { stdout } = await run("npx tidegate query --data backup 'SELECT count(*) AS n FROM engines'");
    assert.match(stdout, /^1$/m);
    assert.equal(await copy.stop(), 0);
  });

  test("operating/redis.md: two gateways on two servers, and a data folder that moves to them", async (context) => {
    const page = "docs/operating/redis.md";
    const [stream, window, httpA, mqttB, httpB] = await Promise.all(Array.from({ length: 5 }, freePort));
    const servers = documents.commands(page, "redis-server", "redis-server").split("\n");
    const [first = "", second = ""] = servers;
    assert.equal(servers.length, 2);
    const background = [
      new BackgroundCommand(replaceEach(first, { "--port 6379": `--port ${stream}` }), temporary("stream")),
      new BackgroundCommand(replaceEach(second, { "--port 6380": `--port ${window}` }), temporary("window")),
    ];
    context.after(async () => {
      for (const each of background.reverse()) await each.destroy();
    });
    const urls = { "127.0.0.1:6379": `127.0.0.1:${stream}`, "127.0.0.1:6380": `127.0.0.1:${window}` };
    const lines = documents.commands(page, "redis-server", "npx").split("\n");
    assert.equal(lines.length, 2);
    const ports = { ...urls, "127.0.0.1:1884": `127.0.0.1:${mqttB}`, "127.0.0.1:8081": `127.0.0.1:${httpB}` };
    const [a, b] = await Promise.all([
      up(`${lines[0]} --mqtt 127.0.0.1:0 --http 127.0.0.1:${httpA}`, urls, background),
      up(lines[1] ?? "", ports, background),
    ]);
    const message = '{"id":"1","ts":1795900000000,"temperature":1}';
    await runScript(`mosquitto_pub -p ${mqttB} -t fleet/x/telemetry -q 1 -m '${message}'`, folder);
    assert.deepEqual(await Promise.all([a.stop(), b.stop()]), [0, 0]);
    const { stdout } = await run(
      "npx tidegate query --data data-a --lake file:./lake 'SELECT device_id FROM telemetry'",
    );
    assert.match(stdout, /^x$/m);

    // Another database of the server, because the lake of the first one has its prefix.
    const moved = { "redis://127.0.0.1:6379/0": `redis://127.0.0.1:${stream}/1` };
    await run(documents.commands(page, "npx tidegate migrate", "npx tidegate migrate"), moved);
    const goesOn = await up(
      `${documents.commands(page, "npx tidegate migrate", "npx tidegate up")} --mqtt 127.0.0.1:0 --http 127.0.0.1:${httpA}`,
      moved,
      background,
    );
    assert.match((await run("npx tidegate devices list")).stdout, /press-7/);
    assert.equal(await goesOn.stop(), 0);
  });

  test("every code block of README.md and docs was run, or says why not", () => {
    assert.deepEqual(documents.unseen(), []);
  });

  test("a block that is neither run nor excused is detected", () => {
    const notes = ["", "not run: ", "not run: needs a moon", "run by: unit/docs/links"];
    const text = notes.map((note) => `<!-- ${note} -->\n\`\`\`sh\nx\n\`\`\`\n`).join("\n");
    assert.deepEqual(codeBlocks("page.md", text).map(isExcused), [false, false, true, false]);
    assert.ok(new DocumentTour().unseen().some((place) => place.startsWith(`${readme}:`)));
  });

  function temporary(name: string): string {
    mkdirSync(join(folder, name));
    return join(folder, name);
  }

  /** Runs a `tidegate up` of a document until the gateway is ready. */
  async function up(
    command: string,
    replacements: Record<string, string>,
    started: BackgroundCommand[] = [],
  ): Promise<BackgroundCommand> {
    const script = replaceEach(command, replacements).replace("npx tidegate", tidegate);
    const [, port] = /--http 127\.0\.0\.1:(\d+)/.exec(script) ?? [];
    const running = new BackgroundCommand(script, folder, quick);
    started.push(running);
    await running.until(
      "the gateway is ready",
      async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok,
    );
    return running;
  }
});
