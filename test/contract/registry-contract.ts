import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { newDeviceRecord } from "../../gateway/registry/device-record.ts";
import { latestTopics, type RegistryStore } from "../../gateway/registry/registry-store.ts";
import { defineTopic, type TopicRecord } from "../../gateway/registry/topic-definition.ts";

/** An empty registry, and its view in other processes. */
export interface RegistryUnderTest {
  readonly store: RegistryStore;
  /** The view in another process. */
  openReader(): Promise<RegistryStore>;
  /** Closes the store and opens it again. */
  reopen(): Promise<RegistryStore>;
}

export function topicRecord(name: string, version = 1): TopicRecord {
  const definition = defineTopic({ name, filter: `${name}/{device}`, format: "json" });
  return { ...definition, topicId: `id-${name}`, version, createdAtMs: 1_000, deleted: false };
}

const names = (store: RegistryStore) => store.allTopics().map(({ name, version }) => `${name} ${version}`);

/** The contract of registries, for any store. */
export function registryContract(kind: string, open: () => Promise<RegistryUnderTest>): void {
  describe(`${kind} registry`, () => {
    test("a topic is visible once it is published, not when it is reserved, and still after the store is opened again", async () => {
      const { store, openReader, reopen } = await open();
      const first = topicRecord("first");
      assert.equal(await store.reserveTopics([first], store.topicsVersion), true);
      await store.refresh();
      assert.deepEqual([names(store), store.reservedTopics()], [[], [first]]);
      const reader = await openReader();
      assert.deepEqual(reader.allTopics(), []);
      await store.publishTopics([first]);
      await reader.refresh();
      for (const seen of [store, reader]) {
        assert.deepEqual(seen.allTopics(), [first]);
        assert.deepEqual(seen.reservedTopics(), []);
      }
      assert.deepEqual((await reopen()).allTopics(), [first]);
    });

    test("a reservation based on an older state fails", async () => {
      const { store } = await open();
      const before = store.topicsVersion;
      assert.equal(await store.reserveTopics([topicRecord("winner")], before), true);
      assert.equal(await store.reserveTopics([topicRecord("loser")], before), false);
      await store.publishTopics([topicRecord("winner"), topicRecord("loser")]);
      await store.refresh();
      assert.deepEqual(names(store), ["winner 1"], "a topic that is not reserved is not published");
      assert.equal(await store.reserveTopics([topicRecord("loser")], before), false);
      assert.equal(await store.reserveTopics([topicRecord("loser")], store.topicsVersion), true);
    });

    test("a cancelled reservation is free again; publishing twice has the effect of publishing once", async () => {
      const { store } = await open();
      await store.reserveTopics([topicRecord("gone")], store.topicsVersion);
      await store.releaseTopics([topicRecord("gone")]);
      await store.refresh();
      assert.deepEqual(store.reservedTopics(), []);
      await store.reserveTopics([topicRecord("kept"), topicRecord("kept", 2)], store.topicsVersion);
      await store.publishTopics([topicRecord("kept"), topicRecord("kept", 2)]);
      await store.publishTopics([topicRecord("kept")]);
      await store.refresh();
      assert.deepEqual(names(store), ["kept 1", "kept 2"]);
      assert.deepEqual(
        latestTopics(store).map(({ version }) => version),
        [2],
      );
    });

    test("an identity exists from its addition to its removal, for every process, and so does its name", async () => {
      const { store, openReader } = await open();
      const reader = await openReader();
      const { record } = await newDeviceRecord({ name: "d1" }, 1_000);
      const { record: rival } = await newDeviceRecord({ name: "d1" }, 2_000);
      assert.equal(await store.addDevice(record), true);
      assert.equal(await store.addDevice(rival), false);
      assert.deepEqual(await reader.device("d1"), record);
      assert.equal(await reader.device("d2"), undefined);
      assert.equal(await store.removeDevice("d1"), true);
      assert.equal(await reader.device("d1"), undefined);
      assert.equal(await store.removeDevice("d1"), false);
      assert.equal(await store.addDevice(rival), true);
    });

    test("identities are listed in pages, in the order of their names", async () => {
      const { store } = await open();
      for (const name of ["b3", "a", "b1", "B2", "b2"])
        await store.addDevice((await newDeviceRecord({ name }, 1)).record);
      const page = async (limit: number, after?: string) =>
        (await store.devices(limit, after)).map(({ name }) => name);
      assert.deepEqual(await page(3), ["B2", "a", "b1"]);
      assert.deepEqual(await page(3, "b1"), ["b2", "b3"]);
      assert.deepEqual(await page(3, "b3"), []);
      await store.removeDevice("b1");
      assert.deepEqual(await page(9), ["B2", "a", "b2", "b3"]);
    });

    test("a stored fact is still there after the store is opened again", async () => {
      const { store, reopen } = await open();
      assert.equal(await store.fact("started"), undefined);
      await store.setFact("started", { atMs: 1 });
      assert.deepEqual(await (await reopen()).fact("started"), { atMs: 1 });
    });
  });
}
