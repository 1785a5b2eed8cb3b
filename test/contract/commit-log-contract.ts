import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CommitEntry,
  type LakeState,
  type Move,
  noCounters,
  quarantineKey,
} from "../../bridge/lake/commit-log/commit-log.ts";
import {
  type CommitLogOptions,
  type LakeCommitLog,
  openCommitLog,
} from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { type LaneCommits, noCommits } from "../../bridge/lake/commit-log/lane-commits.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { partitionKey } from "../../bridge/streams/partition-key.ts";

export type OpenCommitLog = (options?: Partial<CommitLogOptions>) => Promise<LakeCommitLog>;

export interface CommitLogUnderTest {
  readonly store: ObjectStore;
  readonly close: () => Promise<void>;
}

export function makeMove(from: string, to: string): Move {
  return {
    from,
    to,
    streamTimeMs: 1_000,
    producers: { p1: { lastSequence: 4, ackedMessages: 9, seenAtMs: 5 } },
    counters: { ...noCounters, read: 3, filed: 3 },
  };
}

export function makeEntry(number: number, fields: Partial<CommitEntry> = {}): CommitEntry {
  return {
    format: 1,
    number,
    commitId: `commit-${number}-${Math.floor(Math.random() * 1e9)}`,
    committedAtMs: Date.now(),
    moves: {},
    tables: {},
    ...fields,
  };
}

export const anAdd = {
  path: "event_date=2026-01-02/event_hour=3/x.parquet",
  eventDate: "2026-01-02",
  eventHour: 3,
  bytes: 10,
  rows: 2,
  modifiedAtMs: 7,
  minIngestMs: 5,
  maxIngestMs: 6,
  stats: '{"numRecords":2}',
};

/** Commits of a table that has direct files only. */
export function direct(commit: number): LaneCommits {
  return { ...noCommits, direct: commit };
}

export function plain(state: LakeState): unknown {
  return {
    number: state.number,
    moves: Object.fromEntries(state.moves),
    tables: Object.fromEntries(state.tables),
  };
}

/** Appends `count` empty entries. */
export async function fill(log: LakeCommitLog, count: number, committedAtMs = Date.now()): Promise<void> {
  for (let left = count; left > 0; left--) {
    const { number } = await log.load();
    assert.deepEqual(await log.append(makeEntry(number + 1, { committedAtMs })), { outcome: "committed" });
  }
}

/** Runs `work` on a new lake. */
export async function withCommitLog(
  openStore: () => Promise<CommitLogUnderTest>,
  work: (log: LakeCommitLog, open: OpenCommitLog, store: ObjectStore) => Promise<void>,
  defaults: Partial<CommitLogOptions> = {},
): Promise<void> {
  const { store, close } = await openStore();
  const open: OpenCommitLog = (options = {}) =>
    openCommitLog(store, { create: true, ...defaults, ...options });
  try {
    await work(await open(), open, store);
  } finally {
    await close();
  }
}

