import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Registry } from "prom-client";
import { BridgeError, type BridgeErrorCode } from "../../../../../bridge/errors.ts";
import {
  type EmbeddedStream,
  openEmbeddedStream,
} from "../../../../../bridge/streams/embedded/embedded-stream.ts";
import { transactionOverheadBytes } from "../../../../../bridge/streams/embedded/space-budget.ts";
import {
  openStreamDatabase,
  streamFile,
  writtenBytesOf,
} from "../../../../../bridge/streams/embedded/stream-file.ts";
import {
  createEmbeddedStream,
  startNewStream,
} from "../../../../../bridge/streams/embedded/stream-folder.ts";
import { encodeStreamRecord, streamKey } from "../../../../../bridge/streams/embedded/stream-records.ts";
import { startPosition } from "../../../../../bridge/streams/stream-log.ts";
import { lakeWith } from "../../../../support/lake-state.ts";

const maxBytes = 64 * 1024 * 1024;
const everything = { maxBytes, maxEntries: 1000 };

function isCode(code: BridgeErrorCode, retryable = false): (error: unknown) => boolean {
  return (error) => error instanceof BridgeError && error.code === code && error.retryable === retryable;
}

async function inFolder(body: (folder: string, root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "tidegate-embedded-"));
  try {
    await body(join(root, "stream"), root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

async function openForAppend(folder: string, fatal: BridgeError[] = []): Promise<EmbeddedStream> {
  return await openEmbeddedStream({
    folder,
    mode: "append",
    maxBytes,
    reserveBytes: 0,
    onFatal: (error) => fatal.push(error),
  });
}

test("a stream is created once, whole, and opened only if there is one", async () => {
  await inFolder(async (folder, root) => {
    await assert.rejects(openForAppend(folder), isCode("STREAM_MISSING", true));
    await assert.rejects(openEmbeddedStream({ folder, mode: "read" }), isCode("STREAM_MISSING", true));
    const { streamId } = await createEmbeddedStream({ folder, partitionCount: 3, now: () => 77 });
    await assert.rejects(createEmbeddedStream({ folder, partitionCount: 3 }), isCode("STREAM_EXISTS"));
    assert.deepEqual(readdirSync(root), ["stream"]);
    const stream = await openForAppend(folder);
    assert.deepEqual(stream.record, {
      format: 1,
      streamId,
      partitionCount: 3,
      createdAtMs: 77,
      startedAnew: false,
      replaces: null,
      unread: null,
    });
    await stream.close();
  });
});

test("an empty folder gets a stream; other content is refused and left alone", async () => {
  await inFolder(async (folder) => {
    mkdirSync(folder);
    await createEmbeddedStream({ folder, partitionCount: 1 });
    writeFileSync(streamFile(folder), Buffer.alloc(20_000, "no database"));
    await assert.rejects(openForAppend(folder), isCode("STREAM_DAMAGED"));
    rmSync(streamFile(folder));
    await assert.rejects(openForAppend(folder), isCode("STREAM_MISSING", true));
    await assert.rejects(createEmbeddedStream({ folder, partitionCount: 1 }), isCode("STREAM_EXISTS"));
  });
});

test("the stream's space is on the gauges", async () => {
  await inFolder(async (folder) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const registry = new Registry();
    const stream = await openEmbeddedStream({
      folder,
      mode: "append",
      maxBytes,
      registry,
      onFatal: assert.fail,
    });
    await stream.append(0, new Uint8Array(100_000));
    const text = await registry.metrics();
    assert.match(text, /^tidegate_stream_retained_bytes 10\d{4}$/m);
    assert.match(text, new RegExp(`^tidegate_stream_max_bytes ${maxBytes}$`, "m"));
    await stream.close();
  });
});

test("after a crash, a half-made stream is created again", async () => {
  await inFolder(async (folder) => {
    await createEmbeddedStream({ folder: `${folder}.creating`, partitionCount: 1 });
    await createEmbeddedStream({ folder, partitionCount: 2 });
    const stream = await openEmbeddedStream({ folder, mode: "read", maxBytes });
    assert.equal(stream.partitionCount, 2);
    await stream.close();
  });
});

test("another number of partitions than the stream has is refused", async () => {
  await inFolder(async (folder) => {
    await createEmbeddedStream({ folder, partitionCount: 4 });
    const open = openEmbeddedStream({ folder, mode: "read", partitionCount: 8, maxBytes });
    await assert.rejects(open, isCode("STREAM_PARTITIONS"));
  });
});

test("a stream of a newer Tidegate is refused", async () => {
  await inFolder(async (folder) => {
    const record = await createEmbeddedStream({ folder, partitionCount: 1 });
    const database = openStreamDatabase(folder, { readOnly: false, mapBytes: maxBytes });
    database.putSync(streamKey, encodeStreamRecord({ ...record, format: 2 }), 0);
    await database.close();
    await assert.rejects(openForAppend(folder), isCode("STREAM_VERSION"));
  });
});

test("a new stream moves the old one aside and knows the id that it replaces", async () => {
  const lake = lakeWith({});
  await inFolder(async (folder, root) => {
    const first = await createEmbeddedStream({ folder, partitionCount: 1 });
    const second = await startNewStream({ folder, partitionCount: 2, lake });
    assert.equal(second.movedTo, `${folder}.${first.streamId}`);
    assert.ok(existsSync(second.movedTo ?? ""));
    const stream = await openForAppend(folder);
    assert.equal(stream.streamId, second.streamId);
    const known = { replaces: first.streamId, unread: { blocks: 0, messages: 0 } };
    assert.deepEqual({ replaces: second.replaces, unread: second.unread }, known);
    assert.deepEqual({ replaces: stream.record.replaces, unread: stream.record.unread }, known);
    assert.equal(stream.record.startedAnew, true);
    await stream.close();
    rmSync(folder, { recursive: true });
    assert.equal((await startNewStream({ folder, partitionCount: 1, lake })).movedTo, null);
    rmSync(streamFile(folder));
    const third = await startNewStream({ folder, partitionCount: 1, lake });
    assert.match(third.movedTo ?? "", /unreadable$/);
    assert.deepEqual([third.replaces, third.unread], [null, null]);
    assert.equal(readdirSync(root).length, 3);
  });
});

test("a later appender takes over: the former's next block is not stored, and it must exit", async () => {
  await inFolder(async (folder) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const fatal: BridgeError[] = [];
    const former = await openForAppend(folder, fatal);
    await former.append(0, Uint8Array.of(1));
    const later = await openForAppend(folder);
    await later.append(0, Uint8Array.of(2));
    await assert.rejects(former.append(0, Uint8Array.of(3)), isCode("STREAM_FLUSH_FAILED"));
    await assert.rejects(former.trim(0, "00000000000000000001"), isCode("STREAM_FLUSH_FAILED"));
    assert.equal(fatal.length, 1);
    const entries = await later.read(0, startPosition, everything);
    assert.deepEqual(
      entries.map((entry) => [...entry.block]),
      [[1], [2]],
    );
    await later.close();
    await former.close();
  });
});

