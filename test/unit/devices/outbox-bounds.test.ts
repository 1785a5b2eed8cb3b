import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  append,
  errnoError,
  isError,
  openOutbox,
  readAll,
  segmentFiles,
  withPatched,
} from "../../support/devices/open-outbox.ts";
import { withFolder } from "../../support/devices/power-cut.ts";

test("a full outbox refuses new messages until it has drained: OUTBOX_FULL", () =>
  withFolder(async (folder) => {
    const { outbox } = await openOutbox(folder);
    let stored = 0;
    await assert.rejects(
      async () => {
        for (;;) {
          await append(outbox, Buffer.alloc(1000));
          stored += 1;
        }
      },
      isError("OUTBOX_FULL", true),
    );
    assert.ok(stored > 55 && outbox.bytes <= 65_536);
    const messages = await readAll(outbox);
    assert.equal(messages.length, stored);
    for (const { sequence } of messages) outbox.settle(sequence);
    while (outbox.bytes > 30_000) await nextTurn();
    await append(outbox, "fits again");
    await outbox.close();
  }));

test("drop-oldest gives up the oldest messages, counts them and stays within its bytes", () =>
  withFolder(async (folder) => {
    const { outbox, seen } = await openOutbox(folder, { whenFull: "drop-oldest" });
    for (let index = 1; index <= 300; index += 1) {
      await append(outbox, String(index).padEnd(1000));
      assert.ok(outbox.bytes <= 65_536);
    }
    const messages = await readAll(outbox);
    const dropped = seen.dropped.reduce((sum, drop) => sum + drop.messages, 0);
    assert.equal(dropped + messages.length, 300);
    assert.equal(messages[0]?.text.trim(), String(dropped + 1));
    assert.equal(seen.dropped.at(-1)?.upTo, dropped);
    assert.equal(outbox.messages, messages.length);
    const onDisk = segmentFiles(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    assert.ok(onDisk <= 65_536);
    await outbox.close();
    const again = await openOutbox(folder, { whenFull: "drop-oldest" });
    assert.deepEqual(await readAll(again.outbox), messages);
    await again.outbox.close();
  }));

test("drop-oldest below a reader: the reader continues with the oldest entry that is left", () =>
  withFolder(async (folder) => {
    const { outbox, seen } = await openOutbox(folder, { whenFull: "drop-oldest" });
    for (let index = 1; index <= 40; index += 1) await append(outbox, Buffer.alloc(1000));
    const first = await outbox.read({ maxBytes: 4096, maxMessages: 3 });
    assert.deepEqual(
      first.map(({ sequence }) => sequence),
      [1, 2, 3],
    );
    const reading = outbox.read({ maxBytes: 4096, maxMessages: 3 });
    for (let index = 1; index <= 100; index += 1) await append(outbox, Buffer.alloc(1000));
    await reading;
    for (const { sequence } of first) outbox.settle(sequence);
    const upTo = seen.dropped.at(-1)?.upTo ?? 0;
    assert.ok(upTo > 3);
    assert.equal((await readAll(outbox))[0]?.sequence, upTo + 1);
    assert.equal(outbox.settledUpTo, upTo);
    await outbox.close();
  }));

test("more publishes at once than memory should hold are refused: OUTBOX_BUSY", () =>
  withFolder(async (folder) => {
    const { outbox } = await openOutbox(folder);
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, () => append(outbox, Buffer.alloc(1000))),
    );
    const refused = results.filter((result) => result.status === "rejected");
    assert.ok(refused.length > 0 && refused.length < 40);
    for (const { reason } of refused) assert.ok(isError("OUTBOX_BUSY", true)(reason));
    assert.equal((await readAll(outbox)).length, 40 - refused.length);
    await outbox.close();
  }));

test("a message that takes more than 1/8 of the outbox is refused: MESSAGE_INVALID", () =>
  withFolder(async (folder) => {
    const { outbox } = await openOutbox(folder);
    await assert.rejects(append(outbox, Buffer.alloc(8192)), isError("MESSAGE_INVALID", false));
    await append(outbox, Buffer.alloc(8000));
    await outbox.close();
  }));

test("a full disk refuses the message, keeps nothing of it, and the outbox goes on: OUTBOX_WRITE_FAILED", () =>
  withFolder(async (folder) => {
    const { outbox, seen } = await openOutbox(folder);
    await append(outbox, "before");
    const patch = (original: FileHandle["write"]) =>
      async function (this: FileHandle, buffer: Buffer, offset: number, length: number, position: number) {
        const write = original as (...args: unknown[]) => Promise<unknown>;
        await write.call(this, buffer, offset, Math.floor(length / 2), position);
        throw errnoError("ENOSPC", "write");
      } as unknown as FileHandle["write"];
    await withPatched("write", patch, async () => {
      await assert.rejects(append(outbox, Buffer.alloc(3_000)), isError("OUTBOX_WRITE_FAILED", true));
      await assert.rejects(append(outbox, "no room yet"), isError("OUTBOX_WRITE_FAILED", true));
      outbox.settle((await readAll(outbox))[0]?.sequence ?? 0);
      await nextTurn();
    });
    const { sequence } = await append(outbox, "after");
    assert.deepEqual(
      (await readAll(outbox)).map(({ text }) => text),
      ["after"],
    );
    assert.ok(sequence > 1);
    assert.deepEqual(seen.failed, []);
    await outbox.close();
    const again = await openOutbox(folder);
    assert.deepEqual(
      (await readAll(again.outbox)).map(({ text }) => text),
      ["after"],
    );
    assert.equal(again.outbox.recovered.tornBytes, 0);
    await again.outbox.close();
  }));

test("a failed flush ends the outbox: nothing after it is promised: OUTBOX_FAILED", () =>
  withFolder(async (folder) => {
    const { outbox, seen } = await openOutbox(folder);
    await append(outbox, "safe");
    const patch = () => async () => {
      throw errnoError("EIO", "fdatasync");
    };
    await withPatched("datasync", patch, async () => {
      await assert.rejects(append(outbox, "unknown"), isError("OUTBOX_FAILED", false));
    });
    assert.equal(seen.failed.length, 1);
    await assert.rejects(append(outbox, "later"), isError("OUTBOX_FAILED", false));
    await outbox.close();
    const again = await openOutbox(folder);
    assert.equal((await readAll(again.outbox))[0]?.text, "safe");
    const { sequence } = await append(again.outbox, "new life");
    assert.ok(sequence > 2, "the id of the unknown message is not used again");
    await again.outbox.close();
  }));

test("an outbox that drains stays small on disk, however much goes through it", () =>
  withFolder(async (folder) => {
    const { outbox } = await openOutbox(folder, { maxBytes: 1_048_576 });
    for (let round = 0; round < 60; round += 1) {
      await Promise.all(Array.from({ length: 20 }, () => append(outbox, Buffer.alloc(1000))));
      for (const { sequence } of await readAll(outbox)) outbox.settle(sequence);
    }
    await outbox.close();
    const bytes = segmentFiles(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    assert.ok(bytes <= 131_072, `${bytes} bytes are left`);
    assert.ok(readdirSync(folder).length <= 4, readdirSync(folder).join());
    const again = await openOutbox(folder, { maxBytes: 1_048_576 });
    assert.equal(again.outbox.settledUpTo, 1_200, "known, though the messages are gone");
    await again.outbox.close();
  }));