/** The promises of the commit log, on any store. */
export function commitLogContract(name: string, openStore: () => Promise<CommitLogUnderTest>): void {
  const withLog = (work: Parameters<typeof withCommitLog>[1]) => withCommitLog(openStore, work);

  test(`${name}: a new lake is empty and keeps its id; before its creation it is LAKE_MISSING`, async () => {
    const { store, close } = await openStore();
    await assert.rejects(openCommitLog(store, { create: false }), { code: "LAKE_MISSING" });
    const [first, racer] = await Promise.all([
      openCommitLog(store, { create: true }),
      openCommitLog(store, { create: true }),
    ]);
    assert.equal(first.lakeId, racer.lakeId);
    assert.equal((await openCommitLog(store, { create: false })).lakeId, first.lakeId);
    assert.deepEqual(plain(await first.load()), { number: 0, moves: {}, tables: {} });
    await close();
  });

  test(`${name}: the state is the sum of the entries, for their writer and for other processes`, () =>
    withLog(async (log, open) => {
      const key = partitionKey("s", 0);
      const other = partitionKey("s", 1);
      await log.append(
        makeEntry(1, {
          moves: { [key]: makeMove("", "5"), [other]: makeMove("", "3") },
          tables: { t1: { name: "telemetry", version: 2, adds: [anAdd] } },
        }),
      );
      await log.append(
        makeEntry(2, {
          moves: { [key]: makeMove("5", "9") },
          tables: {
            t1: { name: "telemetry", version: 1, adds: [anAdd] },
            [quarantineKey]: { name: quarantineKey, version: 0, adds: [anAdd] },
          },
        }),
      );
      const expected = {
        number: 2,
        moves: {
          [key]: { ...makeMove("5", "9"), commit: 2, previousCommit: 1 },
          [other]: { ...makeMove("", "3"), commit: 1, previousCommit: 0 },
        },
        tables: {
          t1: { ordinal: 1, name: "telemetry", version: 2, last: direct(2), settled: direct(0) },
          [quarantineKey]: {
            ordinal: 0,
            name: quarantineKey,
            version: 0,
            last: direct(2),
            settled: direct(0),
          },
        },
      };
      assert.deepEqual(plain(await log.load()), expected);
      const reader = await open();
      assert.deepEqual(plain(await reader.load()), expected);
      await log.append(makeEntry(3));
      assert.equal((await reader.load()).number, 3);
      assert.deepEqual((await reader.entry(1))?.tables["t1"]?.adds, [anAdd]);
      assert.deepEqual(Object.keys((await reader.entry(2))?.tables ?? {}).toSorted(), [quarantineKey, "t1"]);
      assert.equal(await reader.entry(4), null);
    }));

  test(`${name}: of ten writers of one number exactly one commits, and all read its entry`, () =>
    withLog(async (_log, open) => {
      const logs = await Promise.all(Array.from({ length: 10 }, () => open()));
      await Promise.all(logs.map((log) => log.load()));
      const entries = logs.map(() => makeEntry(1));
      const outcomes = await Promise.all(logs.map((log, index) => log.append(entries[index] as CommitEntry)));
      const winners = outcomes.flatMap(({ outcome }, index) => (outcome === "committed" ? [index] : []));
      assert.equal(winners.length, 1);
      assert.equal(outcomes.filter(({ outcome }) => outcome === "taken").length, 9);
      for (const log of logs) {
        assert.equal((await log.load()).number, 1);
        assert.equal((await log.entry(1))?.commitId, entries[winners[0] as number]?.commitId);
      }
    }));

  test(`${name}: a move from another position than the committed one is a conflict and writes nothing`, () =>
    withLog(async (log, open) => {
      const key = partitionKey("s", 0);
      await log.append(makeEntry(1, { moves: { [key]: makeMove("", "5") } }));
      const paused = await open();
      await paused.load();
      await log.append(makeEntry(2, { moves: { [key]: makeMove("5", "8") } }));
      const stale = makeEntry(2, { moves: { [key]: makeMove("5", "7") } });
      assert.deepEqual(await paused.append(stale), { outcome: "taken" });
      await paused.load();
      assert.deepEqual(await paused.append({ ...stale, number: 3 }), { outcome: "conflict" });
      assert.equal((await log.load()).number, 2);
    }));

  test(`${name}: an append under an old number is refused as taken`, () =>
    withLog(async (log) => {
      await fill(log, 3);
      assert.deepEqual(await log.append(makeEntry(2)), { outcome: "taken" });
    }));

  test(`${name}: a commit lists nothing and makes few requests`, () =>
    withLog(async (log, open, store) => {
      const calls: string[] = [];
      const counted =
        <Args extends unknown[], Result>(name: string, work: (...args: Args) => Result) =>
        (...args: Args): Result => {
          calls.push(name);
          return work(...args);
        };
      const counting: ObjectStore = Object.create(store, {
        list: { value: counted("list", store.list.bind(store)) },
        get: { value: counted("get", store.get.bind(store)) },
        putIfAbsent: { value: counted("put", store.putIfAbsent.bind(store)) },
      });
      await fill(log, 40);
      const writer = await openCommitLog(counting, { create: false });
      await writer.load();
      calls.length = 0;
      assert.deepEqual(await writer.append(makeEntry(41)), { outcome: "committed" });
      await writer.load();
      assert.deepEqual(await writer.append(makeEntry(42)), { outcome: "committed" });
      assert.deepEqual(await writer.maintain({ publishedUpTo: 42, settled: new Map(), retainMs: 0 }), {
        pruned: 0,
      });
      assert.deepEqual(calls, ["put", "get", "get", "put", "get"]);
      assert.equal((await (await open()).load()).number, 42);
    }));

  test(`${name}: a gap, a damaged file and a newer format are refused with the name of the file`, () =>
    withLog(async (log, open, store) => {
      await fill(log, 4);
      const path = "_commits/00000000000000000003.json";
      const bytes = (await store.get(path)) ?? assert.fail();
      const fails = async (code: string) => {
        const reader = await open();
        await assert.rejects(reader.load(), { code, message: new RegExp(path) });
        await assert.rejects(reader.load(), { code, message: new RegExp(path) });
      };
      await store.delete(path);
      await fails("LAKE_DAMAGED");
      for (const damage of [
        "",
        "{",
        "[]",
        "{}",
        '{"format":1}',
        Buffer.from(bytes).toString().replace('"number":3', '"number":4'),
      ]) {
        await store.put(path, Buffer.from(damage));
        await fails("LAKE_DAMAGED");
      }
      await store.put(path, Buffer.from('{"format":6,"anything":true}'));
      await fails("LAKE_VERSION");
      await store.put(path, bytes);
      assert.equal((await (await open()).load()).number, 4);
      await store.put("_commits/lake.json", Buffer.from('{"format":7}'));
      await assert.rejects(open(), { code: "LAKE_VERSION" });
      await store.delete("_commits/lake.json");
      await assert.rejects(open(), { code: "LAKE_DAMAGED", message: /lake\.json/ });
    }));
}
