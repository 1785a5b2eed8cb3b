import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { createEmbeddedStream } from "../../bridge/streams/embedded/stream-folder.ts";
import { StreamProcess, withStreamFolder } from "../support/stream-process.ts";

const blocks = 5;

test("each acknowledgement comes after its data, and then its root pointer, were forced to the disk", async (context) => {
  const probe = spawnSync("strace", ["-o", "/dev/null", "true"], { encoding: "utf8" });
  if (probe.status !== 0) {
    context.skip(`strace cannot trace here: ${(probe.stderr || String(probe.error)).trim()}`);
    return;
  }
  await withStreamFolder(async (folder) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const trace = join(dirname(folder), "trace");
    const calls = "trace=openat,write,writev,pwrite64,pwritev,fdatasync";
    const appender = new StreamProcess("steps", folder, ["strace", "-f", "-o", trace, "-e", calls]);
    try {
      await appender.waitForLines(/^ready/);
      for (let block = 1; block <= blocks; block++) {
        appender.send("append");
        await appender.waitForLines(new RegExp(`^ack ${block}$`));
      }
    } finally {
      appender.child.stdin?.end();
      await appender.kill();
    }
    assert.deepEqual(
      stepsOf(readFileSync(trace, "utf8")),
      Array.from({ length: blocks }, () => ["data", "synced", "root", "ack"]).flat(),
    );
  });
});

/** The calls on the stream's file from the first append on, without repetitions. */
function stepsOf(trace: string): string[] {
  const opened = (flags: RegExp): string[] =>
    trace
      .split("\n")
      .filter((line) => line.includes("data.mdb") && flags.test(line))
      .map((line) => /= (\d+)$/.exec(line)?.[1] ?? "")
      .filter((descriptor) => descriptor !== "");
  const syncing = new Set(opened(/O_DSYNC/));
  const plain = new Set(opened(/O_RDWR/));
  const steps: string[] = [];
  const ready = trace.indexOf('"ready');
  for (const line of trace.slice(ready).split("\n")) {
    const step = line.includes('"ack') ? "ack" : stepOfCall(line, { syncing, plain });
    if (step && step !== steps.at(-1)) steps.push(step);
  }
  return steps;
}

function stepOfCall(line: string, descriptors: { syncing: Set<string>; plain: Set<string> }): string | null {
  const [, call = "", descriptor = ""] = /(\w+)\((\d+)/.exec(line) ?? [];
  if (call === "fdatasync" && descriptors.plain.has(descriptor)) return "synced";
  if (!/write/.test(call)) return null;
  if (descriptors.syncing.has(descriptor)) return "root";
  return descriptors.plain.has(descriptor) ? "data" : null;
}
