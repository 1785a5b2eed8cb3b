import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { publishAll, statusOf, storedIds, untilFiledAndTrimmed } from "../support/gateway-books.ts";
import { errorOf, freePorts, GatewayProcess, runCli } from "../support/gateway-process.ts";
import { killGateway, stopReading } from "../support/kill-gateway.ts";
import { connectClient } from "../support/mqtt-publisher.ts";
import { assertPlain } from "../support/plain-words.ts";
import { mountSmallDisk } from "../support/small-disk.ts";

describe("invalid requests to a running gateway", { concurrency: false }, () => {
  let gateway: GatewayProcess;
  before(async () => {
    gateway = await GatewayProcess.start({ environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" } });
  });
  after(() => gateway.destroy());

  const create = (filter: string, ...more: string[]) =>
    gateway.cli("topics", "create", "engine", "--filter", filter, "--format", "json", ...more);

  test("invalid filters: a # that is not last, half a wildcard, a repeated name, another topic's filter", async () => {
    const wrong: [string, number, string, RegExp][] = [
      ["plant/#/engine", 2, "TOPIC_INVALID", /plant\/#\/engine.*# must be the last level/],
      ["plant/#engine", 2, "TOPIC_INVALID", /# must be a whole level/],
      ["plant/a+/engine", 2, "TOPIC_INVALID", /\+ must be a whole level/],
      ["{device}/{device}", 2, "TOPIC_INVALID", /\{device\} is used twice/],
      ["plant/{device/engine", 2, "TOPIC_INVALID", /not a name such as \{device\}/],
      ["$SYS/{device}", 2, "TOPIC_INVALID", /begin with \$/],
      ["+/{device}/telemetry", 0, "", /./],
      ["fleet/{car}/telemetry", 1, "TOPIC_AMBIGUOUS", /fleet\/\{device\}\/telemetry of the topic telemetry/],
    ];
    for (const [filter, code, error, says] of wrong) {
      const result = await create(filter);
      assert.equal(result.code, code, `${filter}: ${result.stderr}`);
      if (code === 0) await gateway.cli("topics", "delete", "engine");
      else {
        assert.equal(errorOf(result).code, error, filter);
        assert.match(result.stderr, says);
      }
    }
  });

  test("invalid schemas: no file, no JSON, a schema that does not compile, invalid columns", async () => {
    const wrong: [string, RegExp][] = [
      ["{", /--schema .*schema\.json: /],
      ["{}", /"type": "object"/],
      ['{"type":"objekt"}', /"type": "object"/],
      [
        '{"type":"object","properties":{"n":{"type":"integer","maximum":9007199254740993}}}',
        /properties\.n\.maximum "9007199254740993": .*too many digits.*give 9007199254740992/,
      ],
      ['{"type":"object","properties":{"rpm":{"type":"numbr"}}}', /rpm.*type|type.*rpm/s],
      ['{"type":"object","properties":{"rpm":{"$ref":"#/nowhere"}}}', /nowhere/],
      ['{"type":"object","properties":{"Payload":{"type":"string"}}}', /Payload/],
    ];
    const file = join(gateway.dataFolder, "schema.json");
    const missing = await create("plant/{device}/engine", "--schema", file);
    assert.deepEqual([missing.code, errorOf(missing).code], [2, "USAGE_INVALID"]);
    assert.match(missing.stderr, /schema\.json.*no such file/);
    for (const [schema, says] of wrong) {
      writeFileSync(file, schema);
      const result = await create("plant/{device}/engine", "--schema", file);
      assert.equal(result.code, 2, `${schema}: ${result.stderr}`);
      assert.match(result.stderr, says, schema);
      assert(result.stderr.includes(`--schema ${file}: `), result.stderr);
    }
    const { topics } = (await gateway.cli("topics", "list")).json as { topics: { name: string }[] };
    assert.deepEqual(
      topics.map(({ name }) => name),
      ["telemetry", "telemetry_envelope"],
    );
  });

  test("refusals of the gateway are reported in the words of the command line, with the flag", async () => {
    const topic = ["topics", "create", "engine", "--filter", "plant/{device}/engine", "--format"];
    const name = "give a name of at most 63 small letters, digits and _, that begins with a letter";
    const table: [line: string[], says: string][] = [
      [[...topic, "jsn"], "--format jsn: choose envelope, json or raw"],
      [["topics", "create", "Engine", ...topic.slice(3), "json"], `the name Engine: ${name}`],
      [[...topic, "json", "--qos", "0,5"], "--qos 5: choose 0, 1 or 2"],
      [[...topic, "json", "--qos", "1,1"], "--qos: give a list of 0, 1 and 2, each at most once"],
      [
        [...topic, "json", "--dedupe-window", "0.5"],
        "--dedupe-window 0.5: give seconds from 1 to 604800, which is 7 days",
      ],
      [
        [...topic, "json", "--max-payload-bytes", "1.5"],
        "--max-payload-bytes 1.5: give a whole number from 1 to 786432",
      ],
      [[...topic, "json", "--rate", "0"], "--rate 0: give a number above 0, at most 1000000 or null"],
      [
        [...topic, "json", "--event-past", "30s"],
        "--event-past 30s: give a time from 1m to 3650d, which is 10 years, such as 90s, 30m, 12h or 7d",
      ],
      [
        [...topic, "json", "--event-ahead", "3651d"],
        "--event-ahead 3651d: give a time from 1m to 3650d, which is 10 years, such as 90s, 30m, 12h or 7d",
      ],
      [
        [...topic, "json", "--retain", "23h"],
        "--retain 23h: give a time from 1d to 36500d, which is 100 years, such as 400d, or forever",
      ],
      [[...topic, "json", "--dedupe", "exat"], "--dedupe exat: choose window or exact"],
      [
        [...topic, "json", "--id-path", "a..b"],
        "--id-path a..b: give names of fields with dots between them, such as meta.id, at most 8",
      ],
      [[...topic, "raw", "--id-path", "id"], "--id-path id: this is for the format json only"],
      [["topics", "update", "telemetry", "--format", "xml"], "--format xml: choose envelope, json or raw"],
      [
        ["devices", "add", "a/b"],
        "the name a/b: give a name of 1 to 128 letters, digits and . _ : @ -, that begins with a letter or digit",
      ],
      [["devices", "add", "a", "--role", "egde"], "--role egde: choose device or edge"],
      [
        ["devices", "add", "a", "--prefix", "plant/"],
        "--prefix: prefixes are for the role edge; a device publishes where {device} is its own name",
      ],
      [
        ["devices", "add", "a", "--role", "edge", "--prefix", "plant/#"],
        "--prefix plant/#: give the beginning of topic names, without wildcards",
      ],
      [["quarantine", "list", "--limit", "many"], "--limit many: give a whole number from 1 to 1000"],
      [["quarantine", "show", "7"], "the id 7: give the id of a quarantined message, as the list shows it"],
      [["stream", "accept-gap", "99999"], "the partition 99999: give a whole number from 0 to 65535"],
    ];
    for (const [line, says] of table) {
      const result = await gateway.cli(...line);
      assert.deepEqual([result.code, result.stderr.trimEnd()], [2, says], line.join(" "));
      assert.equal(errorOf(result).message, says);
      assertPlain(says, line.join(" "));
    }
  });

  test("records of a deleted topic that are still unread are all filed, even after a restart", async () => {
    assert.equal(
      (await gateway.cli("topics", "create", "short", "--filter", "short/{device}", "--format", "json")).code,
      0,
    );
    stopReading(gateway);
    const client = await connectClient(gateway.mqttUrl);
    for (let number = 0; number < 20; number++)
      await client.publishAsync(`short/d${number % 3}`, JSON.stringify({ id: `${number}`, ts: Date.now() }), {
        qos: 1,
      });
    await client.endAsync();
    const deleted = await gateway.cli("topics", "delete", "short");
    assert.equal(deleted.code, 0, deleted.stderr);
    await killGateway(gateway);
    await gateway.start();
    await untilFiledAndTrimmed(gateway);
    assert.deepEqual(
      await gateway.query("SELECT count(*)::INT AS rows, count(DISTINCT message_id)::INT AS ids FROM short"),
      [{ rows: 20, ids: 20 }],
    );
    const { books } = await statusOf(gateway);
    assert.deepEqual([books?.filed, books?.isBalanced], [20, true]);
    await publishAll(gateway, [{ device: "d1", id: "others go on" }]);
    await untilFiledAndTrimmed(gateway);
    assert.deepEqual(await storedIds(gateway), ["others go on"]);
  });
});

test("`simulate --rate abc` and `audit` without a lake exit with 2 and the correct usage, and leave nothing behind", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const ledger = join(folder, "ledger");
  const rate = await runCli(["simulate", "--rate", "abc", "--ledger", ledger, "--json"]);
  assert.deepEqual([rate.code, errorOf(rate).code], [2, "SIMULATE_USAGE"]);
  assert.match(rate.stderr, /^--rate abc: give a number above 0 to \d+, for example --rate 16700$/m);
  const lake = await runCli(["audit", "--ledger", ledger, "--lake", `file:${folder}/lake`]);
  assert.equal(lake.code, 2);
  assert.match(lake.stderr, /there is no folder .*lake: tidegate status shows the place of the lake/);
  assert.equal(existsSync(ledger), false);
});

describe("an unusable data folder is reported before any process starts", () => {
  const up = (folder: string) => runCli(["up", "--data", folder, ...freePorts, "--json"]);

  test("a file in place of the folder, or of a part of its path", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-test-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, "file"), "");
    for (const part of ["registry", "lake", "stream"]) {
      mkdirSync(join(folder, `with-${part}`));
      writeFileSync(join(folder, `with-${part}`, part), "");
    }
    for (const path of ["file", "file/below", "with-registry", "with-lake", "with-stream"]) {
      const refused = await up(join(folder, path));
      assert.equal(refused.code, 1, `${path}: ${refused.stderr}`);
      assert.match(refused.stderr, new RegExp(path.replace("with-", "")), path);
      assert.notEqual(errorOf(refused).code, "INTERNAL_ERROR", refused.stderr);
    }
    assert.equal(errorOf(await up(join(folder, "file"))).code, "DATA_FOLDER_UNUSABLE");
  });

  test("a disk that is mounted read-only", async (t) => {
    const disk = mountSmallDisk(1024 * 1024);
    if ("reason" in disk) {
      t.diagnostic(disk.reason);
      t.skip(disk.reason);
      return;
    }
    t.after(() => disk.unmount());
    mkdirSync(join(disk.path, "data"));
    assert.equal(spawnSync("mount", ["-o", "remount,ro", disk.path]).status, 0);
    const refused = await up(join(disk.path, "data"));
    assert.deepEqual([refused.code, errorOf(refused).code], [1, "DATA_FOLDER_UNUSABLE"]);
    assert.match(
      refused.stderr,
      /read-only file system.*Choose a folder that this user may write to with --data/,
    );
  });
});
