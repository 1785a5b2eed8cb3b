import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Registry } from "prom-client";
import {
  type AddedFile,
  quarantineKey,
  type TableAdds,
} from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { openCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import type { DeltaAction } from "../../../../../bridge/lake/delta/delta-actions.ts";
import { createTablePublisher } from "../../../../../bridge/lake/delta/table-publisher.ts";
import type { TablePublisher } from "../../../../../bridge/lake/table-publishing.ts";
import { openTopicCatalog, writeTopicVersion } from "../../../../../bridge/lake/topic-versions.ts";
import { MemoryObjectStore, type MemoryStoreOptions } from "../../../../support/memory-object-store.ts";
import { column, makeTopic, silentLogger } from "../../../../support/test-lake.ts";

const table = "telemetry";
type Fault = NonNullable<MemoryStoreOptions["fault"]>;

function file(name: string): AddedFile {
  return {
    path: `event_date=2026-11-22/event_hour=10/${name}.parquet`,
    eventDate: "2026-11-22",
    eventHour: 10,
    bytes: 10,
    rows: 1,
    modifiedAtMs: 5,
    minIngestMs: 1,
    maxIngestMs: 2,
    stats: '{"numRecords":1}',
  };
}

function adds(...names: string[]): TableAdds {
  return { name: table, version: 1, adds: names.map(file) };
}

/** A lake in memory; each `process` has its own publisher and commit log over the same objects. */
async function openLake(topicVersions = [makeTopic()]) {
  const shared = new MemoryObjectStore();
  for (const topic of topicVersions) await writeTopicVersion(shared, { ...topic });
  const log = await openCommitLog(shared, { create: true });
  let commits = 0;
  return {
    shared,
    process: async (fault?: Fault): Promise<TablePublisher> => {
      const store = new MemoryObjectStore({ objects: shared.objects, ...(fault ? { fault } : {}) });
      return createTablePublisher({
        store,
        commitLog: await openCommitLog(shared, { create: false }),
        topics: await openTopicCatalog(shared),
        logger: silentLogger,
        registry: new Registry(),
      });
    },
    commit: async (tables: Record<string, TableAdds>): Promise<void> => {
      const number = ++commits;
      await log.load();
      const entry = {
        format: 1,
        number,
        commitId: `c${number}`,
        committedAtMs: Date.now(),
        moves: {},
        tables,
      } as const;
      assert.equal((await log.append(entry)).outcome, "committed");
    },
    lakeId: log.lakeId,
  };
}

type Lake = Awaited<ReturnType<typeof openLake>>;

function entryPath(version: number, name = table): string {
  return `${name}/_delta_log/${String(version).padStart(20, "0")}.json`;
}

/** Actions of every entry of a table, read by this test's own code, not by the code under test. */
function readLog(lake: Lake, name = table): DeltaAction[][] {
  const entries: DeltaAction[][] = [];
  for (;;) {
    const object = lake.shared.objects.get(entryPath(entries.length, name));
    if (!object) return entries;
    const lines = Buffer.from(object.bytes).toString().trimEnd().split("\n");
    entries.push(lines.map((line) => JSON.parse(line)));
  }
}

function addedNames(entries: DeltaAction[][]): string[] {
  return entries.flat().flatMap(({ add }) => (add ? [/(\w+)\.parquet/.exec(add.path)?.[1] ?? ""] : []));
}

async function foreignEntry(lake: Lake, actions: DeltaAction[]): Promise<void> {
  const path = entryPath(readLog(lake).length);
  await lake.shared.put(path, Buffer.from(actions.map((action) => JSON.stringify(action)).join("\n")));
}

test("a commit is shown in each of its tables by one entry: schema with the first file, txn with the commit's number", async () => {
  const lake = await openLake();
  const publisher = await lake.process();
  await lake.commit({
    "topic-1": adds("a", "b"),
    [quarantineKey]: { ...adds("q"), name: quarantineKey, version: 0 },
  });
  assert.deepEqual(await publisher.publishPending(), { published: 2 });
  const [entry, ...others] = readLog(lake);
  assert.equal(others.length, 0);
  assert.deepEqual(
    entry?.map((action) => Object.keys(action)[0]),
    ["commitInfo", "protocol", "metaData", "txn", "add", "add"],
  );
  assert.deepEqual(entry?.[1]?.protocol, { minReaderVersion: 1, minWriterVersion: 2 });
  assert.equal(entry?.[3]?.txn?.appId, `tidegate/${lake.lakeId}`);
  assert.equal(entry?.[3]?.txn?.version, 1);
  const { partitionValues, path, dataChange } = entry?.[4]?.add ?? assert.fail();
  assert.deepEqual(
    [partitionValues, path, dataChange],
    [{ event_date: "2026-11-22", event_hour: "10" }, file("a").path, true],
  );
  const quarantineSchema = readLog(lake, quarantineKey)[0]?.[2]?.metaData?.schemaString ?? "";
  for (const name of ["reason", "detail", "topic_id", "topic_version", "event_date", "_position"])
    assert.match(quarantineSchema, new RegExp(`"name":"${name}"`));
});

test("publishing twice, or by another process, writes nothing more", async () => {
  const lake = await openLake();
  const publisher = await lake.process();
  await lake.commit({ "topic-1": adds("a") });
  await publisher.publishPending();
  assert.deepEqual(await publisher.publishPending(), { published: 0 });
  assert.deepEqual(await (await lake.process()).publishPending(), { published: 0 });
  assert.equal(readLog(lake).length, 1);
});

test("commits that were never published follow in one entry, in order, and only they", async () => {
  const lake = await openLake();
  const publisher = await lake.process();
  await lake.commit({ "topic-1": adds("a") });
  await publisher.publishPending();
  await lake.commit({ "topic-1": adds("b") });
  await lake.commit({ [quarantineKey]: { ...adds("q"), name: quarantineKey } });
  await lake.commit({ "topic-1": adds("c", "d") });
  await (await lake.process()).publishPending();
  const entries = readLog(lake);
  assert.equal(entries.length, 2);
  assert.deepEqual(addedNames(entries.slice(1)), ["b", "c", "d"]);
  assert.equal(entries[1]?.find(({ txn }) => txn)?.txn?.version, 4);
});

test("an answer that was lost after the entry was written leads to no second entry", async () => {
  const lake = await openLake();
  let faults = 1;
  const publisher = await lake.process((operation, path) =>
    operation === "putIfAbsent" && path.includes("_delta_log") && faults-- > 0 ? "after" : null,
  );
  await lake.commit({ "topic-1": adds("a") });
  await assert.rejects(publisher.publishPending(), { code: "STORE_UNAVAILABLE" });
  assert.deepEqual(await publisher.publishPending(), { published: 0 });
  assert.deepEqual(addedNames(readLog(lake)), ["a"]);
});

test("an entry of another writer in between is read, and ours comes after it", async () => {
  const lake = await openLake();
  const publisher = await lake.process();
  await lake.commit({ "topic-1": adds("a") });
  await publisher.publishPending();
  const foreign = { path: "event_date=x/foreign.parquet", partitionValues: {}, size: 1, modificationTime: 1 };
  await foreignEntry(lake, [
    { commitInfo: { operation: "OPTIMIZE" } },
    { txn: { appId: "another", version: 99 } },
    { remove: { path: file("a").path, dataChange: false } },
    { add: { ...foreign, dataChange: false } },
  ]);
  await lake.commit({ "topic-1": adds("b") });
  await publisher.publishPending();
  assert.deepEqual(addedNames(readLog(lake)), ["a", "foreign", "b"]);
});

test("if another writer's entry takes the number first, it is read, and ours is retried after it", async () => {
  const lake = await openLake();
  let races = 3;
  const publisher = await lake.process(async (operation, path) => {
    if (operation === "putIfAbsent" && path.includes("_delta_log") && races-- > 0)
      await lake.shared.put(path, Buffer.from('{"commitInfo":{"operation":"OTHER"}}'));
    return null;
  });
  await lake.commit({ "topic-1": adds("a") });
  await (await lake.process()).publishPending();
  await lake.commit({ "topic-1": adds("b") });
  assert.deepEqual(await publisher.publishPending(), { published: 1 });
  const entries = readLog(lake);
  assert.deepEqual(addedNames(entries), ["a", "b"]);
  assert.equal(entries.length, 5);
});

test("ten publishers at once show each file exactly once", async () => {
  const lake = await openLake();
  const publishers = await Promise.all(Array.from({ length: 10 }, () => lake.process()));
  for (const name of ["a", "b", "c", "d"]) {
    await lake.commit({ "topic-1": adds(name) });
    const outcomes = await Promise.all(publishers.map((publisher) => publisher.publishPending()));
    assert.equal(
      outcomes.reduce((sum, { published }) => sum + published, 0),
      1,
    );
  }
  assert.deepEqual(addedNames(readLog(lake)), ["a", "b", "c", "d"]);
});

test("random commits, restarts, races and faults show each file exactly once and in order", async () => {
  const step = fc.record({
    commit: fc.boolean(),
    publish: fc.boolean(),
    restart: fc.boolean(),
    faults: fc.array(fc.constantFrom(null, "before" as const, "after" as const), { maxLength: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const lake = await openLake();
      const faults: (null | "before" | "after")[] = [];
      const fault: Fault = () => faults.shift() ?? null;
      let publishers = [await lake.process(fault), await lake.process(fault)];
      const names: string[] = [];
      for (const { commit, publish, restart, faults: next } of steps) {
        if (commit) {
          names.push(`f${names.length}`);
          await lake.commit({ "topic-1": adds(names.at(-1) ?? "") });
        }
        if (restart) publishers = [await lake.process(fault), await lake.process(fault)];
        faults.push(...next);
        if (publish) await Promise.allSettled(publishers.map((publisher) => publisher.publishPending()));
        faults.length = 0;
      }
      await (await lake.process()).publishPending();
      assert.deepEqual(addedNames(readLog(lake)), names);
    }),
    { numRuns: 150 },
  );
});

test("new columns enter the schema with their first file; columns that another writer added stay", async () => {
  const versions = [
    makeTopic({ version: 1, columns: [column("level", "long")] }),
    makeTopic({ version: 2, columns: [column("level", "long"), column("note", "string")] }),
    makeTopic({ version: 3, columns: [column("level", "long"), column("seen", "timestamp")] }),
  ];
  const lake = await openLake(versions);
  const publisher = await lake.process();
  await lake.commit({ "topic-1": { ...adds("a"), version: 1 } });
  await publisher.publishPending();
  const before = readLog(lake)[0]?.find(({ metaData }) => metaData)?.metaData ?? assert.fail();
  const schema = JSON.parse(before.schemaString);
  schema.fields.push({ name: "theirs", type: "double", nullable: true, metadata: {} });
  await foreignEntry(lake, [{ metaData: { ...before, schemaString: JSON.stringify(schema) } }]);
  await lake.commit({ "topic-1": { ...adds("b"), version: 3 } });
  await publisher.publishPending();
  const last = readLog(lake)[2] ?? [];
  assert.deepEqual(addedNames([last]), ["b"]);
  const after = last.find(({ metaData }) => metaData)?.metaData ?? assert.fail();
  assert.equal(after.id, before.id);
  const names = JSON.parse(after.schemaString).fields.map(({ name }: { name: string }) => name);
  assert.deepEqual(names.slice(-6), ["level", "event_date", "event_hour", "theirs", "note", "seen"]);
});

test("a table that is ahead of the commit log is refused: only a part of the lake was restored", async () => {
  const lake = await openLake();
  await lake.commit({ "topic-1": adds("a") });
  await lake.commit({ "topic-1": adds("b") });
  await (await lake.process()).publishPending();
  lake.shared.objects.delete("_commits/00000000000000000002.json");
  const log = await openCommitLog(lake.shared, { create: false });
  assert.equal((await log.load()).number, 1);
  await assert.rejects((await lake.process()).publishPending(), {
    code: "LAKE_DAMAGED",
    message: /shows commit 2/,
  });
});

test("a topic that is deleted and created again under its name continues the table, and loses no rows of either", async () => {
  const lake = await openLake([makeTopic(), makeTopic({ topicId: "topic-2" })]);
  await lake.commit({ "topic-1": adds("a") });
  await lake.commit({ "topic-2": adds("b") });
  await lake.commit({ "topic-1": adds("c"), "topic-2": adds("d") });
  await (await lake.process()).publishPending();
  await lake.commit({ "topic-1": adds("e") });
  await lake.commit({ "topic-2": adds("f") });
  await (await lake.process()).publishPending();
  await lake.commit({ "topic-1": adds("g") });
  await (await lake.process()).publishPending();
  assert.deepEqual(addedNames(readLog(lake)), ["a", "b", "c", "d", "e", "f", "g"]);
});

test("rows of a topic version that the lake does not know are published once it does", async () => {
  const lake = await openLake([]);
  const publisher = await lake.process();
  await lake.commit({ "topic-1": adds("a") });
  assert.deepEqual(await publisher.publishPending(), { published: 0 });
  const [parked] = publisher.troubles().parked;
  assert.equal(parked?.code, "LAKE_DAMAGED");
  assert.match(parked?.wayOut ?? "", /^restore _topics\/topic-1\/1\.json/);
  await writeTopicVersion(lake.shared, { ...makeTopic() });
  assert.deepEqual(await (await lake.process()).publishPending(), { published: 1 });
});

test("a table whose log has a hole or a damaged entry is parked with the file's name", async () => {
  const lake = await openLake();
  for (const name of ["a", "b", "c"]) {
    await lake.commit({ "topic-1": adds(name) });
    await (await lake.process()).publishPending();
  }
  await lake.commit({ "topic-1": adds("d") });
  const path = entryPath(1);
  const object = lake.shared.objects.get(path) ?? assert.fail();
  const fails = async () => {
    const publisher = await lake.process();
    assert.deepEqual(await publisher.publishPending(), { published: 0 });
    const [parked] = publisher.troubles().parked;
    assert.equal(parked?.code, "LAKE_DAMAGED");
    assert.match(parked?.reason ?? "", new RegExp(path));
    assert.match(parked?.wayOut ?? "", new RegExp(`^restore ${path} from a copy`));
  };
  lake.shared.objects.delete(path);
  await fails();
  for (const text of ["{", "[]", '{"add":{"path":1}}', '{"txn":{"appId":"x"}}', "\u00ff"]) {
    await lake.shared.put(path, Buffer.from(text, "latin1"));
    await fails();
  }
  lake.shared.objects.set(path, object);
  assert.deepEqual(await (await lake.process()).publishPending(), { published: 1 });
});

test("a topic version is written once, with its extra fields, and another under its number is refused", async () => {
  const store = new MemoryObjectStore();
  const topic = makeTopic({ columns: [column("level", "long")] });
  const definition = { ...topic, filter: "fleet/{device}/telemetry", allowedQos: [0, 1] };
  await writeTopicVersion(store, definition);
  await writeTopicVersion(store, definition);
  await assert.rejects(writeTopicVersion(store, { ...definition, filter: "other/#" }), {
    code: "TOPIC_CONFLICT",
  });
  await assert.rejects(writeTopicVersion(store, { ...definition, name: "Bad Name" }), {
    code: "TOPIC_CONFLICT",
  });
  const catalog = await openTopicCatalog(store);
  assert.deepEqual(catalog.definitions(), [definition]);
  assert.equal(catalog.version("topic-1", 2), undefined);
  await writeTopicVersion(store, { ...definition, version: 2, dedupeWindowMs: 7_200_000 });
  assert.equal(catalog.longestWindowMs(), 3_600_000);
  await catalog.refresh();
  assert.equal(catalog.version("topic-1", 2)?.dedupeWindowMs, 7_200_000);
  assert.equal(catalog.longestWindowMs(), 7_200_000);
  for (const damage of ["{", '{"version":1}', JSON.stringify({ ...definition, version: 9 })]) {
    await store.put("_topics/topic-1/3.json", Buffer.from(damage));
    await assert.rejects(openTopicCatalog(store), {
      code: "LAKE_DAMAGED",
      message: /_topics\/topic-1\/3\.json/,
    });
  }
});
