import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { encodeMessageRecord, encodeSegmentHeader } from "../../../devices/outbox/outbox-record.ts";
import { decodeMessageId } from "../../../devices/protocol/message-id.ts";
import {
  append,
  isError,
  openOutbox,
  readAll,
  segmentFiles,
  withPatched,
} from "../../support/devices/open-outbox.ts";
import { withFolder } from "../../support/devices/power-cut.ts";

test("an append resolves after the flush that covers it, and one flush covers many", () =>
  withFolder(async (folder) => {
    const { outbox } = await openOutbox(folder);
    let flushes = 0;
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const patch = (original: FileHandle["datasync"]) =>
      async function (this: FileHandle) {
        flushes += 1;
        await gate;
        await original.call(this);
      };
    await withPatched("datasync", patch, async () => {
      let resolved = 0;
      const appended = Array.from({ length: 50 }, async (_, index) => {
        await append(outbox, `m${index}`);
        resolved += 1;
      });
      while (flushes === 0) await nextTurn();
      assert.equal(resolved, 0);
      assert.deepEqual(await readAll(outbox), [], "nothing is read before it is durable");
      release();
      await Promise.all(appended);
    });
    assert.ok(flushes <= 2, `${flushes} flushes for 50 messages`);
    assert.equal((await readAll(outbox)).length, 50);
    await outbox.close();
  }));

test("a second outbox on the folder is refused while the first is open: OUTBOX_LOCKED", () =>
  withFolder(async (folder) => {
    const { outbox } = await openOutbox(folder);
    await assert.rejects(openOutbox(folder), isError("OUTBOX_LOCKED", true));
    await append(outbox, "still works");
    await outbox.close();
    const again = await openOutbox(folder);
    assert.equal((await readAll(again.outbox)).length, 1);
    await again.outbox.close();
  }));

test("of many that open a folder at once exactly one may win at a time", () =>
  withFolder(async (folder) => {
    let open = 0;
    let opened = 0;
    await Promise.all(
      Array.from({ length: 6 }, async () => {
        try {
          const { outbox } = await openOutbox(folder);
          open += 1;
          opened += 1;
          assert.equal(open, 1);
          await append(outbox, "mine");
          open -= 1;
          await outbox.close();
        } catch (error) {
          assert.ok(isError("OUTBOX_LOCKED", true)(error), String(error));
        }
      }),
    );
    const { outbox } = await openOutbox(folder);
    assert.equal((await readAll(outbox)).length, opened);
    await outbox.close();
  }));

test("a folder whose path is longer than a socket address can be used", () =>
  withFolder(async (folder) => {
    const { outbox } = await openOutbox(join(folder, "x".repeat(120)));
    await assert.rejects(openOutbox(join(folder, "x".repeat(120))), isError("OUTBOX_LOCKED", true));
    await outbox.close();
  }));

test("a lost or broken identity file begins a new epoch; old messages keep their ids", () =>
  withFolder(async (folder) => {
    const first = await openOutbox(folder);
    const { id } = await append(first.outbox, "old");
    await first.outbox.close();
    for (const damage of [
      () => rmSync(join(folder, "identity.json")),
      () => writeFileSync(join(folder, "identity.json"), "{"),
    ]) {
      damage();
      const { outbox } = await openOutbox(folder);
      const added = await append(outbox, "new");
      const messages = await readAll(outbox);
      assert.deepEqual(messages[0]?.id, id);
      assert.deepEqual(messages.at(-1)?.id, added.id);
      assert.notDeepEqual(decodeMessageId(added.id).epoch, decodeMessageId(id).epoch);
      assert.ok(added.sequence > 1);
      await outbox.close();
    }
  }));

test("sequences go on without a gap after a clean close, also when all messages are settled and deleted", () =>
  withFolder(async (folder) => {
    for (let life = 0; life < 3; life += 1) {
      const { outbox } = await openOutbox(folder);
      const { sequence } = await append(outbox, "x");
      assert.equal(sequence, life + 1);
      for (const message of await readAll(outbox)) outbox.settle(message.sequence);
      await outbox.close();
      for (const name of segmentFiles(folder)) rmSync(join(folder, name));
    }
  }));

