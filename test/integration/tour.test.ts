import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { GatewayProcess } from "../support/gateway-process.ts";
import { readmeCommands, replaceEach, runScript } from "../support/readme-tour.ts";
import type { ProgramResult } from "../support/run-program.ts";

const root = join(import.meta.dirname, "..", "..");
const dist = join(root, "dist");

const section = "Five minutes";

/** README.md's own commands, in a temporary folder: what differs are ports, the size of the fleet and how long a batch waits. */
describe("the five minutes of README.md", { concurrency: false }, () => {
  let folder: string;
  let gateway: GatewayProcess;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tidegate-tour-"));
    gateway = await GatewayProcess.start({
      dataFolder: join(folder, "data"),
      environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300" },
    });
  });
  after(async () => {
    await gateway.destroy();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs commands of README.md; rejects where one fails. */
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
      .replaceAll("npx tidegate", `node ${join(dist, "gateway", "main.js")}`)
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

  test("mosquitto_pub publishes, a resend is acknowledged and filed once, and the books say so", async () => {
    await run(readmeCommands(section, "mosquitto_pub -t fleet"));
    await filed("telemetry", 2);
    const { stdout } = await run(readmeCommands(section, "npx tidegate status"));
    assert.match(
      stdout,
      /^press-7 +\d{4}-\d\d-\d\dT[\d:.]+Z +21\.5\npress-7 +\S+ +21\.7\n\(2 rows\)\nTidegate \d/m,
    );
    assert.match(stdout, /3 acknowledged; refused: none/);
    assert.match(stdout, /^all +3 +2 +1 +0 +0 +0 +0 +0$/m, "read, filed, duplicates, and nothing else");
    // A moment later the producer claims what was acknowledged, by a block that has to be read.
    await gateway.until("the books balance", async () => {
      const shown = await run(readmeCommands(section, "npx tidegate status"));
      return /The books balance/.test(shown.stdout);
    });
  });

  test("the SDK's example publishes, and goes on with its outbox when it is run again", async () => {
    const short = {
      "node dist": `node ${dist}`,
      "publish-telemetry.js": `publish-telemetry.js --url ${gateway.mqttUrl} --count 3 --interval-ms 1`,
    };
    for (const last of ["0000000000000003", "0000000000000006"]) {
      const { stdout } = await run(readmeCommands(section, "publish-telemetry.js", "node"), short);
      assert.match(stdout, new RegExp(`${last} is acknowledged\n`));
      assert.match(stdout, /everything is acknowledged\n$/);
    }
    await filed("telemetry_envelope", 6);
    const { stdout } = await run(readmeCommands(section, "publish-telemetry.js", "npx tidegate query"));
    assert.match(stdout, /^example-1 +fleet\/example-1\/envelope .*"humidity":40/m);
    assert.match(stdout, /\(5 rows\)\n$/);
  });

  test("a topic of one's own, and a device whose key is shown once and lets it publish as itself", async () => {
    const { stdout } = await run(readmeCommands(section, "devices add", "npx tidegate"));
    assert.match(stdout, /^Topic engines created \(version 1\)\.$/m);
    const key = /^ {2}(tgk_\S+)$/m.exec(stdout)?.[1] ?? "";
    assert.ok(key.length > 40, stdout);
    const listed = await gateway.cli("devices", "list");
    assert.match(listed.stdout, /press-7/);
    for (const shown of [listed.stdout, gateway.output]) assert.ok(!shown.includes(key));

    const publish = readmeCommands(section, "devices add", "mosquitto_pub");
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
    const { stdout } = await run(readmeCommands(section, "npx tidegate simulate"), small);
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
});
