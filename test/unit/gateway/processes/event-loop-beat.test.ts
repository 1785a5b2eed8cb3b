import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { programArguments } from "../../../support/programs.ts";

interface StallLine {
  readonly event: string;
  readonly process: string;
  readonly stack: readonly string[] | null;
  readonly msg: string;
}

/** The log of a process that hangs. */
async function stallOf(how: "count" | "wait"): Promise<StallLine> {
  const args = programArguments("test/support/stalling-child.ts");
  const program = args.pop() ?? "";
  const child = fork(program, { execArgv: args, stdio: ["ignore", "ignore", "pipe", "ipc"] });
  try {
    child.send(how);
    for await (const line of createInterface({ input: child.stderr as NodeJS.ReadableStream }))
      if (line.includes("child.stalled")) return JSON.parse(line);
    return assert.fail("nothing was logged");
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

test("an event loop that hangs in JavaScript is logged with its stack", async () => {
  const { event, process: role, stack, msg } = await stallOf("count");
  assert.deepEqual([event, role], ["child.stalled", "consumer"]);
  assert.match(stack?.[0] ?? "", /^countForEver .*stalling-child/);
  assert.match(msg, /has hung here for 700 ms/);
});

test("one that waits outside of JavaScript is logged as such", async () => {
  const { stack, msg } = await stallOf("wait");
  assert.equal(stack, null);
  assert.match(msg, /has hung for 700 ms in native code or in a system call/);
});
