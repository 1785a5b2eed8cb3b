import assert from "node:assert/strict";
import { test } from "node:test";
import { appendUpkeep } from "../../bridge/lake/commit-log/append-upkeep.ts";
import { quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import type { LakeCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { entryPath } from "../../bridge/lake/commit-log/lake-format.ts";
import type { StoredEntry } from "../../bridge/lake/commit-log/lake-schemas.ts";
import type { CommittedLanding, LandedTable } from "../../bridge/lake/commit-log/landed-file.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { anAdd, type CommitLogUnderTest, fill, makeEntry, withCommitLog } from "./commit-log-contract.ts";

const file = {
  path: "_landing/0b0e.parquet",
  bytes: 2_000,
  size: 9_000,
  minStreamMs: 5,
  maxStreamMs: 7,
};

async function stored(store: ObjectStore, number: number): Promise<StoredEntry> {
  const bytes = (await store.get(entryPath(number))) ?? assert.fail(`entry ${number} is missing`);
  return JSON.parse(Buffer.from(bytes).toString()) as StoredEntry;
}

function landed(name: string, rows: LandedTable["rows"], version = 1): LandedTable {
  return { name, version, rows };
}

async function land(
  log: LakeCommitLog,
  tables: CommittedLanding["tables"],
  fields: Parameters<typeof makeEntry>[1] = {},
): Promise<number> {
  const number = (await log.load()).number + 1;
  const entry = makeEntry(number, { landing: { file, tables }, ...fields });
  assert.deepEqual(await log.append(entry), { outcome: "committed" });
  return number;
}

/** Entries with landing files, on any store. */
export function commitLogLandingContract(name: string, openStore: () => Promise<CommitLogUnderTest>): void {
  test(`${name}: an entry with a landing file says by lane and ordinal which rows the file has`, () =>
    withCommitLog(openStore, async (log, open, store) => {
      const quarantined = landed(quarantineKey, { odd: 2 }, 0);
      const first = { t1: landed("telemetry", { even: 3, late: 1 }), [quarantineKey]: quarantined };
      await land(log, first);
      const second = { t2: landed("other", { even: 4 }), t1: landed("telemetry", { even: 5 }, 2) };
      await land(log, second);
      const { landing, names } = await stored(store, 1);
      assert.deepEqual(landing, { ...file, rows: { even: [[1, 3]], odd: [[0, 2]], late: [[1, 1]] } });
      assert.deepEqual(names, { 1: { key: "t1", name: "telemetry", version: 1 } });
      const later = await stored(store, 2);
      assert.deepEqual(later.landing?.rows, {
        even: [
          [1, 5],
          [2, 4],
        ],
      });
      for (const each of [log, await open()]) {
        assert.deepEqual((await each.entry(2))?.landing, { file, tables: second });
        const before = (await each.entry(1))?.landing;
        assert.deepEqual(before?.tables["t1"], landed("telemetry", { even: 3, late: 1 }, 2));
        assert.deepEqual(before?.tables[quarantineKey], quarantined);
        const { tables } = await each.load();
        assert.deepEqual(tables.get("t1")?.last, { direct: 0, even: 2, odd: 0, late: 1 });
        assert.deepEqual(tables.get("t2")?.last, { direct: 0, even: 2, odd: 0, late: 0 });
        assert.deepEqual(tables.get(quarantineKey)?.last, { direct: 0, even: 0, odd: 1, late: 0 });
      }
    }));

  test(`${name}: a new table with files and landed rows in one entry gets one ordinal and the higher version`, () =>
    withCommitLog(openStore, async (log, open, store) => {
      for (const [key, versions] of [
        ["t1", [1, 3]],
        ["t2", [4, 2]],
      ] as const) {
        const adds = { [key]: { name: `table_${key}`, version: versions[0], adds: [anAdd] } };
        const number = await land(
          log,
          { [key]: landed(`table_${key}`, { odd: 1 }, versions[1]) },
          { tables: adds },
        );
        const { names, direct, landing } = await stored(store, number);
        assert.deepEqual(names, {
          [number]: { key, name: `table_${key}`, version: Math.max(...versions) },
        });
        assert.deepEqual(
          [Object.keys(direct ?? {}), landing?.rows],
          [[String(number)], { odd: [[number, 1]] }],
        );
      }
      const { tables, ordinals } = await (await open()).load();
      assert.deepEqual(ordinals, [quarantineKey, "t1", "t2"]);
      assert.deepEqual(tables.get("t2")?.last, { direct: 2, even: 0, odd: 2, late: 0 });
    }));

  test(`${name}: a snapshot keeps the last commit of each lane`, () =>
    withCommitLog(
      openStore,
      async (log, open) => {
        await land(log, { t1: landed("telemetry", { even: 1 }) });
        await land(log, { t1: landed("telemetry", { late: 1 }) });
        await fill(log, 4);
        await log.maintain({ publishedUpTo: 0, settled: new Map(), retainMs: 0 });
        const { tables } = await (await open()).load();
        assert.deepEqual(tables.get("t1")?.last, { direct: 0, even: 1, odd: 0, late: 2 });
      },
      { entriesPerSnapshot: 4 },
    ));

  test(`${name}: an entry whose landing file is older than a fence is refused`, () =>
    withCommitLog(openStore, async (log) => {
      await fill(log, 1);
      await appendUpkeep(log, { fence: true }, 1);
      const landing = { file, tables: { t1: landed("telemetry", { even: 1 }) } };
      assert.deepEqual(await log.append(makeEntry(3, { landing, filesSince: 1 })), { outcome: "fenced" });
      assert.deepEqual(await log.append(makeEntry(3, { landing, filesSince: 2 })), { outcome: "committed" });
    }));

  test(`${name}: landed rows of a table that no entry names, and files outside of _landing, are LAKE_DAMAGED`, () =>
    withCommitLog(openStore, async (log, open, store) => {
      await land(log, { t1: landed("telemetry", { even: 1 }) });
      const next = { ...(await stored(store, 1)), number: 2, commitId: "damaged", names: undefined };
      for (const landing of [
        { ...file, rows: { even: [[2, 1]] } },
        { ...file, rows: { even: [[1, 0]] } },
        { ...file, rows: { direct: [[1, 1]] } },
        { ...file, path: "telemetry/0b0e.parquet", rows: { even: [[1, 1]] } },
        { ...file, path: "_landing/../telemetry/0b0e.parquet", rows: { even: [[1, 1]] } },
      ]) {
        await store.put(entryPath(2), Buffer.from(JSON.stringify({ ...next, landing })));
        await assert.rejects((await open()).load(), { code: "LAKE_DAMAGED", message: /0002\.json/ });
      }
    }));
}
