import assert from "node:assert/strict";
import {
  appendFileSync,
  fstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FileRoom } from "../../../../../bridge/streams/embedded/file-room.ts";
import { streamFile } from "../../../../../bridge/streams/embedded/stream-file.ts";
import { createEmbeddedStream } from "../../../../../bridge/streams/embedded/stream-folder.ts";

const mib = 1024 * 1024;
const holeBytes = 8 * mib;

async function withStream(body: (folder: string, file: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "tidegate-room-"));
  try {
    const folder = join(root, "stream");
    await createEmbeddedStream({ folder, partitionCount: 1 });
    await body(folder, streamFile(folder));
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("room is made once, and the next process finds it", async () => {
  await withStream(async (folder, file) => {
    const first = await FileRoom.open(folder);
    const { roomBytes, writtenBytes } = await first.ensure(3 * mib);
    assert.ok(roomBytes >= 3 * mib);
    const { size, blocks } = statSync(file);
    assert.equal(size, writtenBytes + roomBytes);
    assert.ok(blocks * 512 >= size);
    await first.close();
    const second = await FileRoom.open(folder);
    assert.deepEqual(await second.ensure(3 * mib), { roomBytes, writtenBytes });
    assert.equal(statSync(file).size, size);
    await second.close();
  });
});

test("bytes that another process appended to the file stay unchanged", async () => {
  await withStream(async (folder, file) => {
    const room = await FileRoom.open(folder);
    await room.ensure(mib);
    const before = statSync(file).size;
    appendFileSync(file, Buffer.alloc(5 * mib, 7));
    await room.ensure(12 * mib);
    const theirs = readFileSync(file).subarray(before, before + 5 * mib);
    assert.ok(theirs.every((byte) => byte === 7));
    await room.close();
  });
});

test("holes of a sparse copy are no room: as many more bytes are written to the disk", async () => {
  await withStream(async (folder, file) => {
    const written = statSync(file).size;
    truncateSync(file, written + holeBytes);
    assert.ok(statSync(file).blocks * 512 < holeBytes, "the file system of this test makes holes");
    const room = await FileRoom.open(folder);
    const { roomBytes } = await room.ensure(2 * mib);
    assert.ok(roomBytes >= 2 * mib);
    assert.ok(statSync(file).blocks * 512 >= written + 2 * mib);
    await room.close();
  });
});

test("a file system that stores no zeros ends the growth all the same", async () => {
  await withStream(async (folder, file) => {
    const room = await FileRoom.open(folder, (descriptor) => ({
      size: fstatSync(descriptor).size,
      blocks: 0,
    }));
    const { roomBytes, writtenBytes } = await room.ensure(4 * mib);
    assert.ok(roomBytes >= 4 * mib && roomBytes < 6 * mib);
    assert.equal(statSync(file).size, writtenBytes + roomBytes);
    await room.close();
  });
});
