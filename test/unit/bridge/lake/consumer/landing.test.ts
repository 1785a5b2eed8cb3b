import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { ConsumerHarness, json } from "../../../../support/consumer-harness.ts";
import { dataFileName } from "../../../../support/json-lake.ts";
import { JsonLandingBatchWriter } from "../../../../support/json-landing-batch.ts";

function landing({ store }: ConsumerHarness, directRows?: number): JsonLandingBatchWriter {
  const nextFile = () => dataFileName(store.objects.size);
  return new JsonLandingBatchWriter(
    store,
    nextFile,
    directRows === undefined ? {} : { directRows: () => directRows },
  );
}

test("a batch that lands has one entry with its landing file, and no table files", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a"), json("b")]);
  await harness.drain({ batch: landing(harness) });
  const [entry] = harness.commits();
  assert.deepEqual(entry?.tables, {});
  assert.deepEqual(
    Object.values(entry?.landing?.tables ?? {}).flatMap(({ rows }) => Object.values(rows)),
    [2],
  );
  assert.equal(entry?.filesSince, 0);
  assert.deepEqual(harness.ids(), ["a", "b"]);
});

test("a large group of a batch becomes a table file of the same entry", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a"), json("b"), json("c"), { payload: Buffer.from("{") }]);
  await harness.drain({ batch: landing(harness, 3) });
  const [entry] = harness.commits();
  assert.deepEqual(Object.keys(entry?.tables ?? {}), ["t1"]);
  assert.deepEqual(Object.keys(entry?.landing?.tables ?? {}), ["_quarantine"]);
  assert.deepEqual(harness.ids(), ["a", "b", "c"]);
});

test("a landed id is known after the window was lost", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a")]);
  await harness.drain({ batch: landing(harness) });
  harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
  harness.append([json("a"), json("b")]);
  await harness.drain({ batch: landing(harness) });
  assert.deepEqual(harness.ids(), ["a", "b"]);
});
