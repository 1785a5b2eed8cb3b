import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { LmdbRegistry } from "../../../../gateway/registry/lmdb-registry.ts";
import { plainOverlaps } from "../../../../gateway/registry/plain-overlaps.ts";
import { reconcileTopics } from "../../../../gateway/registry/reconcile-topics.ts";
import { latestTopics } from "../../../../gateway/registry/registry-store.ts";
import { StoredTopicRegistry } from "../../../../gateway/registry/stored-topic-registry.ts";
import { shownTopic, type TopicInput } from "../../../../gateway/registry/topic-definition.ts";
import { Topics } from "../../../../gateway/registry/topics.ts";
import { MemoryTopicArchive } from "../../../support/memory-topic-archive.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-topics-"));
const stores: LmdbRegistry[] = [];
after(async () => {
  for (const store of stores) await store.close();
  rmSync(root, { recursive: true, force: true });
});

async function newStore(): Promise<LmdbRegistry> {
  const store = await LmdbRegistry.openForWriting(mkdtempSync(join(root, "registry-")));
  stores.push(store);
  return store;
}

async function newRegistry() {
  const store = await newStore();
  const archive = new MemoryTopicArchive();
  let changes = 0;
  const changed = async (): Promise<void> => {
    changes++;
  };
  const topics = new Topics({ store, archive, now: () => 1_000, packetMaxBytes, plainFilters, changed });
  return { store, archive, topics, changes: () => changes };
}

const packetMaxBytes = 262_144;
const plainFilters = ["cmd/#", "cmd/+/urgent"];
const engine: TopicInput = { name: "engine", filter: "plant/{device}/engine", format: "json" };
const schemaOf = (properties: Record<string, unknown>) => ({ type: "object", properties });

