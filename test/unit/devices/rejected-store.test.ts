import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type RejectedMessage, RejectedStore } from "../../../devices/outbox/rejected-store.ts";
import { withFolder } from "../../support/devices/power-cut.ts";

const message = (index: number, bytes = 10): RejectedMessage => ({
  id: String(index).padStart(32, "0"),
  topic: "t/ü",
  payload: new Uint8Array(bytes).fill(index),
  rejectedAtMs: 1_764_000_000_000 + index,
});

async function ids(store: RejectedStore): Promise<number[]> {
  const all: number[] = [];
  for await (const { id } of store.list()) all.push(Number(id));
  return all;
}

test("messages come back as they were, oldest first, also from another process's point of view", () =>
  withFolder(async (folder) => {
    const store = await RejectedStore.open(folder, { maxMessages: 10, maxBytes: 1e6 });
    await store.add(message(2));
    await store.add(message(1));
    writeFileSync(join(folder, "x.tmp"), "half");
    const again = await RejectedStore.open(folder, { maxMessages: 10, maxBytes: 1e6 });
    const all: RejectedMessage[] = [];
    for await (const each of again.list()) all.push({ ...each, payload: Uint8Array.from(each.payload) });
    assert.deepEqual(all, [message(1), message(2)]);
    await again.delete(message(1).id);
    await again.delete(message(1).id);
    assert.deepEqual(await ids(again), [2]);
    assert.equal(readdirSync(folder).length, 1);
  }));

test("the same message is kept once", () =>
  withFolder(async (folder) => {
    const store = await RejectedStore.open(folder, { maxMessages: 10, maxBytes: 1e6 });
    await store.add(message(1));
    await store.add({ ...message(1), rejectedAtMs: 1_765_000_000_000 });
    assert.deepEqual(await ids(store), [1]);
  }));

test("beyond its bounds it forgets its oldest, and says how many; the newest always stays", () =>
  withFolder(async (folder) => {
    const store = await RejectedStore.open(folder, { maxMessages: 3, maxBytes: 4_000 });
    for (const index of [1, 2, 3]) assert.deepEqual(await store.add(message(index)), { forgotten: 0 });
    assert.deepEqual(await store.add(message(4)), { forgotten: 1 });
    assert.deepEqual(await store.add(message(5, 9_000)), { forgotten: 3 });
    assert.deepEqual(await ids(store), [5]);
  }));
