import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { Command } from "commander";
import { createProgram } from "../../../../gateway/cli/program.ts";
import { runCommand } from "../../../support/gateway-process.ts";
import { assertPlain } from "../../../support/plain-words.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-usage-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const broken = join(folder, "broken.json");
writeFileSync(broken, '{\n  "type": objekt\n}');

const create = ["topics", "create", "engine", "--filter", "plant/{device}/engine", "--format", "json"];
const urls = "embedded:, redis://HOST:PORT/DB or kinesis://REGION/STREAM";

/** Command lines that fail without a request to a gateway, and their whole output. */
const table: readonly [line: readonly string[], says: string][] = [
  [["topcis", "list"], "unknown command 'topcis': did you mean topics?"],
  [["topics", "lst"], "unknown command 'lst': did you mean list?"],
  [["config", "verify"], "unknown command 'verify': choose check or print."],
  [["topics"], "tidegate topics needs a command: choose create, update, list, show or delete."],
  [["devices"], "tidegate devices needs a command: choose add, list or remove."],
  [["status", "--jsn"], "unknown option '--jsn': did you mean --json?"],
  [["topics", "create", "a", "--fromat", "json"], "unknown option '--fromat': did you mean --format?"],
  [["up", "--verbose"], "unknown option '--verbose': `tidegate up --help` shows its arguments."],
  [
    ["topics", "show"],
    "missing required argument 'name': `tidegate topics show --help` shows its arguments.",
  ],
  [
    ["devices", "list", "all"],
    "too many arguments for 'list'. Expected 0 arguments but got 1: `tidegate devices list --help` shows its arguments.",
  ],
  [["status", "--data", "--config"], "--data is missing its value: --config follows it."],
  [
    ["topics", "create", "a", "--format", "json"],
    "--filter is missing: give an MQTT filter such as 'plant/{device}/engine'.",
  ],
  [["topics", "create", "a", "--filter", "a"], "--format is missing: give envelope, json or raw."],
  [[...create, "--rate", "fast"], "--rate fast: give a number."],
  [[...create, "--qos", "0,one"], "--qos one: give a number."],
  [[...create, "--max-payload-bytes", "1k"], "--max-payload-bytes 1k: give a number."],
  [[...create, "--dedupe-window", "1h"], "--dedupe-window 1h: give a number."],
  [
    [...create, "--event-past", "7 days"],
    "--event-past 7 days: give a whole number with a unit, such as 90s, 30m, 12h or 7d.",
  ],
  [
    [...create, "--retain", "never"],
    "--retain never: give a whole number with a unit, such as 1d, 400d, or forever.",
  ],
  [[...create, "--schema", join(folder, "no")], `--schema ${join(folder, "no")}: there is no such file.`],
  [[...create, "--schema", folder], `--schema ${folder}: it is a folder.`],
  [[...create, "--schema", broken], `--schema ${broken}: this is not JSON: line 2, column 11 does not fit.`],
  [
    ["devices", "add", "a", "--password-file", join(folder, "no")],
    `--password-file ${join(folder, "no")}: there is no such file.`,
  ],
  [["query", "SELECT 1", "--format", "xml"], "--format xml: choose table, csv or json."],
  [
    ["stream", "accept-gap", "first"],
    "the partition first: give its number, from 0 to 65535; `tidegate status` lists them.",
  ],
  [["up", "--mqtt", "1883"], "--mqtt 1883: give HOST:PORT, such as 127.0.0.1:1883."],
  [["up", "--http", "::1:80"], "--http ::1:80: give HOST:PORT, such as 127.0.0.1:1883."],
  [
    ["up", "--roles", "brokr"],
    'The configuration has 1 fault:\n  roles is ["brokr"]; expected a list of "broker" and "consumer"; correct it in --roles',
  ],
  [
    ["up", "--stream", "redsi://h"],
    `The configuration has 1 fault:\n  stream.url is "redsi://h" (--stream); expected ${urls}; it names no backend here: use ${urls}`,
  ],
  [
    ["up", "--config", join(folder, "no")],
    `The configuration has 1 fault:\n  --config is "${join(folder, "no")}"; expected a TOML file; name a file that can be read: there is no such file`,
  ],
  [["migrate", "--from", "kafka:"], `--from kafka:: give ${urls}; it names no backend here: use ${urls}.`],
  [
    ["migrate", "--from", "embedded:", "--lake-to", "file:a"],
    "--from and --lake-to: give one of them; move the stream and the lake one after the other.",
  ],
  [
    ["migrate", "--lake-to", "lake"],
    "--lake-to lake: give file:DIR or s3://BUCKET/PREFIX; it names no backend here: use file:DIR or s3://BUCKET/PREFIX.",
  ],
];

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

describe("wrong command lines", () => {
  test("the fault and its correction are reported with exit code 2, as a text and as JSON", async () => {
    for (const [line, says] of table) {
      const said = await runCommand(line);
      assert.equal(said.code, 2, line.join(" "));
      assert.ok(said.stderr.trimEnd().endsWith(says), `${line.join(" ")}: ${said.stderr}`);
      assertPlain(says.replace("Expected 0 arguments", ""), line.join(" "));
      const asJson = await runCommand([...line, "--json"]);
      const { error } = asJson.json as { error: { code: string; message: string } };
      assert.ok(["USAGE_INVALID", "CONFIG_INVALID"].includes(error.code), line.join(" "));
      assert.equal(error.message, says);
    }
  });

  test("every option of every command is suggested if one of its letters is missing", async () => {
    const environment = {
      streams: { out() {}, error() {} },
      variables: {},
      version: "1",
      program: "",
      exit() {},
    };
    let tried = 0;
    for (const command of allCommands(createProgram(environment))) {
      const path: string[] = [];
      for (let each: Command | null = command; each?.parent; each = each.parent) path.unshift(each.name());
      if (command.commands.length > 0) continue;
      // The simulator reads its options itself.
      for (const option of command.options) {
        const long = option.long ?? "";
        const typo = `${long.slice(0, 3)}${long.slice(4)}`;
        if (long.length < 7) continue;
        const { stderr, code } = await runCommand([...path, typo]);
        assert.equal(code, 2, `${path.join(" ")} ${typo}`);
        assert.match(stderr, new RegExp(`unknown option '${typo}': did you mean .*${long}`), path.join(" "));
        tried++;
      }
    }
    assert.ok(tried > 60, String(tried));
  });
});