test("a reader neither appends nor trims", async () => {
  await inFolder(async (folder) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const reader = await openEmbeddedStream({ folder, mode: "read", maxBytes });
    await assert.rejects(reader.append(0, Uint8Array.of(1)), TypeError);
    await assert.rejects(reader.trim(0, startPosition), TypeError);
    assert.equal(reader.space(), null);
    await reader.close();
  });
});

test("a cut file is refused, one with a torn tail after its last commit is not", async () => {
  await inFolder(async (folder) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const stream = await openForAppend(folder);
    for (let index = 0; index < 20; index++) await stream.append(0, new Uint8Array(20_000).fill(index));
    await stream.close();
    appendFileSync(streamFile(folder), new Uint8Array(10_001).fill(0xa5));
    const again = await openForAppend(folder);
    assert.equal((await again.read(0, startPosition, everything)).length, 20);
    await again.append(0, new Uint8Array(20_000).fill(20));
    const last = (await again.read(0, startPosition, everything)).at(-1);
    assert.ok(last?.block.every((byte) => byte === 20));
    await again.close();
    for (const bytes of [writtenBytes(folder) - 20_000, 5000, 100, 0]) {
      truncateSync(streamFile(folder), bytes);
      await assert.rejects(openForAppend(folder), isCode("STREAM_DAMAGED"), `${bytes} bytes`);
      await assert.rejects(
        openEmbeddedStream({ folder, mode: "read", maxBytes }),
        isCode("STREAM_DAMAGED"),
        `${bytes} bytes`,
      );
    }
  });
});

test("after lmdb's last page the file has room on the disk for the next commits, also after a restart", async () => {
  await inFolder(async (folder) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    for (const bytes of [100, 900_000, 900_000]) {
      const stream = await openForAppend(folder);
      await stream.append(0, new Uint8Array(bytes));
      const { size, blocks } = statSync(streamFile(folder));
      assert.ok(size >= writtenBytes(folder) + transactionOverheadBytes);
      assert.ok(blocks * 512 >= size, "no holes");
      await stream.close();
    }
  });
});

function writtenBytes(folder: string): number {
  const descriptor = openSync(streamFile(folder), "r");
  const bytes = writtenBytesOf(descriptor);
  closeSync(descriptor);
  return bytes;
}

test("a full stream takes blocks again once some are trimmed", async () => {
  await inFolder(async (folder) => {
    await createEmbeddedStream({ folder, partitionCount: 1 });
    const options = { folder, mode: "append", maxBytes: 1_000_000, reserveBytes: 0 } as const;
    const stream = await openEmbeddedStream({ ...options, onFatal: assert.fail });
    const fill = async (): Promise<number> => {
      for (let count = 0; ; count++) {
        try {
          await stream.append(0, new Uint8Array(50_000));
        } catch (error) {
          assert.ok(isCode("STREAM_FULL", true)(error));
          return count;
        }
      }
    };
    assert.equal(await fill(), 18);
    assert.ok((stream.space()?.retainedBytes ?? 0) > 900_000);
    await stream.trim(0, "00000000000000000010");
    assert.equal(await fill(), 10);
    await stream.close();
  });
});
