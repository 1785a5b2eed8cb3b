import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { createEmbeddedStream } from "../../bridge/streams/embedded/stream-folder.ts";
import { assertCheckedBlock } from "../support/checked-block.ts";
import { withStreamFolder } from "../support/stream-process.ts";

const rounds = 8;
const partitionCount = 3;
const maxBytes = 256 * 1024 * 1024;

/** Highest number per partition in lines like `ack 2 17`. */
function highestOf(lines: readonly string[], word: string): number[] {
  const highest = Array.from({ length: partitionCount }, () => 0);
  for (const line of lines) {
    const [kind, partition, number] = line.split(" ");
    if (kind === word) highest[Number(partition)] = Math.max(highest[Number(partition)] ?? 0, Number(number));
  }
  return highest;
}

test("kill -9 of the appender loses no acknowledged block, in any round", async () => {
  await withStreamFolder(async (folder, start) => {
    await createEmbeddedStream({ folder, partitionCount });
    const lines: string[] = [];
    for (let round = 0; round < rounds; round++) {
      const appender = start("append");
      // Later kills also meet a stream that was trimmed.
      await appender.waitForLines(round === 0 ? /^trim/ : /^ack/);
      await sleep(20 + Math.random() * 200);
      await appender.kill();
      lines.push(...appender.lines);
      await checkAgainst(folder, lines);
    }
    assert.ok(lines.length > rounds * 10, `${lines.length} lines`);
    assert.ok(lines.some((line) => line.startsWith("trim")));
  });
});

async function checkAgainst(folder: string, lines: readonly string[]): Promise<void> {
  const stream = await openEmbeddedStream({ folder, mode: "read", maxBytes });
  const acknowledged = highestOf(lines, "ack");
  const trimmable = highestOf(lines, "trim");
  for (let partition = 0; partition < partitionCount; partition++) {
    const state = await stream.partitionState(partition);
    assert.ok(Number(state.highest) >= (acknowledged[partition] ?? 0), `partition ${partition} ended early`);
    assert.ok(Number(state.trimmedUpTo) <= (trimmable[partition] ?? 0));
    let after = state.trimmedUpTo;
    for (;;) {
      const entries = await stream.read(partition, after, { maxBytes: 4_000_000, maxEntries: 1000 });
      for (const entry of entries) {
        assertCheckedBlock(entry.block, partition, Number(entry.position));
        after = entry.position;
      }
      if (entries.length === 0) break;
    }
    assert.equal(after, state.highest);
  }
  await stream.close();
}