test("what a newer version wrote is not touched: OUTBOX_OPEN_FAILED", () =>
  withFolder(async (folder) => {
    const { outbox } = await openOutbox(folder);
    await append(outbox, "x");
    await outbox.close();
    const identity = readFileSync(join(folder, "identity.json"), "utf8");
    writeFileSync(join(folder, "identity.json"), JSON.stringify({ format: 2 }));
    await assert.rejects(openOutbox(folder), isError("OUTBOX_OPEN_FAILED", false));
    writeFileSync(join(folder, "identity.json"), identity);
    const header = Buffer.from(encodeSegmentHeader({ epoch: new Uint8Array(8), settledUpTo: 0 }));
    header.writeUInt8(2, 4);
    const { crc32 } = await import("node:zlib");
    header.writeUInt32BE(crc32(header.subarray(0, 24)), 24);
    writeFileSync(join(folder, "000000000009.segment"), header);
    await assert.rejects(openOutbox(folder), isError("OUTBOX_OPEN_FAILED", false));
  }));

test("a folder that can't be used is named: OUTBOX_OPEN_FAILED", () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, "file"), "");
    await assert.rejects(openOutbox(join(folder, "file")), isError("OUTBOX_OPEN_FAILED", false));
    await assert.rejects(openOutbox(join(folder, "file", "below")), isError("OUTBOX_OPEN_FAILED", false));
  }));

test("damage in an older segment costs its messages only, and is told", () =>
  withFolder(async (folder) => {
    const { outbox, seen } = await openOutbox(folder);
    for (let index = 1; index <= 45; index += 1) await append(outbox, String(index).padEnd(1000));
    const [oldest] = segmentFiles(folder).sort();
    const file = join(folder, oldest ?? "");
    const bytes = readFileSync(file);
    bytes[5000] = (bytes[5000] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const found = await readAll(outbox);
    const [lost] = seen.damaged;
    assert.ok(lost !== undefined && lost > 0);
    assert.equal(found.length, 45 - lost);
    assert.equal(outbox.messages, 45 - lost);
    await outbox.close();
    const again = await openOutbox(folder);
    assert.ok(again.outbox.recovered.damagedBytes > 0);
    assert.deepEqual(await readAll(again.outbox), found);
    for (const { sequence } of found) again.outbox.settle(sequence);
    while (segmentFiles(folder).length > 1) await nextTurn();
    assert.equal(again.outbox.messages, 0);
    await again.outbox.close();
  }));

test("a whole record after a torn one does not come back among later ones", () =>
  withFolder(async (folder) => {
    const { outbox } = await openOutbox(folder);
    await append(outbox, "kept");
    await outbox.close();
    const file = join(folder, segmentFiles(folder)[0] ?? "");
    const [torn, behind] = [2, 3].map((sequence) =>
      encodeMessageRecord({ sequence, topic: "t", payload: Buffer.from("tail") }),
    );
    torn?.writeUInt8(9, 8);
    writeFileSync(file, Buffer.concat([torn ?? Buffer.alloc(0), behind ?? Buffer.alloc(0)]), { flag: "a" });
    const second = await openOutbox(folder);
    assert.ok(second.outbox.recovered.tornBytes > 0);
    await append(second.outbox, "next");
    await second.outbox.close();
    const third = await openOutbox(folder);
    assert.deepEqual(
      (await readAll(third.outbox)).map(({ text }) => text),
      ["kept", "next"],
    );
    await third.outbox.close();
  }));

test("what was settled is still known when the segment that said so is deleted", () =>
  withFolder(async (folder) => {
    const first = await openOutbox(folder);
    for (let index = 0; index < 15; index += 1) await append(first.outbox, Buffer.alloc(1_000));
    for (const { sequence } of await readAll(first.outbox)) first.outbox.settle(sequence);
    await first.outbox.close();
    const second = await openOutbox(folder);
    await append(second.outbox, Buffer.alloc(2_000));
    await second.outbox.close();
    assert.equal(segmentFiles(folder).length, 1);
    const third = await openOutbox(folder);
    assert.equal(third.outbox.settledUpTo, 15);
    assert.equal(third.outbox.messages, 1);
    await third.outbox.close();
  }));

test("after close nothing is taken or given: CLIENT_CLOSED", () =>
  withFolder(async (folder) => {
    const { outbox } = await openOutbox(folder);
    const last = append(outbox, "in time");
    await Promise.all([outbox.close(), outbox.close()]);
    await last;
    await assert.rejects(append(outbox, "late"), isError("CLIENT_CLOSED", false));
    assert.deepEqual(await outbox.read({ maxBytes: 4096, maxMessages: 1 }), []);
  }));