describe("topics", () => {
  test("a new topic gets an id, version 1 and the defaults, and the broker sees it", async () => {
    const { topics, store, changes } = await newRegistry();
    const { topic, created } = await topics.create(engine);
    assert.equal(created, true);
    assert.match(topic.topicId, /^[0-9a-f]{16}$/);
    assert.equal(topic.version, 1);
    assert.equal(topic.idPath, "id");
    assert.equal(topic.dedupeWindowMs, 3_600_000);
    assert.equal(changes(), 1);
    const rules = new StoredTopicRegistry(store).topics();
    assert.deepEqual(
      rules.map(({ topicId, version, filter }) => ({ topicId, version, filter })),
      [{ topicId: topic.topicId, version: 1, filter: "plant/{device}/engine" }],
    );
  });

  test("creating the same topic again changes nothing, and creating a different one of that name is refused", async () => {
    const { topics, changes } = await newRegistry();
    const first = await topics.create(engine);
    const again = await topics.create({ ...engine, idPath: "id" });
    assert.equal(again.created, false);
    assert.deepEqual(again.topic, first.topic);
    assert.equal(changes(), 1);
    await assert.rejects(topics.create({ ...engine, maxPayloadBytes: 10 }), { code: "TOPIC_EXISTS" });
  });

  test("a retention is from 1 day to 100 years, null ends it, and a topic without one is stored as before", async () => {
    const { topics } = await newRegistry();
    const { topic } = await topics.create({ ...engine, retentionMs: null });
    assert.deepEqual(["retentionMs" in topic, shownTopic(topic).retentionMs], [false, null]);
    assert.equal((await topics.create(engine)).created, false);
    const dayMs = 86_400_000;
    const changed = (await topics.update({ ...engine, retentionMs: dayMs })).topic;
    assert.deepEqual([changed.version, shownTopic(changed).retentionMs], [2, dayMs]);
    assert.equal((await topics.update({ ...engine, retentionMs: dayMs })).created, false);
    for (const retentionMs of [0, -1, dayMs - 1, dayMs + 0.5, 36_500 * dayMs + 1])
      await assert.rejects(topics.update({ ...engine, retentionMs }), {
        code: "TOPIC_INVALID",
        message: new RegExp(`retentionMs ${retentionMs}: give a whole number from 86400000, which is 1 day`),
      });
    assert.equal((await topics.delete(engine.name, { purge: false })).retentionMs, dayMs, "it stays");
    const again = (await topics.create({ ...engine, retentionMs: null })).topic;
    assert.equal(shownTopic(again).retentionMs, null);
  });

  test("bounds of event times are kept if they differ from the default, and lie from 1 minute to 10 years", async () => {
    const { topics } = await newRegistry();
    const standard = { eventPastMs: 604_800_000, eventAheadMs: 3_600_000 };
    const { topic } = await topics.create({ ...engine, ...standard });
    assert.equal("eventPastMs" in topic || "eventAheadMs" in topic, false, "as a record of 0.1.0");
    assert.equal((await topics.create(engine)).created, false);
    const wide = { eventPastMs: 315_360_000_000, eventAheadMs: 60_000 };
    const changed = (await topics.update({ ...engine, ...wide })).topic;
    assert.deepEqual(
      [changed.version, changed.eventPastMs, changed.eventAheadMs],
      [2, ...Object.values(wide)],
    );
    assert.equal((await topics.update({ ...engine, ...wide })).created, false);
    for (const [field, value] of [
      ["eventPastMs", 59_999],
      ["eventPastMs", 315_360_000_001],
      ["eventAheadMs", 0],
      ["eventAheadMs", 60_000.5],
    ] as const)
      await assert.rejects(topics.update({ ...engine, [field]: value }), {
        code: "TOPIC_INVALID",
        message: new RegExp(`${field} ${value}: give a whole number from 60000 to 315360000000`),
      });
    assert.equal((await topics.update(engine)).topic.eventPastMs, undefined, "back to the default");
    const raw: TopicInput = { name: "raw", filter: "raw/{device}", format: "raw" };
    await topics.create({ ...raw, ...standard });
    await assert.rejects(topics.update({ ...raw, eventPastMs: 60_000 }), {
      code: "TOPIC_INVALID",
      message: /format "raw": messages of this format have no event times: leave out their bounds/,
    });
  });

  test("exact deduplication is for envelopes; the default is the window", async () => {
    const { topics } = await newRegistry();
    const pump: TopicInput = { name: "pump", filter: "pump/{device}", format: "envelope" };
    for (const format of ["json", "raw"] as const)
      await assert.rejects(topics.create({ ...pump, format, dedupe: "exact" }), {
        code: "TOPIC_INVALID",
        message: /envelope only/,
      });
    const { topic } = await topics.create(pump);
    assert.equal(topic.dedupe, undefined);
    assert.equal((await topics.create({ ...pump, dedupe: "window" })).created, false);
    const exact = await topics.update({ ...pump, dedupe: "exact" });
    assert.equal(exact.topic.dedupe, "exact");
    assert.equal(exact.topic.version, 2);
    assert.equal((await topics.update({ ...pump, dedupe: "window" })).topic.dedupe, undefined);
  });

  test("a version is in the lake before it is in the registry, and in neither if the lake refuses it", async () => {
    const { topics, store, archive } = await newRegistry();
    archive.beforeWrite = () => assert.equal(store.allTopics().length, 0);
    await topics.create(engine);
    archive.beforeWrite = () => {
      throw new Error("the lake is full");
    };
    await assert.rejects(
      topics.create({ ...engine, name: "other", filter: "other/{device}" }),
      /the lake is full/,
    );
    assert.deepEqual(
      latestTopics(store).map((record) => record.name),
      ["engine"],
    );
  });

  test("an administrator or a start that is always overtaken ends with REGISTRY_BUSY and writes nothing into the lake", async () => {
    const { topics, store, archive } = await newRegistry();
    store.reserveTopics = async () => false;
    await assert.rejects(topics.create(engine), { code: "REGISTRY_BUSY", retryable: true });
    assert.equal(archive.records.size, 0);
    const other = await newRegistry();
    await other.topics.create(engine);
    await assert.rejects(reconcileTopics(store, other.archive), { code: "REGISTRY_BUSY" });
  });

  test("a version whose write has an unknown outcome stays reserved, and the next change publishes it", async () => {
    const { topics, store, archive } = await newRegistry();
    const { readAll } = archive;
    archive.beforeWrite = () => {
      throw new Error("no answer");
    };
    archive.readAll = () => Promise.reject(new Error("no answer"));
    await assert.rejects(topics.create(engine), /no answer/);
    assert.deepEqual(
      store.reservedTopics().map(({ name }) => name),
      ["engine"],
    );
    archive.beforeWrite = () => {};
    archive.readAll = readAll;
    const rival = { name: "rival", filter: "plant/+/engine", format: "raw" } as const;
    await assert.rejects(topics.create(rival), { code: "TOPIC_AMBIGUOUS" });
    assert.equal((await topics.create(engine)).created, false);
  });

  test("filters that match the same names without one being more specific are refused", async () => {
    const { topics } = await newRegistry();
    await topics.create(engine);
    const filters = ["plant/+/engine", "plant/{machine}/engine", "plant/{a}/engine"];
    for (const filter of filters)
      await assert.rejects(topics.create({ name: "rival", filter, format: "raw" }), {
        code: "TOPIC_AMBIGUOUS",
        message: /engine/,
      });
    await topics.create({ name: "specific", filter: "plant/press-7/engine", format: "raw" });
    await topics.create({ name: "catch_all", filter: "plant/#", format: "raw" });
    await topics.delete("engine", { purge: false });
    await topics.create({ name: "successor", filter: "plant/+/engine", format: "raw" });
    await assert.rejects(
      topics.create(engine),
      { code: "TOPIC_AMBIGUOUS" },
      "deleted ones are checked when they return",
    );
  });

  test("an update is the next version of the same id; existing columns keep their types", async () => {
    const { topics } = await newRegistry();
    const first = await topics.create({ ...engine, schema: schemaOf({ speed: { type: "number" } }) });
    const wider = { ...engine, schema: schemaOf({ speed: { type: "number" }, mode: { type: "string" } }) };
    const second = await topics.update(wider);
    assert.equal(second.topic.topicId, first.topic.topicId);
    assert.equal(second.topic.version, 2);
    assert.equal((await topics.update(wider)).created, false);
    const narrower = { ...engine, schema: schemaOf({ speed: { type: "string" } }) };
    await assert.rejects(topics.update(narrower), {
      code: "TOPIC_INCOMPATIBLE",
      message: /mode.*missing|missing.*mode/,
    });
    await assert.rejects(topics.update({ ...engine, name: "nothing" }), { code: "TOPIC_UNKNOWN" });
    assert.deepEqual(
      topics.versions("engine").map((record) => record.version),
      [1, 2],
    );
  });

  test("delete stops acceptance and keeps the definition; a table can't be purged", async () => {
    const { topics, store, archive } = await newRegistry();
    const { topic } = await topics.create(engine);
    await assert.rejects(topics.delete("engine", { purge: true }), {
      code: "TOPIC_PURGE_UNSAFE",
      message: /commit log/,
    });
    assert.equal(topics.list({ deleted: false }).length, 1, "a refused purge deletes nothing");
    await topics.delete("engine", { purge: false });
    assert.deepEqual(new StoredTopicRegistry(store).topics(), []);
    assert.deepEqual(topics.list({ deleted: false }), []);
    assert.equal(topics.list({ deleted: true })[0]?.deleted, true);
    assert.deepEqual([...archive.records.keys()], [`${topic.topicId}/1`, `${topic.topicId}/2`]);
    const said = (message: RegExp) => ({ code: "TOPIC_UNKNOWN", message });
    await assert.rejects(topics.delete("engine", { purge: false }), said(/engine is deleted already:/));
    await assert.rejects(topics.update(engine), said(/is deleted: create it again .*--retain.*, and delete/));
  });

  test("a topic that is created again continues with its table if the columns fit, otherwise it is refused", async () => {
    const { topics } = await newRegistry();
    const first = await topics.create({ ...engine, schema: schemaOf({ speed: { type: "number" } }) });
    await topics.delete("engine", { purge: false });
    const other = { ...engine, schema: schemaOf({ speed: { type: "integer" } }) };
    await assert.rejects(topics.create(other), {
      code: "TOPIC_INCOMPATIBLE",
      message: /speed is double.*now long/,
    });
    const back = await topics.create({
      ...engine,
      filter: "x/{device}",
      schema: schemaOf({ speed: { type: "number" } }),
    });
    assert.equal(back.topic.topicId, first.topic.topicId);
    assert.equal(back.topic.version, 3);
  });

  test("invalid definitions are refused with what to write instead", async () => {
    const { topics } = await newRegistry();
    const wrong: [Partial<Record<keyof TopicInput, unknown>>, RegExp][] = [
      [{ name: "Engine" }, /name/],
      [{ filter: "plant/#/engine" }, /#/],
      [{ filter: "plant/{de vice}" }, /name such as/],
      [{ filter: "$SYS/x" }, /\$/],
      [{ format: "xml" }, /format/],
      [{ format: "raw", schema: schemaOf({}) }, /raw topic has no schema/],
      [{ format: "envelope", idPath: "id" }, /json only/],
      [{ allowedQos: [3] }, /allowedQos/],
      [{ allowedQos: [] }, /allowedQos/],
      [{ maxPayloadBytes: 10_000_000 }, /maxPayloadBytes/],
      [{ maxPayloadBytes: packetMaxBytes - 20 }, /mqtt\.packetMaxBytes/],
      [{ idPath: "a..b" }, /idPath/],
      [{ schema: { type: "array" } }, /"type": "object"/],
      [{ schema: { type: "object", $async: true } }, /\$async/],
      [{ colour: "red" } as object, /colour/],
    ];
    for (const [change, message] of wrong)
      await assert.rejects(topics.create({ ...engine, ...change } as TopicInput), {
        code: "TOPIC_INVALID",
        message,
      });
    const unusable = [
      schemaOf({ speed: { type: "numbr" } }),
      schemaOf({ Device_ID: { type: "string" } }),
      schemaOf({ a: { type: "string" }, A: { type: "string" } }),
      schemaOf({ "a b": { type: "string" } }),
    ];
    for (const schema of unusable)
      await assert.rejects(topics.create({ ...engine, schema }), { code: "TOPIC_SCHEMA_INVALID" });
    assert.deepEqual(topics.list({ deleted: true }), []);
  });
});

describe("topics and plain filters", () => {
  const raw = (name: string, filter: string) => ({ name, filter, format: "raw" }) as const;

  test("a created or changed topic that is as specific as a plain filter is refused; a more or less specific one is not", async () => {
    const { topics } = await newRegistry();
    for (const filter of ["cmd/#", "cmd/{device}/urgent", "cmd/+/urgent"])
      await assert.rejects(topics.create(raw("rival", filter)), {
        code: "TOPIC_AMBIGUOUS",
        message: /setting mqtt\.plainFilters/,
      });
    await topics.create(raw("catch_all", "#"));
    await topics.create(raw("answers", "cmd/{device}/answer"));
    await topics.create(raw("elsewhere", "{a}/urgent"));
    await assert.rejects(topics.update(raw("answers", "cmd/{device}/urgent")), { code: "TOPIC_AMBIGUOUS" });
  });

  test("the broker knows the filters of deleted topics and of earlier versions", async () => {
    const { topics, store } = await newRegistry();
    await topics.create(raw("gone", "gone/{device}"));
    await topics.create(raw("moved", "from/{device}"));
    await topics.update(raw("moved", "to/{device}"));
    await topics.delete("gone", { purge: false });
    const registry = new StoredTopicRegistry(store);
    assert.deepEqual(
      registry.topics().map(({ filter }) => filter),
      ["to/{device}"],
    );
    assert.deepEqual([...registry.allFilters()].sort(), ["from/{device}", "gone/{device}", "to/{device}"]);
  });

  test("existing overlaps are logged, with the owner of the names", () => {
    const topics = [
      raw("wide", "#"),
      raw("same", "cmd/{device}/urgent"),
      raw("narrow", "cmd/{device}/answer"),
    ];
    assert.deepEqual(
      plainOverlaps(topics, plainFilters).map(({ topic, plainFilter, owner }) => [topic, plainFilter, owner]),
      [
        ["wide", "cmd/#", "plain"],
        ["wide", "cmd/+/urgent", "plain"],
        ["same", "cmd/+/urgent", "topic"],
      ],
    );
  });
});

describe("registry and lake", () => {
  test("an empty registry takes over the topics of the lake, deleted ones as deleted", async () => {
    const { topics, archive } = await newRegistry();
    await topics.create(engine);
    await topics.create({ name: "gone", filter: "gone/{device}", format: "raw" });
    await topics.delete("gone", { purge: false });
    const store = await newStore();
    assert.deepEqual(await reconcileTopics(store, archive), { imported: 3, exported: 0 });
    const restored = new Topics({
      store,
      archive,
      now: () => 2_000,
      packetMaxBytes,
      plainFilters,
      changed: async () => {},
    });
    assert.deepEqual(restored.list({ deleted: true }), topics.list({ deleted: true }));
    assert.deepEqual(await reconcileTopics(store, archive), { imported: 0, exported: 0 });
  });

  test("a lake that is new or an older copy receives the versions that it lacks", async () => {
    const { topics, store } = await newRegistry();
    await topics.create(engine);
    const empty = new MemoryTopicArchive();
    assert.deepEqual(await reconcileTopics(store, empty), { imported: 0, exported: 1 });
    assert.deepEqual(await empty.readAll(), store.allTopics());
  });

  test("a version that only the lake knows (killed between the two writes) is taken over", async () => {
    const { topics, store, archive } = await newRegistry();
    const { topic } = await topics.create(engine);
    await archive.write({ ...topic, version: 2, maxPayloadBytes: 5 });
    assert.deepEqual(await reconcileTopics(store, archive), { imported: 1, exported: 0 });
    assert.equal(topics.list({ deleted: false })[0]?.maxPayloadBytes, 5);
  });

  test("contradictions are refused and change nothing", async () => {
    const { topics, store, archive } = await newRegistry();
    const { topic } = await topics.create(engine);
    const contradictions = [
      { ...topic, maxPayloadBytes: 5 },
      { ...topic, topicId: "0123456789abcdef" },
      { ...topic, topicId: "0123456789abcdef", name: "rival" },
    ];
    for (const record of contradictions) {
      const foreign = new MemoryTopicArchive();
      await foreign.write(record);
      await assert.rejects(reconcileTopics(store, foreign), { code: "REGISTRY_CONFLICT" });
      assert.deepEqual(store.allTopics(), [topic]);
      assert.deepEqual(await foreign.readAll(), [record]);
    }
    const racing = { ...topic, version: 2, maxPayloadBytes: 7 };
    await archive.write(racing);
    await assert.rejects(topics.update({ ...engine, maxPayloadBytes: 8 }), { code: "REGISTRY_CONFLICT" });
  });
});
