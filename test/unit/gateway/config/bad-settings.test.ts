import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { configSettings, loadConfig } from "../../../../gateway/config/load-config.ts";
import { tomlLineOf } from "../../../../gateway/settings/toml-lines.ts";
import { assertPlain } from "../../../support/plain-words.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-settings-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "tidegate.toml");

function messageOf(sources: { environment?: Record<string, string>; toml?: string }): string {
  if (sources.toml !== undefined) writeFileSync(file, sources.toml);
  try {
    loadConfig({
      flags: {},
      environment: sources.environment ?? {},
      file: sources.toml === undefined ? null : file,
    });
    return "";
  } catch (error) {
    return (error as Error).message.replaceAll(file, "tidegate.toml");
  }
}

const table: readonly [toml: string, says: string][] = [
  [
    "[http]\nport = 8080\nprot = 1",
    "http.prot is 1 (tidegate.toml, line 3); expected a setting that exists; did you mean http.port?",
  ],
  [
    '# a comment\n\n[http]\nhost = """\n127.0.0.1"""\nport = "80"',
    'http.port is "80"; expected a whole number from 0 to 65535; correct it in tidegate.toml, line 6',
  ],
  [
    "http = 1",
    "http is 1 (tidegate.toml, line 1); expected a section; write [http] and its settings into tidegate.toml",
  ],
  [
    '[log]\nlevel = "loud"',
    'log.level is "loud"; expected one of "trace", "debug", "info", "warn", "error", "fatal", "silent"; correct it in tidegate.toml, line 2',
  ],
  ["[topics]\ndemo = 1", "topics.demo is 1; expected true or false; correct it in tidegate.toml, line 2"],
  [
    "[http]\nport = 80x",
    "tidegate.toml is not TOML; expected TOML; correct line 2, column 10: illegal character in numeric literal",
  ],
  [
    "[lake]\n\nurl = 's4:x'",
    'lake.url is "s4:x" (tidegate.toml, line 3); expected file:DIR or s3://BUCKET/PREFIX; it names no backend here: use file:DIR or s3://BUCKET/PREFIX',
  ],
];

describe("wrong settings", () => {
  test("a setting in a file is reported with its line, its value and the correction", () => {
    for (const [toml, says] of table)
      assert.equal(messageOf({ toml }), `The configuration has 1 fault:\n  ${says}`);
  });

  test("every setting reports what it accepts, and the source of a wrong value: a variable, or a line of the file", () => {
    for (const { path, variable, schema } of configSettings()) {
      const section = path.split(".").slice(0, -1).join(".");
      const key = path.split(".").at(-1);
      const toml = `# wrong\n${section === "" ? "" : `[${section}]`}\n${key} = { not = "this" }\n`;
      const inFile = messageOf({ toml });
      assert.match(inFile, new RegExp(`\\n  ${path} is .*; expected .*tidegate\\.toml, line 3`), path);
      assertPlain(inFile, path);
      // Settings that are texts accept any text.
      if (schema["type"] === "string" || schema["type"] === "array") continue;
      const inVariable = messageOf({ environment: { [variable]: "zzz" } });
      assert.match(
        inVariable,
        new RegExp(`\\n  ${path} is "zzz"; expected .*; correct it in ${variable}`),
        path,
      );
      assertPlain(inVariable, path);
      const typo = variable.slice(0, -1);
      const unknown = messageOf({ environment: { [typo]: "1" } });
      assert.match(unknown, new RegExp(`${typo} is .*(did you mean TIDEGATE_|lists all settings)`));
    }
  });

  test("the line of a key is found in any form of TOML, and no other line is", () => {
    const toml = 'a.b = 1\n[c]\nd = [\n 1,\n 2,\n]\ne = """\n[c]\nf = 1\n"""\n[[g]]\nh = 1\n"i" = { j = 2 }';
    const found = ["a.b", "c.d", "c.e", "c.f", "g.0.h", "g.0.i.j"].map((path) => tomlLineOf(toml, path));
    assert.deepEqual(found, [1, 3, 7, null, 12, 13]);
    assert.equal(tomlLineOf("a = 1\n".repeat(1_001), "a"), null);
  });
});
