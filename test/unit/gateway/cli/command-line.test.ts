import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { parse } from "smol-toml";
import { identifyProcess, type ProcessIdentity } from "../../../../devices/protocol/process-identity.ts";
import { ensureApiToken } from "../../../../gateway/api/api-token.ts";
import { runCommandLine } from "../../../../gateway/cli/run-command-line.ts";
import { textTable } from "../../../../gateway/cli/text-table.ts";
import { bannerText } from "../../../../gateway/cli/up-banner.ts";
import { loadConfig } from "../../../../gateway/config/load-config.ts";
import { writeProcessRecord } from "../../../../gateway/data-folder/process-record.ts";
import { textLine } from "../../../../gateway/processes/process-logger.ts";
import { LmdbRegistry } from "../../../../gateway/registry/lmdb-registry.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-cli-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function run(args: string[], variables: Record<string, string> = {}) {
  let stdout = "";
  let stderr = "";
  const streams = {
    out: (text: string) => {
      stdout += text;
    },
    error: (text: string) => {
      stderr += text;
    },
  };
  const code = await runCommandLine(args, { streams, variables, version: "1.2.3", program: "main.js" });
  return { code, stdout, stderr };
}

describe("command line", () => {
  test("help and version end with 0, wrong usage with 2, and with --json as an object", async () => {
    for (const args of [["--help"], ["topics", "--help"], ["help", "up"]]) {
      const help = await run(args);
      assert.deepEqual([help.code, help.stderr], [0, ""], args.join(" "));
      assert.match(help.stdout, /^Usage: tidegate/);
    }
    assert.deepEqual(await run(["--version"]), { code: 0, stdout: "1.2.3\n", stderr: "" });
    for (const args of [
      ["topcis"],
      ["up", "--prot", "1"],
      ["topics", "create"],
      ["topics", "list", "too", "much"],
    ]) {
      const wrong = await run([...args, "--json"]);
      assert.equal(wrong.code, 2, args.join(" "));
      assert.equal(JSON.parse(wrong.stdout).error.code, "USAGE_INVALID");
    }
  });

  test("help of topics delete says that --purge is refused", async () => {
    const { stdout } = await run(["topics", "delete", "--help"]);
    assert.match(stdout.replaceAll(/\s+/g, " "), /--purge refused: a table can't be removed/);
  });

  test("an invalid address is wrong usage", async () => {
    for (const address of ["1883", "host:", "a:b", "::1:1883", "host:123456"]) {
      const wrong = await run(["config", "check", "--mqtt", address]);
      assert.equal(wrong.code, 2, address);
    }
    assert.equal((await run(["config", "check", "--mqtt", "[::1]:1883", "--http", "localhost:0"])).code, 0);
  });

  test("the output of config print is a file with the same settings", async () => {
    const printed = await run(["config", "print", "--http", "127.0.0.1:9999"]);
    assert.equal(printed.code, 0);
    assert.match(printed.stdout, /port = 9999/);
    assert.ok(parse(printed.stdout));
    const file = join(folder, "printed.toml");
    writeFileSync(file, printed.stdout);
    const again = JSON.parse((await run(["config", "print", "--config", file, "--json"])).stdout);
    const settings = JSON.parse(
      (await run(["config", "print", "--http", "127.0.0.1:9999", "--json"])).stdout,
    ).settings;
    const values = (list: { path: string; value: unknown }[]) => list.map(({ path, value }) => [path, value]);
    assert.deepEqual(values(again.settings), values(settings));
  });

  test("config print shows unit and default beside a value that was set, and no default twice", async () => {
    const flags = ["--http", "127.0.0.1:9999"];
    const environment = { TIDEGATE_WINDOW_MAX_BYTES: "1048576" };
    const { stdout } = await run(["config", "print", ...flags], environment);
    assert.match(stdout, /^# .*\(default 8080; set by --http\)\nport = 9999$/m);
    assert.match(
      stdout,
      /^# .*\(bytes; default 536870912; set by TIDEGATE_WINDOW_MAX_BYTES\)\nmaxBytes = 1048576$/m,
    );
    assert.match(stdout, /^# .*\(ms; default\)\nsilenceMs = 30000$/m);
    const json = JSON.parse((await run(["config", "print", ...flags, "--json"], environment)).stdout);
    const found = json.settings.find(({ path }: { path: string }) => path === "window.maxBytes");
    assert.deepEqual([found.unit, found.default, found.value], ["bytes", 536_870_912, 1_048_576]);
  });

  test("another server on the API's address is reported as such", async (t) => {
    const server = createServer((_request, response) => response.writeHead(500).end("<html>")).listen(
      0,
      "127.0.0.1",
    );
    t.after(() => server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const environment = { TIDEGATE_API: `http://127.0.0.1:${port}`, TIDEGATE_TOKEN: "x" };
    const odd = await run(["status", "--json"], environment);
    assert.equal(odd.code, 1);
    assert.equal(JSON.parse(odd.stdout).error.code, "API_ANSWER_INVALID");
    server.close();
    const gone = await run(["status", "--json"], { ...environment, TIDEGATE_API: "http://127.0.0.1:1" });
    assert.equal(JSON.parse(gone.stdout).error.code, "GATEWAY_NOT_RUNNING");
    assert.match(gone.stderr, /correct TIDEGATE_API/);
  });

  test("the status of a gateway from before an upgrade is shown, without claims that it does not make", async (t) => {
    const counters = { read: 1, filed: 1, duplicates: 0, quarantined: 0, resent: 0, misrouted: 0 };
    const partition = {
      partition: 0,
      state: "running",
      halt: null,
      counters,
      unaccounted: 0,
      lagBytes: 0,
      lagMs: 0,
    };
    const leases = { partitions: [{ partition: 0, expiresInMs: null }], failure: null };
    const status = {
      ...{ version: "0.1.0", startedAt: "2026-11-24", isReady: true, reasons: [], roles: ["consumer"] },
      ...{ processes: [], broker: null, books: { ...counters, unaccounted: 0, isBalanced: true } },
      consumer: { partitions: [partition], finished: [], leases, lastFailure: null, window: null },
    };
    const server = createServer((_request, response) => response.end(JSON.stringify(status)));
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const environment = { TIDEGATE_API: `http://127.0.0.1:${port}`, TIDEGATE_TOKEN: "x" };
    const { code, stdout, stderr } = await run(["status"], environment);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Tidegate 0\.1\.0, ready/);
    assert.match(stdout, /does not report the backlog/);
    assert.doesNotMatch(stdout, /upkeep/i);
    assert.doesNotMatch(stdout, /books balance/i);
  });

  test("another gateway on the address of the folder's own is reported as such, not as a refused token", async (t) => {
    const refusal = JSON.stringify({ code: "TOKEN_REFUSED", message: "The token is not this gateway's." });
    const server = createServer((_request, response) => response.writeHead(401).end(refusal));
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const data = mkdtempSync(join(folder, "data-"));
    ensureApiToken(data);
    const api = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const self = identifyProcess(process.pid) as ProcessIdentity;
    const status = async (variables = {}) =>
      JSON.parse((await run(["status", "--data", data, "--json"], variables)).stdout).error;
    writeProcessRecord(data, { supervisor: { ...self, startTicks: "0" }, children: [], api });
    const { code, message } = await status();
    assert.equal(code, "GATEWAY_NOT_RUNNING");
    assert.match(
      message,
      /Another gateway answers on http:\/\/127\.0\.0\.1:\d+: start the gateway of .*data-.* with `tidegate up`/,
    );
    writeProcessRecord(data, { supervisor: self, children: [], api });
    assert.match(
      (await status()).message,
      new RegExp(`Another gateway answers on .*: the gateway of .*pid ${process.pid}\\) is starting`),
    );
    assert.equal((await status({ TIDEGATE_TOKEN: "mistyped" })).code, "TOKEN_REFUSED");
  });

  test("a command for a copied folder is refused by the original's gateway, whose token and address the copy holds", async (t) => {
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(String(request.headers["tidegate-folder"]));
      response.writeHead(421).end(JSON.stringify({ code: "GATEWAY_OTHER", message: "For another folder." }));
    });
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const original = mkdtempSync(join(folder, "data-"));
    ensureApiToken(original);
    const self = identifyProcess(process.pid) as ProcessIdentity;
    writeProcessRecord(original, { supervisor: self, children: [], api: "127.0.0.1:1" });
    const copy = join(folder, "copy");
    cpSync(original, copy, { recursive: true });
    const variables = { TIDEGATE_HTTP_PORT: String(port) };
    const { stdout } = await run(["status", "--data", copy, "--json"], variables);
    const { code, message } = JSON.parse(stdout).error;
    assert.equal(code, "GATEWAY_NOT_RUNNING");
    assert.match(
      message,
      /Another gateway answers on http:\/\/127\.0\.0\.1:\d+: start the gateway of .*copy with `tidegate up`/,
    );
    const { dev, ino } = statSync(copy, { bigint: true });
    assert.deepEqual(new Set(asked), new Set([`${dev}:${ino}`]));
  });

  test("tables are aligned, and a stored value can't move the reader's cursor", () => {
    const table = textTable(
      ["name", "n"],
      [
        ["a\u001b[2J", 5],
        ["bb", 12n],
        ["c", null],
      ],
    );
    assert.equal(table, "name    n\n-----  --\na\uFFFD[2J   5\nbb     12\nc");
    assert.equal(textTable(["name"], []), "name\n----");
  });

  test("the banner shows commands with the folder and port in use", () => {
    const { config } = loadConfig({
      flags: { data: { text: "my data", flag: "--data" } },
      environment: {},
      file: null,
    });
    const places = {
      mqtt: "127.0.0.1:2883",
      http: "127.0.0.1:80",
      data: "/my data",
      lake: "file:///my data/lake",
    };
    const banner = bannerText(config, places);
    assert.match(banner, /mosquitto_pub -p 2883 -t fleet\/dev1\/telemetry/);
    assert.match(banner, /npx tidegate query --data 'my data' "SELECT/);
    assert.match(banner, /without a key.*loopback only/);
    const standard = bannerText({ ...config, data: "./data" }, { ...places, mqtt: "127.0.0.1:1883" });
    assert.match(standard, /mosquitto_pub -t fleet/);
    assert.match(standard, /npx tidegate query "SELECT/);
  });

  test("a log line for people has time, level, process, text, fields and the stack", () => {
    const error = { message: "no", stack: "Error: no\n    at x" };
    const line = { time: 0, level: 50, process: "broker", event: "e", msg: "text", partition: 3, err: error };
    assert.equal(
      textLine(JSON.stringify(line)),
      '00:00:00.000 ERROR broker  text  {"partition":3}\n    Error: no\n        at x\n',
    );
  });
});

describe("registry", () => {
  test("a registry of a newer version is refused", async () => {
    const path = join(folder, "registry");
    const store = await LmdbRegistry.openForWriting(path);
    await store.setFact("format", 2);
    await store.close();
    await assert.rejects(LmdbRegistry.openForWriting(path), {
      code: "REGISTRY_VERSION",
      message: /format 2/,
    });
  });
});
