import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { runProgram } from "../support/run-program.ts";
import { type TracedCall, traced, tracedCalls } from "../support/system-calls.ts";
import { flushes, isPassing, nameCalls, unflushedNames } from "../support/unflushed-names.ts";

const child = join(import.meta.dirname, "..", "support", "new-folder-child.ts");
const kinds = ["data folder", "registry", "stream", "lake", "outbox", "rejected store", "ledger"];

function newRoot(t: TestContext): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "tidegate-new-")));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

/**
 * The system calls of a process that creates data of this kind in a folder; null if tracing is not possible.
 */
async function callsOf(kind: string, folder: string, root: string): Promise<TracedCall[] | null> {
  const trace = join(root, "trace");
  const [strace, ...rest] = traced(trace, nameCalls) ?? [];
  if (strace === undefined) return null;
  const command = [process.execPath, "--import", "tsx", child, kind, folder];
  const place = { cwd: import.meta.dirname, environment: {} };
  const { stdout, stderr } = await runProgram(strace, [...rest, ...command], place);
  assert.equal(stdout, "durable\n", stderr);
  return tracedCalls(trace);
}

for (const kind of kinds)
  test(`${kind}: data that is reported as durable is in durable folders, however many of these are new`, async (t) => {
    const root = newRoot(t);
    const calls = await callsOf(kind, join(root, "new", "levels", "folder"), root);
    if (!calls) return t.skip("strace is not permitted here");
    const unflushed = unflushedNames(calls, root).filter((name) => !isPassing(name));
    assert.deepEqual(unflushed, []);
  });

test("an existing folder is flushed as well, because the process that created it may have died before flushing", async (t) => {
  const root = newRoot(t);
  const folder = join(root, "levels", "folder");
  mkdirSync(folder, { recursive: true });
  const calls = await callsOf("data folder", folder, root);
  if (!calls) return t.skip("strace is not permitted here");
  assert.ok(calls.some((call) => flushes(call, dirname(folder))));
});

test("the check of these tests finds unflushed entries", async (t) => {
  const root = newRoot(t);
  const calls = await callsOf("nothing flushed", join(root, "new", "folder"), root);
  if (!calls) return t.skip("strace is not permitted here");
  const names = ["new", "new/folder", "new/folder/file"].map((name) => join(root, name));
  assert.deepEqual(unflushedNames(calls, root), names);
});
