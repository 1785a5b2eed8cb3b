import assert from "node:assert/strict";
import { test } from "node:test";
import type { LakeCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { LakeCommitLog as CommitLogOver } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import type { Maintenance } from "../../bridge/lake/commit-log/prune-commits.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { partitionKey } from "../../bridge/streams/partition-key.ts";
import {
  type CommitLogUnderTest,
  fill,
  makeEntry,
  makeMove,
  plain,
  withCommitLog,
} from "./commit-log-contract.ts";

/** A tenth of the default, because entries in S3 take time; the log behaves in the same way. */
const entriesPerSnapshot = 10;
/** Every entry is older than this. */
const retainNothing = -1;

function entryPath(number: number): string {
  return `_commits/${String(number).padStart(20, "0")}.json`;
}

/** Runs maintenance until no more entries are deleted. Resolves with the number of deleted entries. */
async function prune(log: LakeCommitLog, maintenance: Omit<Maintenance, "settled">): Promise<number> {
  let total = 0;
  for (;;) {
    const { pruned } = await log.maintain({ settled: new Map(), ...maintenance });
    total += pruned;
    if (pruned === 0) return total;
  }
}

async function paths(store: ObjectStore, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { path } of store.list(prefix)) found.push(path);
  return found;
}

/** The store, with some of its calls replaced. */
function withCalls(store: ObjectStore, calls: Partial<ObjectStore>): ObjectStore {
  const properties = Object.entries(calls).map(([name, value]) => [name, { value }]);
  const bound = ["get", "put", "putIfAbsent", "list", "delete", "now"].map((name) => {
    const call = store[name as "get"] as (...args: unknown[]) => unknown;
    return [name, { value: call.bind(store) }];
  });
  return Object.create(store, Object.fromEntries([...bound, ...properties])) as ObjectStore;
}

