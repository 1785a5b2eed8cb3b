import assert from "node:assert/strict";
import { test } from "node:test";
import { type DeltaAction, encodeActions } from "../../../../../bridge/lake/delta/delta-actions.ts";
import { logEntryPath } from "../../../../../bridge/lake/delta/delta-log.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { tablesText } from "../../../../../gateway/cli/tables-text.ts";
import { ConsumerHarness, json } from "../../../../support/consumer-harness.ts";
import { readRows } from "../../../../support/json-lake.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

const second = { topicId: "t2", topicName: "pump/d1", topicVersion: 1 };
const forbidding = { "delta.constraints.theirs": "false" };

function newHarness(): ConsumerHarness {
  const harness = new ConsumerHarness();
  harness.define(topicVersion({ topicId: "t2", name: "pumps" }));
  return harness;
}

function entriesOf(harness: ConsumerHarness, table: string): DeltaAction[][] {
  const entries: DeltaAction[][] = [];
  for (;;) {
    const object = harness.store.objects.get(logEntryPath(table, entries.length));
    if (!object) return entries;
    const lines = Buffer.from(object.bytes).toString().trimEnd().split("\n");
    entries.push(lines.map((line) => JSON.parse(line) as DeltaAction));
  }
}

async function appendEntry(harness: ConsumerHarness, table: string, actions: DeltaAction[]): Promise<void> {
  await harness.store.put(logEntryPath(table, entriesOf(harness, table).length), encodeActions(actions));
}

async function configure(harness: ConsumerHarness, configuration: Record<string, string>): Promise<void> {
  const actions = entriesOf(harness, "telemetry").flat();
  const metaData = actions.findLast((action) => action.metaData)?.metaData ?? assert.fail();
  await appendEntry(harness, "telemetry", [{ metaData: { ...metaData, configuration } }]);
}

/** Ids of the rows that a table shows. */
function shown(harness: ConsumerHarness, table: string): string[] {
  const adds = new Set<string>();
  for (const { add, remove } of entriesOf(harness, table).flat()) {
    if (add) adds.add(add.path);
    if (remove) adds.delete(remove.path);
  }
  return [...adds].flatMap((path) => {
    const bytes = harness.store.objects.get(`${table}/${path}`)?.bytes ?? assert.fail(path);
    return readRows(bytes).map(({ messageId }) => Buffer.from(messageId ?? "", "hex").toString());
  });
}

test("one table that another writer made unfit: the other is filed and visible, status says what to do, and the table resumes by itself", async () => {
  const harness = newHarness();
  harness.append([json("a"), { ...json("a2"), ...second }]);
  await harness.drain();
  await configure(harness, forbidding);
  // Also after a restart, and whichever commit comes first.
  for (const id of ["b", "c"]) {
    harness.append([json(id), { ...json(`${id}2`), ...second }, json("a")]);
    const consumer = await harness.drain();
    const status = consumer.status();
    assert.deepEqual(
      [shown(harness, "telemetry"), shown(harness, "pumps").includes(`${id}2`)],
      [["a"], true],
    );
    assert.equal(status.partitions[0]?.counters.filed, harness.rows().length);
    const [text, ...others] = tablesText({ ...status } as Parameters<typeof tablesText>[0]);
    assert.equal(others.length, 0);
    assert.match(text ?? "", /! Table telemetry is parked since .*CHECK constraints.*theirs: false/);
    assert.match(
      text ?? "",
      /Way out: drop the constraints, which Tidegate can't check: python3 -c '.*drop_constraint\("theirs"\)'$/,
    );
  }
  harness.registry.clear();
  const consumer = harness.consumer();
  const run = consumer.run();
  await until(() => consumer.status().state === "running");
  await configure(harness, {});
  await until(() => consumer.status().tables.parked.length === 0);
  assert.deepEqual(shown(harness, "telemetry"), ["a", "b", "c"]);
  assert.ok(harness.log.some(({ event }) => event === "table.resumed"));
  await consumer.stop({ drain: false });
  await run;
});

test("another writer has compacted and deleted files: a lost window is seeded from the new file, whatever else is parked", async () => {
  const harness = newHarness();
  for (const id of ["a", "b"]) {
    harness.append([json(id), { ...json(`${id}2`), ...second }]);
    await harness.drain();
  }
  const paths = entriesOf(harness, "telemetry")
    .flat()
    .flatMap(({ add }) => add?.path ?? []);
  const rows = paths.flatMap((path) =>
    readRows(harness.store.objects.get(`telemetry/${path}`)?.bytes ?? assert.fail()),
  );
  const path = "event_date=2023-11-14/event_hour=22/merged.parquet";
  await harness.store.put(`telemetry/${path}`, Buffer.from(JSON.stringify(rows)));
  const [add] = entriesOf(harness, "telemetry")
    .flat()
    .flatMap((action) => action.add ?? []);
  await appendEntry(harness, "telemetry", [
    ...paths.map((each) => ({ remove: { path: each, dataChange: false, deletionTimestamp: Date.now() } })),
    { add: { ...(add ?? assert.fail()), path, dataChange: false } },
  ]);
  for (const each of paths) harness.store.objects.delete(`telemetry/${each}`);
  await configure(harness, forbidding);
  harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
  harness.append([
    json("a"),
    json("b"),
    json("c"),
    { ...json("a2"), ...second },
    { ...json("c2"), ...second },
  ]);
  const consumer = await harness.drain();
  assert.equal(consumer.status().partitions[0]?.counters.duplicates, 3);
  assert.deepEqual(shown(harness, "pumps"), ["a2", "b2", "c2"]);
  // The commit that the table does not show counts as well.
  harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
  harness.append([json("a"), json("c"), json("d")]);
  assert.equal((await harness.drain()).status().partitions[0]?.counters.duplicates, 5);
});

test("a file that is lost for good is given up after some attempts and logged, and holds up nothing else", async () => {
  const harness = newHarness();
  harness.append([json("a"), { ...json("a2"), ...second }]);
  await harness.drain();
  const [path] = entriesOf(harness, "telemetry")
    .flat()
    .flatMap(({ add }) => add?.path ?? []);
  harness.store.objects.delete(`telemetry/${path}`);
  harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
  harness.append([
    { ...json("a2"), ...second },
    { ...json("b2"), ...second },
  ]);
  await harness.drain();
  assert.deepEqual(shown(harness, "pumps"), ["a2", "b2"]);
  const told = harness.log.filter(({ event }) => event === "seed.file.unreadable");
  assert.deepEqual(
    told.map((line) => line["path"]),
    [`telemetry/${path}`],
  );
});

async function until(isReached: () => boolean): Promise<void> {
  for (let turns = 0; !isReached(); turns++) {
    assert.ok(turns < 5000, "never reached");
    await new Promise((resolve) => setImmediate(resolve));
  }
}
