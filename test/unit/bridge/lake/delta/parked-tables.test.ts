import assert from "node:assert/strict";
import { test } from "node:test";
import { quarantineKey } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import type { DeltaAction, MetaDataAction } from "../../../../../bridge/lake/delta/delta-actions.ts";
import type { TablePublisher } from "../../../../../bridge/lake/table-publishing.ts";
import { file, ParkingLake } from "../../../../support/parking-lake.ts";

const table = "telemetry";

function withField(metaData: MetaDataAction, name: string, change: object): DeltaAction {
  const schema = JSON.parse(metaData.schemaString) as { fields: { name: string }[] };
  const fields = schema.fields.map((field) => (field.name === name ? { ...field, ...change } : field));
  return { metaData: { ...metaData, schemaString: JSON.stringify({ ...schema, fields }) } };
}

const writer7 = (...writerFeatures: string[]): DeltaAction => ({
  protocol: { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: [], writerFeatures },
});
const configured = (metaData: MetaDataAction, configuration: Record<string, string>): DeltaAction => ({
  metaData: { ...metaData, configuration },
});

/** What another writer may do, why our rows do not fit afterwards, and what to do. */
const conflicts: readonly (readonly [
  what: string,
  change: (metaData: MetaDataAction) => DeltaAction[],
  reason: RegExp,
  wayOut?: RegExp,
])[] = [
  ["other partitions", (metaData) => [{ metaData: { ...metaData, partitionColumns: [] } }], /partitioned by/],
  [
    "another type",
    (m) => [withField(m, "payload", { type: "string" })],
    /column payload is "string", not binary/,
  ],
  ["a widened column", (m) => [withField(m, "_index", { type: "long" })], /_index is "long", not integer/],
  ["no schema", (metaData) => [{ metaData: { ...metaData, schemaString: "{" } }], /schema can't be read/],
  [
    "features that it does not name",
    () => [{ protocol: { minReaderVersion: 3, minWriterVersion: 7 } }],
    /not name/,
  ],
  ["a later protocol", () => [{ protocol: { minReaderVersion: 1, minWriterVersion: 8 } }], /Delta writer 8/],
  ["row tracking", () => [writer7("appendOnly", "rowTracking")], /a Delta writer with rowTracking/],
  [
    "column mapping",
    (m) => [configured(m, { "delta.columnMapping.mode": "name" })],
    /maps column names by name/,
  ],
  [
    "an invariant",
    (m) => [withField(m, "level", { metadata: { "delta.invariants": "{}" } })],
    /column level has an invariant/,
  ],
  [
    "a generated column",
    (m) => [withField(m, "level", { metadata: { "delta.generationExpression": "1" } })],
    /column level is generated/,
  ],
  [
    "CHECK constraints",
    (m) => [
      configured(m, { "delta.constraints.a'b": "level > 0", "delta.constraints.q": "level < 9" }),
      { protocol: { minReaderVersion: 1, minWriterVersion: 3 } },
    ],
    /CHECK constraints.*a'b: level > 0; q: level < 9/,
    /t\.alter\.drop_constraint\("a'\\''b"\); t\.alter\.drop_constraint\("q"\)'$/,
  ],
  [
    "a column of ours that may not be null, and is",
    (m) => [withField(m, "message_id", { nullable: false })],
    /column message_id may not be null/,
    /t\.alter\.drop_column_not_null\("message_id"\)'$/,
  ],
  [
    "a column of theirs that may not be null",
    (m) => {
      const fields = JSON.parse(m.schemaString).fields;
      const theirs = { name: "theirs", type: "long", nullable: false, metadata: {} };
      return [
        { metaData: { ...m, schemaString: JSON.stringify({ type: "struct", fields: [...fields, theirs] }) } },
      ];
    },
    /column theirs may not be null/,
    /drop_column_not_null\("theirs"\)/,
  ],
];

for (const [
  what,
  change,
  reason,
  wayOut = /go back to version 0, .*t\.restore\(0, protocol_downgrade_allowed=True\)'$/,
] of conflicts)
  test(`only a table with ${what} is parked, and it resumes by itself`, async () => {
    const lake = await ParkingLake.open();
    const publisher = await lake.publisher();
    await lake.commit(["a"]);
    await publisher.publishPending();
    const metaData = lake.metaData();
    await lake.foreign(...change(metaData));
    await lake.commit(["b"]);
    await lake.commit(["q"], quarantineKey);
    assert.deepEqual(await publisher.publishPending(), { published: 1 });
    assert.deepEqual([lake.added(), lake.added(quarantineKey)], [["a"], ["q"]]);
    const [parked, ...others] = publisher.troubles().parked;
    assert.equal(others.length, 0);
    assert.deepEqual([parked?.table, parked?.code, parked?.heldCommits], [table, "TABLE_CONFLICT", 2]);
    assert.match(parked?.reason ?? "", reason);
    assert.match(parked?.wayOut ?? "", wayOut);
    assert.match(await lake.registry.metrics(), /tidegate_tables_parked\{table="telemetry"\} 2/);
    assert.equal(publisher.isRetryDue(), false);
    await lake.foreign({ metaData }, { protocol: { minReaderVersion: 1, minWriterVersion: 2 } });
    assert.deepEqual(await publisher.publishPending(), { published: 0 });
    lake.elapsedMs += 1000;
    assert.equal(publisher.isRetryDue(), true);
    assert.deepEqual(await publisher.publishPending(), { published: 1 });
    assert.deepEqual(lake.added(), ["a", "b"]);
    assert.deepEqual(publisher.troubles().parked, []);
    assert.doesNotMatch(await lake.registry.metrics(), /tidegate_tables_parked\{/);
    assert.deepEqual(
      lake.log.flatMap(({ event }) => (String(event).startsWith("table.") ? [event] : [])),
      ["table.parked", "table.resumed"],
    );
  });

const harmless: readonly (readonly [what: string, change: (metaData: MetaDataAction) => DeltaAction[]])[] = [
  [
    "change data feed",
    (m) => [
      configured(m, { "delta.enableChangeDataFeed": "true" }),
      { protocol: { minReaderVersion: 1, minWriterVersion: 4 } },
    ],
  ],
  ["append-only", (m) => [configured(m, { "delta.appendOnly": "true" })]],
  [
    "deletion vectors and other features that an append does not meet",
    (m) => [
      configured(m, { "delta.enableDeletionVectors": "true" }),
      writer7(
        "deletionVectors",
        "invariants",
        "appendOnly",
        "checkConstraints",
        "changeDataFeed",
        "generatedColumns",
        "columnMapping",
        "domainMetadata",
        "timestampNtz",
        "variantType",
        "vacuumProtocolCheck",
      ),
    ],
  ],
  ["columns of ours that may not be null and are not", (m) => [withField(m, "level", { nullable: false })]],
  ["a constraint that was dropped", () => [{ protocol: { minReaderVersion: 1, minWriterVersion: 6 } }]],
];

for (const [what, change] of harmless)
  test(`rows are appended to a table with ${what}`, async () => {
    const lake = await ParkingLake.open();
    const publisher = await lake.publisher();
    await lake.commit(["a"]);
    await publisher.publishPending();
    await lake.foreign(...change(lake.metaData()));
    await lake.commit(["b"]);
    assert.deepEqual(await publisher.publishPending(), { published: 1 });
    assert.deepEqual(lake.added(), ["a", "b"]);
  });

/**
 * A parked table with the commit `first` unpublished, and enough later commits of another table for the log
 * to be pruned.
 */
async function parkedLake(): Promise<{
  lake: ParkingLake;
  metaData: MetaDataAction;
  publisher: TablePublisher;
}> {
  const lake = await ParkingLake.open();
  const publisher = await lake.publisher({ commitRetentionMs: 0 });
  for (const name of ["q1", "q2", "q3"]) await lake.commit([name], quarantineKey);
  await lake.commit(["a"]);
  await publisher.publishPending();
  const metaData = lake.metaData();
  await lake.foreign(configured(metaData, { "delta.constraints.p": "level > 0" }));
  await lake.commit(["b"]);
  return { lake, metaData, publisher };
}

test("the commit log is kept for a parked table, also after a restart, and no longer", async () => {
  const { lake, metaData, publisher } = await parkedLake();
  const first = lake.commitEntries().at(-1) ?? 0;
  const prune = async (by: TablePublisher, name: string) => {
    for (let commit = 0; commit < 12; commit++) {
      lake.aheadMs += 3_600_000;
      await lake.commit([`${name}${commit}`], quarantineKey);
      await by.publishPending();
    }
  };
  await prune(publisher, "x");
  assert.equal(lake.commitEntries()[0], first);
  const next = await lake.publisher({ commitRetentionMs: 0 });
  await prune(next, "y");
  assert.equal(lake.commitEntries()[0], first);
  await lake.foreign({ metaData });
  lake.elapsedMs += 30_000;
  await next.publishPending();
  assert.deepEqual(lake.added(), ["a", "b"]);
  await prune(next, "z");
  assert.ok((lake.commitEntries()[0] ?? 0) > first);
});

test("above the bound of kept entries, filing stops, is reported, and continues afterwards", async () => {
  const { lake, metaData } = await parkedLake();
  const publisher = await lake.publisher({ parkedCommitsMax: 3 });
  for (const name of ["x", "y"]) await lake.commit([name], quarantineKey);
  await publisher.publishPending();
  await lake.commit(["z"], quarantineKey);
  const refusal = {
    code: "TABLE_CONFLICT",
    retryable: true,
    message: /keeps 4 entries for table telemetry.*drop_constraint/,
  };
  await assert.rejects(publisher.publishPending(), refusal);
  assert.deepEqual(lake.added(quarantineKey).slice(-1), ["z"]);
  await lake.foreign({ metaData });
  lake.elapsedMs += 30_000;
  await publisher.publishPending();
  assert.deepEqual(lake.added(), ["a", "b"]);
});

test("a table that was parked for long catches up by many entries, and other tables are served in between", async () => {
  const { lake, metaData, publisher } = await parkedLake();
  await publisher.publishPending();
  const names = Array.from({ length: 2300 }, (_, index) => `n${index}`);
  for (const name of names) await lake.commit([name]);
  await lake.foreign({ metaData });
  const next = await lake.publisher();
  let calls = 0;
  for (; calls === 0 || next.troubles().parked.length > 0; calls++) {
    await lake.commit([`r${calls}`], quarantineKey);
    await next.publishPending();
    assert.equal(lake.added(quarantineKey).at(-1), `r${calls}`);
    const [behind] = next.troubles().parked;
    if (behind) assert.deepEqual([behind.code, next.isRetryDue()], ["TABLE_BEHIND", true]);
  }
  assert.ok(calls > 1, `${calls} calls`);
  assert.deepEqual(lake.added(), ["a", "b", ...names]);
});

test("files that another writer deleted while their table was parked are left out, and logged", async () => {
  const { lake, metaData, publisher } = await parkedLake();
  await lake.commit(["c"]);
  await publisher.publishPending();
  await lake.store.delete(`${table}/${file("b").path}`);
  await lake.foreign({ metaData });
  lake.elapsedMs += 1000;
  await publisher.publishPending();
  assert.deepEqual(lake.added(), ["a", "c"]);
  assert.match(await lake.registry.metrics(), /tidegate_tables_gone_rows_total\{table="telemetry"\} 3/);
  assert.ok(lake.log.some(({ event, path }) => event === "table.file.gone" && path === file("b").path));
});

test("an unforeseen fault at one table parks it, and so does a store that fails at it repeatedly", async () => {
  const lake = await ParkingLake.open();
  const publisher = await lake.publisher();
  await lake.commit(["a"]);
  await publisher.publishPending();
  const { schemaString, ...metaData } = lake.metaData();
  const odd = { ...metaData, schemaString: '{"fields":[null]}' };
  await lake.foreign({ metaData: odd });
  await lake.commit(["b"]);
  await publisher.publishPending();
  assert.equal(publisher.troubles().parked[0]?.code, "unexpected");
  await lake.foreign({ metaData: { ...metaData, schemaString } });
  lake.elapsedMs += 1000;
  lake.fault = (operation, path) =>
    operation === "putIfAbsent" && path.startsWith(`${table}/_delta_log`) ? "before" : null;
  for (let failure = 1; failure < 5; failure++)
    await assert.rejects(publisher.publishPending(), { code: "STORE_UNAVAILABLE" });
  await lake.commit(["q"], quarantineKey);
  assert.deepEqual(await publisher.publishPending(), { published: 1 });
  assert.equal(publisher.troubles().parked[0]?.code, "STORE_UNAVAILABLE");
  lake.fault = () => null;
  lake.elapsedMs += 30_000;
  assert.deepEqual(await publisher.publishPending(), { published: 1 });
  assert.deepEqual(lake.added(), ["a", "b"]);
});

/** A table with two commits, and the publisher's clock. */
async function publishedTable() {
  const lake = await ParkingLake.open();
  const clock = { nowMs: Date.now() };
  const publisher = await lake.publisher({ now: () => clock.nowMs });
  for (const name of ["a", "b"]) {
    await lake.commit([name]);
    await publisher.publishPending();
  }
  return { lake, publisher, clock };
}

test("a table whose log is deleted while it grows is parked within a minute, alone, and goes on once the log is back", async () => {
  const { lake, publisher, clock } = await publishedTable();
  const deleted = [...lake.store.objects].filter(([path]) => path.startsWith(`${table}/_delta_log/`));
  for (const [path] of deleted) lake.store.objects.delete(path);
  await lake.commit(["c"]);
  await publisher.publishPending();
  clock.nowMs += 60_000;
  await lake.commit(["d"]);
  await lake.commit(["q"], quarantineKey);
  assert.deepEqual(await publisher.publishPending(), { published: 1 });
  const [parked] = publisher.troubles().parked;
  assert.deepEqual([parked?.table, parked?.code], [table, "LAKE_DAMAGED"]);
  assert.match(parked?.wayOut ?? "", /^restore telemetry\/_delta_log\/0{20}\.json from a copy/);
  for (const [path, object] of deleted) lake.store.objects.set(path, object);
  lake.elapsedMs += 30_000;
  assert.deepEqual(await publisher.publishPending(), { published: 1 });
  assert.deepEqual([lake.added(), publisher.troubles().parked], [["a", "b", "c", "d"], []]);
});

test("a table whose log is deleted is made again from the commit log, if nothing was added since", async () => {
  const { lake, publisher, clock } = await publishedTable();
  for (const path of lake.store.objects.keys())
    if (path.startsWith(`${table}/_delta_log/`)) lake.store.objects.delete(path);
  clock.nowMs += 60_000;
  await lake.commit(["c"]);
  assert.deepEqual(await publisher.publishPending(), { published: 1 });
  assert.deepEqual([lake.added(), publisher.troubles().parked], [["a", "b", "c"], []]);
});

test("only a table whose log was deleted after the commit log was pruned is parked", async () => {
  const lake = await ParkingLake.open();
  const publisher = await lake.publisher({ commitRetentionMs: 0 });
  for (let commit = 0; commit < 12; commit++) {
    lake.aheadMs += 3_600_000;
    await lake.commit([`a${commit}`]);
    await publisher.publishPending();
  }
  assert.ok((lake.commitEntries()[0] ?? 0) > 1);
  for (const path of lake.store.objects.keys())
    if (path.startsWith(`${table}/_delta_log/`)) lake.store.objects.delete(path);
  await lake.commit(["b"]);
  await lake.commit(["q"], quarantineKey);
  const next = await lake.publisher();
  assert.deepEqual(await next.publishPending(), { published: 1 });
  const [parked] = next.troubles().parked;
  assert.match(parked?.reason ?? "", /shows commits up to 0, but the commit log begins at/);
  assert.match(parked?.wayOut ?? "", /^restore telemetry\/_delta_log\/ from a copy/);
});
