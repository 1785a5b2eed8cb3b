import assert from "node:assert/strict";
import { openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { encodeJson, entryPath } from "../../bridge/lake/commit-log/lake-format.ts";
import { createCommittedEntries } from "../../bridge/lake/commit-log/log-entries.ts";
import { createCommittedRows } from "../../bridge/lake/follow/followed-rows.ts";
import {
  beginning,
  chunksOf,
  filed,
  followerPromises,
  type OpenStore,
  placesOf,
  seen,
  someRows,
  telemetry,
} from "../support/followed-rows.ts";
import { replaceFiles } from "../support/replace-files.ts";
import { forgetCommits } from "../support/test-lake.ts";

/**
 * The promises to followers of the commit log, on any store.
 * @param openStore Opens the store of a folder as another process does.
 */
export function commitFollowerContract(name: string, openStore: OpenStore): void {
  const promise = followerPromises(name, openStore);

  promise(
    "rows of all tables come once, as they were filed, in the order of the stream",
    async (lake, open) => {
      const rows = someRows(1);
      await lake.commit(rows);
      const chunks = await chunksOf(open());
      assert.deepEqual(seen(chunks), filed(rows));
      const { table } = chunks[0]?.rows.find((row) => row.table.key === telemetry.topicId) ?? assert.fail();
      assert.deepEqual(table, { key: "topic-1", name: "telemetry", version: 1, columns: telemetry.columns });
    },
  );

  promise("a follower continues from each position that it has stored", async (lake, open) => {
    for (const commit of [1, 2]) await lake.commit(someRows(commit));
    const rows = open({ limits: { rowsMax: 4, bytesMax: 2 ** 20 } });
    const all = await placesOf(rows);
    assert.equal(all.length, 30);
    let done = 0;
    for (const { rows: of, from, next } of await chunksOf(rows)) {
      assert.ok(of.length <= 4);
      assert.deepEqual(await placesOf(rows, from), all.slice(done));
      done += of.length;
      assert.deepEqual(await placesOf(rows, next), all.slice(done));
    }
    assert.deepEqual(await placesOf(rows, { commit: 2, row: 7 }), all.slice(22));
    assert.deepEqual(await placesOf(rows, await rows.latest()), []);
  });

  promise(
    "chunks are bounded by bytes, and a follower that stops leaves no file open",
    async (lake, open) => {
      await lake.commit(someRows(1));
      const rows = open({ limits: { rowsMax: 1000, bytesMax: 1 } });
      for await (const chunk of rows.read(beginning)) {
        assert.equal(chunk.rows.length, 1);
        assert.deepEqual(chunk.next, { commit: 1, row: 1 });
        break;
      }
      assert.equal((await chunksOf(rows)).length, 15);
    },
  );

  promise("a commit without rows advances the position", async (lake, open) => {
    await lake.append({}, 1);
    await lake.commit(someRows(2));
    const chunks = await chunksOf(open());
    assert.deepEqual(
      chunks.map(({ rows, next }) => [rows.length, next]),
      [
        [0, { commit: 2, row: 0 }],
        [15, { commit: 3, row: 0 }],
      ],
    );
  });

  promise("a follower gets the rows of a table that is not published yet", async (lake, open) => {
    await lake.commit(someRows(1), { publish: false });
    assert.equal((await placesOf(open())).length, 15);
  });

  promise("a follower learns of a commit of this process at once", async (lake, open) => {
    const end = new AbortController();
    const follower = open({ pollMs: 3_600_000 }).follow(beginning, end.signal)[Symbol.asyncIterator]();
    const first = follower.next();
    await lake.commit(someRows(1));
    assert.equal((await first).value?.rows.length, 15);
    const second = follower.next();
    end.abort();
    assert.equal((await second).done, true);
  });

  promise("a follower polls for commits of other processes, and gets them in order", async (lake, open) => {
    const another = await openCommitLog(lake.store, { create: false });
    const end = new AbortController();
    const theirs = createCommittedRows({ store: lake.store, commitLog: another, pollMs: 5 });
    const seenHere: number[] = [];
    const following = (async () => {
      for await (const { commit } of theirs.follow(beginning, end.signal))
        if (seenHere.push(commit) === 6) return;
    })();
    for (let commit = 1; commit <= 6; commit++) {
      if (commit % 2 === 0) await lake.append({}, commit);
      else {
        const { number } = await another.load();
        const entry = {
          format: 4,
          number: number + 1,
          commitId: `other-${commit}`,
          committedAtMs: 1,
        } as const;
        assert.deepEqual(await another.append({ ...entry, moves: {}, tables: {} }), { outcome: "committed" });
      }
    }
    await following;
    assert.deepEqual(seenHere, [1, 2, 3, 4, 5, 6]);
    assert.equal((await chunksOf(open())).length, 6);
  });

  promise("entries of all formats that this version reads can be followed", async (lake, open) => {
    await lake.commit(someRows(1));
    const { tables, moves } = (await lake.commitLog.entry(1)) ?? assert.fail();
    for (const [number, format] of [
      [2, 1],
      [3, 3],
    ] as const) {
      // As 0.1.0 wrote it: without links, and without the stream time of files.
      const old = Object.entries(tables).map(([key, { name, version, adds }]) => [
        key,
        { name, version, adds: adds.map(({ minStreamMs: _, maxStreamMs: __, ...add }) => add) },
      ]);
      const entry = { format, number, commitId: `old-${number}`, committedAtMs: 5, moves };
      await lake.store.putIfAbsent(
        entryPath(number),
        encodeJson({ ...entry, tables: Object.fromEntries(old) }),
      );
    }
    const chunks = await chunksOf(open());
    assert.deepEqual(
      chunks.map(({ commit, rows }) => [commit, rows.length]),
      [1, 2, 3].map((commit) => [commit, 15]),
    );
  });

  promise(
    "a follower that is too far behind gets an error with the log's first entry",
    async (lake, open) => {
      await lake.commit(someRows(1));
      await lake.commit(someRows(2));
      const rows = open();
      const kept = (await chunksOf(rows))[0]?.next ?? assert.fail();
      await forgetCommits(lake);
      const earliest = await rows.earliest();
      assert.ok(earliest.commit > 2);
      for (const from of [beginning, kept])
        await assert.rejects(chunksOf(rows, from), {
          code: "FOLLOWER_TOO_FAR_BEHIND",
          retryable: false,
          details: { commit: from.commit, earliest: earliest.commit },
        });
      assert.deepEqual(await placesOf(rows, earliest), []);
    },
  );

  promise("an entry of a late writer in the pruned part of the log does not count", async (lake) => {
    await lake.commit(someRows(1));
    await lake.commit(someRows(2));
    const { store, commitLog } = lake;
    const old = await commitLog.load();
    await forgetCommits(lake);
    const fake = (await commitLog.entry((await commitLog.load()).firstKept)) ?? assert.fail();
    // The log is pruned between two calls of a follower that has asked for its end.
    const asleep = {
      load: async () => old,
      reload: async () => old,
      entry: async (number: number) => ({ ...fake, number }),
      onCommit: () => () => {},
    };
    const entries = createCommittedEntries({ store, commitLog: asleep });
    await assert.rejects(entries.after(0), { code: "FOLLOWER_TOO_FAR_BEHIND" });
    await assert.rejects(entries.after(1), { code: "FOLLOWER_TOO_FAR_BEHIND" });
  });

  promise("a follower of another copy of the lake is refused", async (lake, open) => {
    await lake.commit(someRows(1));
    await assert.rejects(chunksOf(open(), { commit: 9, row: 0 }), {
      code: "FOLLOWER_AHEAD",
      details: { commit: 8, newest: 1 },
    });
  });

  promise("rows keep their places if another writer replaced and deleted their files", async (lake, open) => {
    for (const commit of [1, 2, 3]) await lake.commit(someRows(commit), { publish: commit < 3 });
    const limits = { rowsMax: 4, bytesMax: 2 ** 20 };
    const before = await chunksOf(open({ limits }));
    const rows = open({ limits, store: await openStore(lake.folder) });
    await replaceFiles(lake, telemetry);
    assert.deepEqual(await chunksOf(rows), before);
    assert.deepEqual(seen(await chunksOf(rows, { commit: 2, row: 5 })), seen(before).slice(20));
  });

  promise("rows that another writer deleted are reported, not left out silently", async (lake, open) => {
    for (const commit of [1, 2]) await lake.commit(someRows(commit));
    await replaceFiles(lake, telemetry, "_index <> 1");
    const store = await openStore(lake.folder);
    await assert.rejects(chunksOf(open({ store })), {
      code: "FOLLOWER_ROWS_GONE",
      details: { commit: 1, table: "telemetry", committed: 9, found: 8 },
    });
  });
}