/** Pruning while other processes read, write and prune the log, with clocks that differ. */
export function commitLogPruningContract(name: string, openStore: () => Promise<CommitLogUnderTest>): void {
  const withLog = (work: Parameters<typeof withCommitLog>[1]) =>
    withCommitLog(openStore, work, { entriesPerSnapshot });

  test(`${name}: after every ten entries a snapshot holds the state, and old published entries are deleted`, () =>
    withLog(async (log, open, store) => {
      const key = partitionKey("s", 0);
      await log.append(makeEntry(1, { moves: { [key]: makeMove("", "5") } }));
      await fill(log, 8);
      assert.equal(await prune(log, { publishedUpTo: 9, retainMs: retainNothing }), 0);
      assert.deepEqual(await paths(store, "_commits/snapshots/"), []);
      await fill(log, 11);
      assert.equal(await prune(log, { publishedUpTo: 5, retainMs: retainNothing }), 5);
      assert.equal(await store.get(entryPath(5)), null);
      assert.notEqual(await store.get(entryPath(6)), null);
      await fill(log, 10);
      assert.equal(await prune(log, { publishedUpTo: 31, retainMs: 3_600_000 }), 0);
      await fill(log, 10);
      assert.equal(await prune(log, { publishedUpTo: 41, retainMs: retainNothing }), 26);
      const reader = await open();
      assert.deepEqual(plain(await reader.load()), plain(await log.load()));
      assert.equal((await reader.load()).moves.get(key)?.to, "5");
      assert.equal((await reader.load()).firstKept, 32);
      assert.equal(await reader.entry(31), null);
      assert.notEqual(await reader.entry(32), null);
      assert.equal((await paths(store, "_commits/snapshots/")).length, 2);
    }));

  test(`${name}: a writer that slept while the log was pruned commits nothing, whatever time its clock shows`, () =>
    withLog(async (log, open) => {
      await fill(log, 5);
      const sleeper = await open();
      await sleeper.load();
      await fill(log, 30);
      assert.equal(await prune(log, { publishedUpTo: 35, retainMs: retainNothing }), 25);
      const late = makeEntry(6);
      assert.deepEqual(await sleeper.append(late), { outcome: "taken" });
      assert.equal((await sleeper.load()).number, 36);
      assert.equal(
        await sleeper.entry(6),
        null,
        "the late entry is not part of the log: no reader takes the entry for committed",
      );
      assert.equal((await (await open()).load()).number, 36);
    }));

  test(`${name}: a reader that slept does not take a late writer's entry for an entry of the log`, () =>
    withLog(async (log, open) => {
      await fill(log, 5);
      const [writer, reader] = [await open(), await open()];
      await Promise.all([writer.load(), reader.load()]);
      await fill(log, 30);
      await prune(log, { publishedUpTo: 35, retainMs: retainNothing });
      assert.deepEqual(await writer.append(makeEntry(6)), { outcome: "taken" });
      assert.equal((await reader.load()).number, 36);
      assert.deepEqual(await reader.append(makeEntry(7)), { outcome: "taken" });
    }));

  test(`${name}: the first entry of a lake, written late, does not count`, () =>
    withLog(async (log, open) => {
      const sleeper = await open();
      await sleeper.load();
      await fill(log, 30);
      await prune(log, { publishedUpTo: 30, retainMs: retainNothing });
      assert.deepEqual(await sleeper.append(makeEntry(1)), { outcome: "taken" });
      assert.equal((await sleeper.load()).number, 31);
    }));

  test(`${name}: a reader that sleeps within the clock's bounds detects that the log was pruned past it`, () =>
    withLog(async (log, open) => {
      let nowMs = Date.now();
      await fill(log, 5);
      const sleeper = await open({ now: () => nowMs });
      await sleeper.load();
      await fill(log, 30);
      await prune(log, { publishedUpTo: 35, retainMs: retainNothing });
      nowMs += 2 * 3_600_000;
      assert.equal((await sleeper.load()).number, 36);
      const other = await open();
      await other.load();
      assert.equal((await other.reload()).number, 36);
    }));

  test(`${name}: a process whose clock is a year ahead deletes no young entry`, () =>
    withLog(async (log, open) => {
      const ahead = await open({ now: () => Date.now() + 365 * 86_400_000 });
      await fill(log, 25, 1);
      assert.equal(await prune(ahead, { publishedUpTo: 25, retainMs: 7 * 86_400_000 }), 0);
    }));

  test(`${name}: if several processes prune at the same time, everything that the newest snapshot keeps stays`, () =>
    withLog(async (log, open, store) => {
      await fill(log, 30);
      const careful = await open();
      await careful.load();
      let isFirst = true;
      const raced = withCalls(store, {
        putIfAbsent: async (path, bytes) => {
          if (path.startsWith("_commits/snapshots/") && isFirst) {
            isFirst = false;
            await prune(careful, { publishedUpTo: 5, retainMs: retainNothing });
          }
          return store.putIfAbsent(path, bytes);
        },
      });
      const eager = new CommitLogOver(raced, log.lakeId, { create: false, entriesPerSnapshot });
      await prune(eager, { publishedUpTo: 30, retainMs: retainNothing });
      const newest = (await paths(store, "_commits/snapshots/")).at(-1) ?? assert.fail();
      const { firstKept } = JSON.parse(Buffer.from((await store.get(newest)) ?? []).toString()) as {
        firstKept: number;
      };
      const { number } = await (await open()).load();
      for (let kept = firstKept; kept <= number; kept++)
        assert.notEqual(await store.get(entryPath(kept)), null, `entry ${kept}`);
    }));

  test(`${name}: entries are deleted lowest first, and entries that a killed process left are deleted after the next snapshot`, () =>
    withLog(async (log, open, store) => {
      await fill(log, 25);
      const deleted: string[] = [];
      const dying = withCalls(store, {
        delete: async (path) => {
          if (deleted.length === 5) throw new Error("killed");
          deleted.push(path);
          await store.delete(path);
        },
      });
      const killed = new CommitLogOver(dying, log.lakeId, { create: false, entriesPerSnapshot });
      await assert.rejects(prune(killed, { publishedUpTo: 25, retainMs: retainNothing }), /killed/);
      assert.deepEqual(
        deleted,
        Array.from({ length: 5 }, (_, index) => entryPath(index + 1)),
      );
      await fill(log, 10);
      await prune(await open(), { publishedUpTo: 25, retainMs: retainNothing });
      assert.deepEqual((await paths(store, "_commits/0"))[0], entryPath(26));
    }));

  test(`${name}: a process that begins to read while the log is pruned starts again from the newer snapshot`, () =>
    withLog(async (log, open, store) => {
      await fill(log, 25);
      await prune(log, { publishedUpTo: 10, retainMs: retainNothing });
      let isFirst = true;
      const slow = withCalls(store, {
        get: async (path) => {
          if (path === entryPath(27) && isFirst) {
            isFirst = false;
            await fill(log, 35);
            await prune(log, { publishedUpTo: 61, retainMs: retainNothing });
          }
          return store.get(path);
        },
      });
      const reader = new CommitLogOver(slow, log.lakeId, { create: false, entriesPerSnapshot });
      assert.equal((await reader.load()).number, 62);
      assert.equal((await (await open()).load()).number, 62);
    }));
}
