import assert from "node:assert/strict";
import { test } from "node:test";
import { appendUpkeep } from "../../bridge/lake/commit-log/append-upkeep.ts";
import { quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import type { LakeCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { entryPath, snapshotPath } from "../../bridge/lake/commit-log/lake-format.ts";
import type { StoredEntry } from "../../bridge/lake/commit-log/lake-schemas.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import {
  anAdd,
  type CommitLogUnderTest,
  direct,
  fill,
  makeEntry,
  withCommitLog,
} from "./commit-log-contract.ts";

/** The content of an object of the log. */
async function stored(store: ObjectStore, path: string): Promise<StoredEntry> {
  const bytes = (await store.get(path)) ?? assert.fail(`${path} is missing`);
  return JSON.parse(Buffer.from(bytes).toString()) as StoredEntry;
}

function table(name: string, file: string, version = 1) {
  return { name, version, adds: [{ ...anAdd, path: `event_date=2026-01-02/event_hour=3/${file}.parquet` }] };
}

async function append(log: LakeCommitLog, tables: Record<string, ReturnType<typeof table>>): Promise<void> {
  const { number } = await log.load();
  assert.deepEqual(await log.append(makeEntry(number + 1, { tables })), { outcome: "committed" });
}

/** An entry as version 0.1.0 (format 1), or a later one up to format 4, wrote it. */
async function putOld(store: ObjectStore, number: number, format: 1 | 3 | 4, tables: object): Promise<void> {
  const entry = { ...makeEntry(number), format, tables };
  await store.put(entryPath(number), Buffer.from(JSON.stringify(entry)));
}

async function filesOf(log: LakeCommitLog, number: number): Promise<Record<string, string[]>> {
  const { tables } = (await log.entry(number)) ?? assert.fail(`entry ${number} is missing`);
  const files = Object.entries(tables).map(([key, { name, adds }]) => [
    key,
    adds.map(({ path }) => `${name}/${path.slice(path.lastIndexOf("/") + 1)}`),
  ]);
  return Object.fromEntries(files) as Record<string, string[]>;
}

/** Tables by ordinal, on any store. */
export function commitLogOrdinalsContract(name: string, openStore: () => Promise<CommitLogUnderTest>): void {
  const withLog = (work: Parameters<typeof withCommitLog>[1]) => withCommitLog(openStore, work);

  test(`${name}: an entry names a table once, and again with a higher version`, () =>
    withLog(async (log, open, store) => {
      await append(log, { t1: table("telemetry", "a"), [quarantineKey]: table(quarantineKey, "q", 0) });
      await append(log, { t1: table("telemetry", "b") });
      await append(log, { t1: table("telemetry", "c", 3), t2: table("other", "d") });
      await append(log, { t1: table("telemetry", "e", 2) });
      const names = await Promise.all(
        [1, 2, 3, 4].map(async (each) => (await stored(store, entryPath(each))).names),
      );
      assert.deepEqual(names, [
        { 1: { key: "t1", name: "telemetry", version: 1 } },
        undefined,
        { 1: { key: "t1", name: "telemetry", version: 3 }, 2: { key: "t2", name: "other", version: 1 } },
        undefined,
      ]);
      const { direct: files, tables } = await stored(store, entryPath(3));
      assert.deepEqual([Object.keys(files ?? {}), tables], [["1", "2"], undefined]);
      const reader = await open();
      assert.deepEqual(await filesOf(reader, 3), { t1: ["telemetry/c.parquet"], t2: ["other/d.parquet"] });
      assert.deepEqual(await filesOf(reader, 1), {
        t1: ["telemetry/a.parquet"],
        [quarantineKey]: [`${quarantineKey}/q.parquet`],
      });
      assert.equal((await reader.load()).tables.get("t1")?.version, 3);
    }));

  test(`${name}: an entry that lost a race gets the ordinals of the state that it follows`, () =>
    withLog(async (_log, open) => {
      const logs = await Promise.all(Array.from({ length: 6 }, () => open()));
      await Promise.all(
        logs.map(async (log, index) => {
          const tables = {
            [`t${index}`]: table(`table${index}`, `f${index}`),
            shared: table("shared", `s${index}`),
          };
          const entry = makeEntry(1, { tables });
          for (;;) {
            const { number } = await log.load();
            if ((await log.append({ ...entry, number: number + 1 })).outcome === "committed") return;
          }
        }),
      );
      for (const log of [...logs, await open()]) {
        const { ordinals, tables } = await log.load();
        assert.equal(new Set(ordinals).size, 8);
        assert.deepEqual(
          ordinals.slice(1).map((key) => tables.get(key)?.ordinal),
          [1, 2, 3, 4, 5, 6, 7],
        );
        for (let number = 1; number <= 6; number++) {
          const files = await filesOf(log, number);
          const [own] = Object.keys(files).filter((key) => key !== "shared");
          const index = own?.slice(1);
          const wanted = {
            [`t${index}`]: [`table${index}/f${index}.parquet`],
            shared: [`shared/s${index}.parquet`],
          };
          assert.deepEqual(files, wanted);
        }
      }
    }));

  test(`${name}: entries of formats 1, 3 and 4 have direct files, and no ordinals until a new entry has rows of their tables`, () =>
    withLog(async (_log, open, store) => {
      await putOld(store, 1, 1, { t2: table("second", "a"), [quarantineKey]: table(quarantineKey, "q", 0) });
      await putOld(store, 2, 3, { t1: { ...table("first", "b", 2), previousCommit: 0 } });
      await putOld(store, 3, 4, { t2: { ...table("second", "c"), previousCommit: 1 } });
      const log = await open();
      const before = await log.load();
      assert.deepEqual(before.ordinals, [quarantineKey]);
      assert.deepEqual(before.tables.get("t2"), {
        ordinal: null,
        name: "second",
        version: 1,
        last: direct(3),
        settled: direct(0),
      });
      assert.deepEqual(await filesOf(log, 2), { t1: ["first/b.parquet"] });
      await append(log, { t1: table("first", "d"), t3: table("third", "e") });
      assert.deepEqual((await stored(store, entryPath(4))).names, {
        1: { key: "t1", name: "first", version: 2 },
        2: { key: "t3", name: "third", version: 1 },
      });
      const reader = await open();
      assert.deepEqual((await reader.load()).ordinals, [quarantineKey, "t1", "t3"]);
      assert.equal((await reader.load()).tables.get("t2")?.ordinal, null);
      assert.deepEqual(await filesOf(reader, 4), { t1: ["first/d.parquet"], t3: ["third/e.parquet"] });
      await append(reader, { t2: table("second", "f") });
      assert.deepEqual((await log.load()).ordinals, [quarantineKey, "t1", "t3", "t2"]);
    }));

  test(`${name}: a snapshot of format 4 knows no ordinals, one of format 5 all`, () =>
    withCommitLog(
      openStore,
      async (log, open, store) => {
        for (let number = 1; number <= 3; number++)
          await putOld(store, number, 4, { [`t${number}`]: table(`table${number}`, `f${number}`) });
        const tables = Object.fromEntries(
          [1, 2, 3].map((each) => [`t${each}`, { name: `table${each}`, version: 1, lastCommit: each }]),
        );
        const { commitId } = await stored(store, entryPath(3));
        const old = { format: 4, number: 3, commitId, fence: 0, firstKept: 1, moves: {}, past: {}, tables };
        await store.put(snapshotPath(3), Buffer.from(JSON.stringify(old)));
        const writer = await open();
        assert.deepEqual((await writer.load()).ordinals, [quarantineKey]);
        assert.deepEqual((await writer.load()).tables.get("t2")?.last, direct(2));
        await append(writer, { t3: table("table3", "g") });
        await fill(writer, 3);
        await writer.maintain({ publishedUpTo: 0, settled: new Map(), retainMs: 0 });
        assert.notEqual(await store.get(snapshotPath(7)), null);
        for (const each of [log, await open()]) {
          const { ordinals, tables } = await each.load();
          assert.deepEqual(ordinals, [quarantineKey, "t3"]);
          assert.deepEqual([tables.get("t1")?.ordinal, tables.get("t3")?.ordinal], [null, 1]);
        }
      },
      { entriesPerSnapshot: 4 },
    ));

  test(`${name}: a bound never falls, has its place in snapshots, and is only of tables that have rows`, () =>
    withCommitLog(
      openStore,
      async (log, open, store) => {
        await append(log, { t1: table("telemetry", "a"), t2: table("other", "b") });
        const settle = (settled: Record<string, number>) => {
          const bounds = Object.entries(settled).map(([key, commit]) => [key, direct(commit)]);
          return appendUpkeep(log, { settled: Object.fromEntries(bounds) }, 1);
        };
        const first = await settle({ t1: 1, unknown: 1 });
        assert.deepEqual((await stored(store, entryPath(first))).upkeep, { settled: { 1: [1, 0, 0, 0] } });
        await append(log, { t1: table("telemetry", "c") });
        await settle({ t1: 3, t2: 1 });
        const lower = await settle({ t1: 2, t2: 1 });
        assert.deepEqual((await stored(store, entryPath(lower))).upkeep, {});
        assert.deepEqual((await log.entry(first))?.upkeep, { settled: { t1: direct(1) } });
        await log.maintain({ publishedUpTo: 0, settled: new Map(), retainMs: 0 });
        assert.notEqual(await store.get(snapshotPath(lower)), null);
        for (const each of [log, await open()]) {
          const { tables } = await each.load();
          assert.deepEqual([tables.get("t1")?.settled, tables.get("t2")?.settled], [direct(3), direct(1)]);
        }
      },
      { entriesPerSnapshot: 4 },
    ));

  test(`${name}: if the bound of one lane rises and another one's is lower, the entry has the higher of each`, () =>
    withLog(async (log, _open, store) => {
      await append(log, { t1: table("telemetry", "a") });
      await appendUpkeep(log, { settled: { t1: { direct: 1, even: 3, odd: 0, late: 2 } } }, 1);
      const mixed = await appendUpkeep(log, { settled: { t1: { direct: 2, even: 1, odd: 0, late: 0 } } }, 1);
      assert.deepEqual((await stored(store, entryPath(mixed))).upkeep, { settled: { 1: [2, 3, 0, 2] } });
    }));

  test(`${name}: bounds and the first entry that is kept are in one entry`, () =>
    withCommitLog(
      openStore,
      async (log, _open, store) => {
        await append(log, { t1: table("telemetry", "a") });
        await fill(log, 9);
        await log.maintain({ publishedUpTo: 10, settled: new Map([["t1", direct(1)]]), retainMs: -1 });
        const { upkeep } = await stored(store, entryPath(11));
        assert.deepEqual(upkeep, { firstKept: 6, settled: { 1: [1, 0, 0, 0] } });
      },
      { entriesPerSnapshot: 5 },
    ));

  test(`${name}: ordinals that contradict earlier entries are LAKE_DAMAGED`, () =>
    withLog(async (log, open, store) => {
      await append(log, { t1: table("telemetry", "a") });
      const next = { ...(await stored(store, entryPath(1))), number: 2, commitId: "contradicting" };
      const { adds } = table("telemetry", "b");
      for (const wrong of [
        { names: { 1: { key: "t2", name: "other", version: 1 } }, direct: { 1: adds } },
        { names: undefined, direct: { 2: adds } },
        { names: undefined, direct: {}, upkeep: { settled: { 7: [1, 0, 0, 0] } } },
        { names: undefined, direct: {}, tables: {} },
        { names: undefined, direct: { x: adds } },
      ]) {
        await store.put(entryPath(2), Buffer.from(JSON.stringify({ ...next, ...wrong })));
        await assert.rejects((await open()).load(), { code: "LAKE_DAMAGED", message: /0002\.json/ });
      }
    }));
}
