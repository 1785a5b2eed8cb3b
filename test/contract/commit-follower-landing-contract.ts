import assert from "node:assert/strict";
import { quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import type { CommittedChunk } from "../../bridge/lake/follow/committed-rows.ts";
import {
  alarms,
  chunksOf,
  facts,
  filed,
  followerPromises,
  type OpenStore,
  placesOf,
  rowOf,
  seen,
  someRows,
  telemetry,
} from "../support/followed-rows.ts";
import { replaceFiles } from "../support/replace-files.ts";
import { deleteLanding, settleLanding } from "../support/settle-landing.ts";
import { column, forgetCommits, makeTopic, type TestRow } from "../support/test-lake.ts";

const newer = {
  ...telemetry,
  version: 2,
  columns: [
    column("Note", "string"),
    column("level", "string"),
    column("ratio", "long"),
    column("more", "timestamp"),
  ],
};
const limits = { rowsMax: 4, bytesMax: 2 ** 20 };
const most = 9_223_372_036_854_775_807n;

/** Rows of three topic versions of two topics, with values at the limits of their types. */
function hostileRows(commit: number): TestRow[] {
  const older = [
    [-most - 1n, -0, 'a\u0000b,"\\]', -1, true],
    [9_007_199_254_740_993n, 5e-324, "[1,2]\n{}", 1_700_000_000_000_123, false],
    [0, 1.7976931348623157e308, "null", -62_135_596_800_000_000n, null],
    [null, 12_345_678_901_234_567_000, "", null, true],
    [42, 7, "7", 0, null],
  ];
  const later = [
    ["a", "9223372036854775807", most, 1_700_000_000_000_123],
    [null, "\u0000", 9_007_199_254_740_993n, null],
    [null, null, null, null],
  ];
  const rows = [
    ...older.map((values) => ({ topic: telemetry, values })),
    ...later.map((values) => ({ topic: newer, values })),
    { topic: alarms, values: [] },
  ];
  return rows.map((row, index) => ({ ...row, row: rowOf(commit, index) }));
}

/** Chunks without what differs between commits of the same rows. */
function alike(chunks: readonly CommittedChunk[]) {
  return chunks.flatMap(({ rows }) => rows.map(({ position: _, ...row }) => row));
}

/**
 * The promises to followers of commits with a landing file, on any store.
 * @param openStore Opens the store of a folder as another process does.
 */
export function landingFollowerContract(name: string, openStore: OpenStore): void {
  const promise = followerPromises(`of landed rows ${name}`, openStore, [telemetry, newer, alarms]);

  promise("rows of a landing file are those of table files, in the same order", async (lake, open) => {
    await lake.commit(someRows(1), { publish: false });
    await lake.land(someRows(2));
    const [direct, landed] = [await chunksOf(open()), await chunksOf(open(), { commit: 2, row: 0 })];
    assert.deepEqual(seen(landed), filed(someRows(2)));
    assert.deepEqual(alike(landed), alike(direct.slice(0, 1)));
    assert.deepEqual(landed.at(-1)?.next, { commit: 3, row: 0 });
  });

  promise(
    "values of several versions and topics are exact, and those of a table file",
    async (lake, open) => {
      await lake.commit(hostileRows(1), { publish: false });
      await lake.land(hostileRows(2));
      const landed = await chunksOf(open(), { commit: 2, row: 0 });
      assert.deepEqual(alike(landed), alike((await chunksOf(open())).slice(0, 1)));
      const rows = landed.flatMap((chunk) => chunk.rows);
      const of = (index: number) => rows.find((row) => row.index === index) ?? assert.fail();
      const { columns, ...table } = of(0).table;
      assert.deepEqual(table, { key: "topic-1", name: "telemetry", version: 2 });
      assert.deepEqual(columns, [...newer.columns, column("seen", "timestamp"), column("on", "boolean")]);
      assert.deepEqual(of(0).values, ['a\u0000b,"\\]', String(-most - 1n), 0, null, -1, true]);
      assert.deepEqual(of(1).values[4], 1_700_000_000_000_123);
      assert.deepEqual(of(5).values, ["a", String(most), most, 1_700_000_000_000_123, null, null]);
      assert.deepEqual(of(8).table, { key: "topic-2", name: "alarms", version: 1, columns: [] });
    },
  );

  promise("longs, doubles, texts and times of one version are exact", async (lake, open) => {
    const rows = hostileRows(1).filter(({ topic }) => topic === telemetry);
    await lake.land(rows);
    const chunks = await chunksOf(open());
    assert.deepEqual(seen(chunks), filed(rows));
    assert.deepEqual(chunks[0]?.rows[0]?.table.columns, telemetry.columns);
  });

  promise("a commit may land quarantined rows only, of any topic", async (lake, open) => {
    const refused = [facts, { ...facts, topicId: "topic-2", topicVersion: 7, detail: "" }];
    const rows = refused.map((each, index) => ({ row: rowOf(1, index), facts: each }));
    await lake.land(rows);
    const chunks = await chunksOf(open());
    assert.deepEqual(seen(chunks), filed(rows));
    const table = { key: quarantineKey, name: quarantineKey, version: 0, columns: [] };
    assert.deepEqual(chunks[0]?.rows[0]?.table, table);
  });

  promise("landed rows and rows of table files come in one order", async (lake, open) => {
    const rows = someRows(1);
    const isDirect = ({ row }: TestRow) => row.index % 3 === 0;
    await lake.land(
      rows.filter((row) => !isDirect(row)),
      { direct: rows.filter(isDirect) },
    );
    assert.deepEqual(seen(await chunksOf(open())), filed(rows));
  });

  promise("a follower continues from each position within a landing file", async (lake, open) => {
    for (const commit of [1, 2]) {
      const rows = someRows(commit);
      await lake.land(rows.slice(4), { direct: rows.slice(0, 4) });
    }
    const all = await placesOf(open());
    assert.equal(all.length, 30);
    const rows = open({ limits });
    for (let row = 0; row < 15; row++) {
      assert.deepEqual(await placesOf(rows, { commit: 1, row }), all.slice(row));
      assert.deepEqual(await placesOf(rows, { commit: 2, row }), all.slice(15 + row));
    }
    for (const { from, rows: of } of await chunksOf(rows)) {
      assert.ok(of.length <= 4);
      const [first] = await chunksOf(rows, from);
      assert.deepEqual(first?.rows, of);
    }
  });

  promise("a commit with rows of many topics is read in the order of the stream", async (lake, open) => {
    const topics = Array.from({ length: 60 }, (_, number) =>
      makeTopic({ topicId: `many-${number}`, name: `many_${number}`, columns: [column("c", "long")] }),
    );
    for (const topic of topics)
      await lake.store.put(`_topics/${topic.topicId}/1.json`, Buffer.from(JSON.stringify(topic)));
    const rows = Array.from({ length: 600 }, (_, index) => ({
      topic: topics[(index * 7) % 60] ?? telemetry,
      row: rowOf(1, index),
      values: [index],
    }));
    await lake.land(rows);
    assert.deepEqual(seen(await chunksOf(open())), filed(rows));
  });

  promise("rows are read from the tables once the landing file is settled and gone", async (lake, open) => {
    await lake.commit(someRows(1));
    await lake.land(someRows(2));
    await lake.land(someRows(3).slice(2), { direct: someRows(3).slice(0, 2) });
    const before = await chunksOf(open({ limits }));
    assert.equal(alike(before).length, 45);
    for (const commit of [2, 3]) await settleLanding(lake, commit);
    assert.deepEqual(await chunksOf(open({ limits })), before);
    for (const commit of [2, 3]) await deleteLanding(lake, commit);
    const rows = open({ limits, store: await openStore(lake.folder) });
    const after = await chunksOf(rows);
    // A settled file has the columns of all versions of its topic.
    assert.deepEqual(await placesOf(rows), before.flatMap(placesIn));
    assert.deepEqual(after.map(bounds), before.map(bounds));
    assert.deepEqual(valuesByName(after), valuesByName(before));
    assert.deepEqual(await placesOf(rows, { commit: 3, row: 7 }), before.flatMap(placesIn).slice(37));
  });

  promise("a landing file that is gone opens no file of other stream times", async (lake, open) => {
    await lake.commit(someRows(1));
    const later = someRows(2).map((each) => ({
      ...each,
      row: { ...each.row, streamTimeMs: each.row.streamTimeMs + 60_000 },
    }));
    await lake.land(later);
    const before = await placesOf(open(), { commit: 2, row: 0 });
    await settleLanding(lake, 2);
    for (const path of await lake.filesOf(1))
      await lake.store.put(path.slice(lake.folder.length + 1), Buffer.from("no Parquet"));
    await deleteLanding(lake, 2);
    const store = await openStore(lake.folder);
    assert.deepEqual(await placesOf(open({ store }), { commit: 2, row: 0 }), before);
  });

  promise(
    "rows of replaced table files come once, whether their landed rows are settled",
    async (lake, open) => {
      await lake.land(someRows(1).slice(7), { direct: someRows(1).slice(0, 7) });
      await lake.publisher.publishPending();
      const before = await placesOf(open());
      assert.equal(before.length, 15);
      await replaceFiles(lake, telemetry);
      assert.deepEqual(await placesOf(open({ store: await openStore(lake.folder) })), before);
      await settleLanding(lake, 1);
      assert.deepEqual(await placesOf(open({ store: await openStore(lake.folder) })), before);
      await deleteLanding(lake, 1);
      assert.deepEqual(await placesOf(open({ store: await openStore(lake.folder) })), before);
    },
  );

  promise("landed rows that are nowhere are reported, with those that are left", async (lake, open) => {
    await lake.land(someRows(1).slice(1), { direct: someRows(1).slice(0, 1) });
    await settleLanding(lake, 1, [alarms.topicId, quarantineKey]);
    await deleteLanding(lake, 1);
    const gone = { commit: 1, table: "telemetry", committed: 9, found: 1 };
    const store = await openStore(lake.folder);
    await assert.rejects(chunksOf(open({ store })), {
      code: "FOLLOWER_ROWS_GONE",
      retryable: false,
      details: gone,
    });
  });

  promise("rows that were deleted after they were settled are reported", async (lake, open) => {
    await lake.land(someRows(1));
    await settleLanding(lake, 1);
    await replaceFiles(lake, telemetry, "_index <> 1");
    const whole = await placesOf(open({ store: await openStore(lake.folder) }));
    assert.equal(whole.length, 15, "the landing file has all rows");
    await deleteLanding(lake, 1);
    await assert.rejects(chunksOf(open({ store: await openStore(lake.folder) })), {
      code: "FOLLOWER_ROWS_GONE",
      details: { commit: 1, table: "telemetry", committed: 9, found: 8 },
    });
  });

  promise("a topic version that the lake does not define is an error that names it", async (lake, open) => {
    await lake.land([{ topic: { ...alarms, version: 9 }, row: rowOf(1, 0) }]);
    await assert.rejects(chunksOf(open()), {
      code: "LAKE_DAMAGED",
      message: /_topics\/topic-2\/9\.json/,
    });
  });

  promise(
    "a follower that is too far behind of landed rows gets the log's first entry",
    async (lake, open) => {
      await lake.land(someRows(1));
      await forgetCommits(lake);
      await assert.rejects(chunksOf(open()), { code: "FOLLOWER_TOO_FAR_BEHIND", retryable: false });
    },
  );
}

function placesIn({ commit, rows }: CommittedChunk): string[] {
  return rows.map(
    ({ partition, position, index, table }) =>
      `${commit}: ${table.name} ${partition}/${Number(position)}/${index}`,
  );
}

function bounds({ from, next, rows }: CommittedChunk) {
  return { from, next, rows: rows.length };
}

/** Rows with their values by the names of columns, without nulls. */
function valuesByName(chunks: readonly CommittedChunk[]) {
  return chunks.flatMap(({ rows }) =>
    rows.map(({ table, values, ...row }) => {
      const named = table.columns.map(({ name }, at) => [name.toLowerCase(), values[at] ?? null] as const);
      const present = named.filter(([, value]) => value !== null);
      return { ...row, key: table.key, values: Object.fromEntries(present) };
    }),
  );
}
