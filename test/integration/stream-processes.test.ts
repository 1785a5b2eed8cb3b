import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { positionOf } from "../../bridge/streams/decimal-position.ts";
import { type EmbeddedStream, openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { streamFile } from "../../bridge/streams/embedded/stream-file.ts";
import { createEmbeddedStream } from "../../bridge/streams/embedded/stream-folder.ts";
import { startPosition } from "../../bridge/streams/stream-log.ts";
import { bigCheckedBlock } from "../support/checked-block.ts";
import { type StreamProcess, withStreamFolder } from "../support/stream-process.ts";

const maxBytes = 256 * 1024 * 1024;
const blockBytes = 20_000;

async function openForAppend(folder: string): Promise<EmbeddedStream> {
  return await openEmbeddedStream({
    folder,
    mode: "append",
    maxBytes,
    reserveBytes: 0,
    onFatal: assert.fail,
  });
}

/** Appends twenty blocks to partition 0 this many times, and trims each time. */
async function appendAndTrim(stream: EmbeddedStream, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    const blocks = Array.from({ length: 20 }, () => stream.append(0, new Uint8Array(blockBytes)));
    await stream.trim(0, (await Promise.all(blocks)).at(-1) ?? "");
  }
}

test("a reader sees the blocks of another process, and a paused reader blocks no one", async () => {
  await withStreamFolder(async (folder, start) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const stream = await openForAppend(folder);
    const reader = start("read");
    await reader.waitForLines(/^ready/);
    await stream.append(0, new Uint8Array(100));
    await reader.waitForLines(/^read 1$/);
    for (let pause = 0; pause < 5; pause++) {
      const appending = Promise.all(
        Array.from({ length: 30 }, () => stream.append(0, new Uint8Array(blockBytes))),
      );
      reader.signal("SIGSTOP");
      await appending;
      await stream.append(0, new Uint8Array(blockBytes));
      reader.signal("SIGCONT");
    }
    const { highest } = await stream.partitionState(0);
    await reader.waitForLines(new RegExp(`^read ${Number(highest)}$`));
    const numbers = reader.lines
      .filter((line) => line.startsWith("read "))
      .map((line) => Number(line.slice(5)));
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
    );
    await stream.close();
  });
});

test("a paused appender does not keep readers from reading", async () => {
  await withStreamFolder(async (folder, start) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const appender = start("append");
    await appender.waitForLines(/^ack/, 5);
    const reader = await openEmbeddedStream({ folder, mode: "read", maxBytes });
    for (let pause = 0; pause < 5; pause++) {
      appender.signal("SIGSTOP");
      const { trimmedUpTo } = await reader.partitionState(0);
      const entries = await reader.read(0, trimmedUpTo, { maxBytes: 1_000_000, maxEntries: 50 });
      assert.ok(entries.length > 0);
      await reader.waitForAppend(5);
      appender.signal("SIGCONT");
      await appender.waitForLines(/^ack/, appender.lines.filter((line) => line.startsWith("ack")).length + 3);
    }
    await reader.close();
  });
});

test("a former appender that wakes up stores nothing and ends", async () => {
  await withStreamFolder(async (folder, start) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const former = start("steps");
    await former.waitForLines(/^ready/);
    former.send("append");
    await former.waitForLines(/^ack 1$/);
    former.signal("SIGSTOP");
    const stream = await openForAppend(folder);
    await stream.append(0, Uint8Array.of(2));
    former.signal("SIGCONT");
    former.send("append");
    await former.waitForLines(/^STREAM_FLUSH_FAILED$/);
    assert.ok(former.lines.includes("fatal STREAM_FLUSH_FAILED"));
    const entries = await stream.read(0, startPosition, { maxBytes, maxEntries: 10 });
    assert.equal(entries.length, 2);
    assert.deepEqual([...(entries[1]?.block ?? [])], [2]);
    await stream.close();
  });
});

test("a former appender that was paused before a write of its own changes no byte that was confirmed since", async () => {
  await withStreamFolder(async (folder, start) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const former = start("grow");
    await former.waitForLines(/^ready/);
    let sent = 0;
    for (; !former.lines.some((line) => line.startsWith("stopping")) && sent < 50; sent++) {
      former.send("append");
      await former.waitForLines(new RegExp(`^(ack ${sent + 1}|stopping at .*)$`));
    }
    await former.stopped();

    const stream = await openForAppend(folder);
    const from = Number((await stream.partitionState(0)).highest) + 1;
    const blocks = Array.from({ length: 60 }, (_, index) => bigCheckedBlock(0, from + index));
    for (const block of blocks) await stream.append(0, block);
    former.signal("SIGCONT");
    await former.waitForLines(/^fatal STREAM_FLUSH_FAILED$/);

    const entries = await stream.read(0, positionOf(from - 1), { maxBytes, maxEntries: 100 });
    assert.equal(entries.length, blocks.length);
    const changed = entries.filter(({ block }, index) => !Buffer.from(block).equals(blocks[index] ?? block));
    assert.deepEqual(
      changed.map(({ position }) => Number(position)),
      [],
    );
    await stream.append(0, bigCheckedBlock(0, from + blocks.length));
    await stream.close();
  });
});

test("creators that were paused before the stream got its name have each created the existing stream, or none", async () => {
  await withStreamFolder(async (folder, start) => {
    const creators: StreamProcess[] = [];
    for (let count = 0; count < 2; count++) {
      const creator = start("create");
      await creator.waitForLines(/^stopping at renameSync$/);
      await creator.stopped();
      creators.push(creator);
    }
    const said: string[] = [];
    for (const creator of creators) {
      creator.signal("SIGCONT");
      said.push(...(await creator.waitForLines(/^(created|failed)/)));
    }
    const stream = await openForAppend(folder);
    assert.deepEqual(said.toSorted(), [`created ${stream.streamId}`, "failed"]);
    await stream.append(0, new Uint8Array(100));
    await stream.close();
  });
});

test("the space of trimmed blocks is used again, even after a reader was killed while it held a snapshot", async () => {
  await withStreamFolder(async (folder, start) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const stream = await openForAppend(folder);
    const holder = start("hold");
    await holder.waitForLines(/^holding/);
    await appendAndTrim(stream, 5);
    const heldBytes = statSync(streamFile(folder)).size;
    assert.ok(heldBytes > 90 * blockBytes, "a held snapshot keeps trimmed pages, so this test can fail");
    await holder.kill();
    await appendAndTrim(stream, 50);
    assert.ok(
      statSync(streamFile(folder)).size < 1.5 * heldBytes,
      `${statSync(streamFile(folder)).size} bytes`,
    );
    assert.equal((await stream.partitionState(0)).retainedBytes, 0);
    await stream.close();
  });
});
