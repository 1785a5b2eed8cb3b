import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeltaAction } from "../../../../../bridge/lake/delta/delta-actions.ts";
import { jsonCheckpoints } from "../../../../support/json-lake.ts";
import { file, ParkingLake } from "../../../../support/parking-lake.ts";

const table = "telemetry";

test("a checkpoint keeps features, deletion vectors and domains, also if a file comes again with another vector", async () => {
  const lake = await ParkingLake.open();
  const publisher = await lake.publisher();
  await lake.commit(["a", "c"]);
  await publisher.publishPending();
  const [add, other] = lake
    .entries()
    .flat()
    .flatMap((action) => action.add ?? []);
  if (!add) assert.fail();
  const vector = (cardinality: number) => ({
    storageType: "i",
    pathOrInlineDv: "x",
    sizeInBytes: 1,
    cardinality,
  });
  const domainMetadata = { domain: "theirs", configuration: "{}", removed: false };
  await lake.foreign(
    {
      protocol: {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ["deletionVectors"],
        writerFeatures: ["deletionVectors", "domainMetadata"],
      },
    },
    { domainMetadata },
    { add: { ...add, deletionVector: vector(1) } },
    { remove: { path: add.path, dataChange: true, deletionTimestamp: Date.now() } },
  );
  await lake.foreign(
    {
      remove: { path: add.path, dataChange: true, deletionTimestamp: Date.now(), deletionVector: vector(1) },
    },
    { add: { ...add, deletionVector: vector(2) } },
  );
  const checkpointing = await lake.publisher({ checkpointEntries: 1 });
  await lake.commit(["b"]);
  await checkpointing.publishPending();
  const path = [...lake.store.objects.keys()].find((each) => each.endsWith(".checkpoint.parquet"));
  const text = Buffer.from(lake.store.objects.get(path ?? "")?.bytes ?? []).toString();
  const actions = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as DeltaAction);
  const vectors = actions.flatMap((action) =>
    action.add ? [[action.add.path, action.add.deletionVector]] : [],
  );
  assert.deepEqual(
    vectors.toSorted(),
    [
      [add.path, vector(2)],
      [file("b").path, undefined],
      [other?.path, undefined],
    ].toSorted(),
  );
  assert.deepEqual(actions.find(({ protocol }) => protocol)?.protocol?.writerFeatures, [
    "deletionVectors",
    "domainMetadata",
  ]);
  assert.deepEqual(actions.find((action) => action.domainMetadata)?.domainMetadata, domainMetadata);
});

test("a failed checkpoint is logged and retried, and rows are visible meanwhile", async () => {
  const lake = await ParkingLake.open();
  const checkpoints = jsonCheckpoints(lake.store);
  let isBroken = true;
  const publisher = await lake.publisher({
    checkpointEntries: 1,
    checkpoints: {
      ...checkpoints,
      write: async (path, content) => {
        if (isBroken) throw new Error("nobody foresaw this");
        return checkpoints.write(path, content);
      },
    },
  });
  for (const name of ["a", "b"]) {
    await lake.commit([name]);
    await publisher.publishPending();
  }
  assert.deepEqual(lake.added(), ["a", "b"]);
  assert.deepEqual(
    publisher.troubles().unkempt.map(({ table: name, reason }) => [name, reason]),
    [[table, "nobody foresaw this"]],
  );
  assert.match(await lake.registry.metrics(), /tidegate_tables_without_checkpoint 1/);
  assert.match(await lake.registry.metrics(), /tidegate_tables_checkpoints_total\{outcome="failed"\} 1/);
  isBroken = false;
  lake.elapsedMs += 10_000;
  await lake.commit(["c"]);
  await publisher.publishPending();
  assert.deepEqual(publisher.troubles().unkempt, []);
});

test("old entries are deleted although no checkpoint can be written any more: an older one replaces them", async () => {
  const lake = await ParkingLake.open();
  const checkpoints = jsonCheckpoints(lake.store);
  let isBroken = false;
  const broken: typeof checkpoints = {
    ...checkpoints,
    write: async (path, content) => {
      if (isBroken) throw new Error("nobody foresaw this");
      return checkpoints.write(path, content);
    },
  };
  const options = { checkpointEntries: 4, checkpoints: broken, logRetentionMs: 60_000 };
  const publisher = await lake.publisher(options);
  for (let commit = 0; commit < 6; commit++) {
    await lake.commit([`a${commit}`]);
    await publisher.publishPending();
  }
  const first = () =>
    [...lake.store.objects.keys()].filter((path) => /_delta_log\/\d{20}\.json$/.test(path)).sort()[0];
  assert.match(first() ?? "", /00\.json$/);
  isBroken = true;
  lake.aheadMs += 120_000;
  const next = await lake.publisher(options);
  for (let commit = 6; commit < 9; commit++) {
    await lake.commit([`a${commit}`]);
    await next.publishPending();
  }
  assert.equal(next.troubles().unkempt.length, 1);
  assert.match(first() ?? "", /03\.json$/);
});
