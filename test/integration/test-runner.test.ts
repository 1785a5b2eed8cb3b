import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { runProgram } from "../support/run-program.ts";

const root = join(import.meta.dirname, "..", "..");

/** Runs files of `test/fixtures/runner` as `npm test` runs all files. */
function runTests(files: readonly string[], environment: Record<string, string> = {}) {
  const paths = files.map((file) => `test/fixtures/runner/${file}.test.ts`);
  return runProgram(process.execPath, ["test/support/run-tests.mjs", ...paths], {
    cwd: root,
    environment: { TEST_HANG_MS: "60000", ...environment },
  });
}

test("a failing test ends the run with 1; the log has its place in the sources, the time of each file, and the totals last", async () => {
  const { code, stdout } = await runTests(["fails"]);
  assert.equal(code, 1);
  assert.match(stdout, /^ok 1 - a sum that is right$/m);
  assert.match(stdout, /^not ok 2 - a sum that is wrong$/m);
  assert.match(stdout, /^ {2}location: '.*\/test\/fixtures\/runner\/fails\.test\.ts:13:1'$/m);
  assert.match(stdout, /^ {4}sumOf \(.*\/test\/fixtures\/runner\/sum-of\.ts:8:38\)$/m);
  const [summary = ""] = /^# {2}wall s(?:.|\n)*/m.exec(stdout) ?? [];
  assert.match(summary, /^# +\d+\.\d +\d+\.\d {2}test\/fixtures\/runner\/fails\.test\.ts$/m);
  assert.match(summary, /^# FAILED .*\/fails\.test\.ts > a sum that is wrong \(\d+ ms\): Expected values/m);
  assert.match(summary, /^# FAILED .*\/fails\.test\.ts > a sum of something that is none .*not a number/m);
  assert.match(summary, /^1\.\.3\n# tests 3\n# suites 0\n# pass 1\n# fail 2\n(# .*\n){4}$/m);
});

test("a file that does not end is ended, and the log says what kept it running", async () => {
  const { code, stdout } = await runTests(["hangs"], { TEST_HANG_MS: "2000" });
  assert.equal(code, 1);
  assert.match(stdout, /^# FAILED .*hangs\.test\.ts .*still runs after 2 s, held by: .*Timeout/m);
});
