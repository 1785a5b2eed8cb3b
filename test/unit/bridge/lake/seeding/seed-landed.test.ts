import assert from "node:assert/strict";
import { readdirSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { landedLanes } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { createSeedSource } from "../../../../../bridge/lake/seeding/lake-seed-source.ts";
import { contentHash } from "../../../../../bridge/tail/content-hash.ts";
import { expected, quarantined, seed } from "../../../../support/seeded-rows.ts";
import { settleLanded } from "../../../../support/settle-landing.ts";
import {
  makeRow,
  makeTopic,
  openTestLake,
  type TestLake,
  type TestRow,
} from "../../../../support/test-lake.ts";

const otherTopic = makeTopic({ topicId: "topic-2", name: "other" });
let lake: TestLake;

beforeEach(async () => {
  lake = await openTestLake([makeTopic(), otherTopic]);
});
afterEach(() => lake.close());

/** Rows of two topics and of quarantine, in all lanes and partitions. */
function mixed(start: number): TestRow[] {
  const late = makeRow(start + 12);
  return [
    ...Array.from({ length: 6 }, (_, index): TestRow => ({ row: makeRow(start + index) })),
    { row: { ...late, ingestTimeMs: late.ingestTimeMs + 7_200_000 } },
    { topic: otherTopic, row: makeRow(start + 14) },
    { topic: otherTopic, row: makeRow(start + 360_000) },
    quarantined(start + 16, "schema-violated"),
    quarantined(start + 18, "id-reused", "topic-2"),
    { row: makeRow(start + 20, { messageId: null }) },
  ];
}

async function settleAll(): Promise<void> {
  const { number } = await lake.commitLog.load();
  for (const name of ["telemetry", "other", "_quarantine"])
    for (const lane of landedLanes) await settleLanded(lake, name, { lane, upTo: number });
}

function removeLandingFiles(): void {
  for (const file of readdirSync(join(lake.folder, "_landing"))) rmSync(join(lake.folder, "_landing", file));
}

function damageLandingFile(): void {
  const [file = assert.fail()] = readdirSync(join(lake.folder, "_landing"));
  truncateSync(join(lake.folder, "_landing", file), 100);
}

test("rows of landing files come back with those of table files of the same and of other commits", async () => {
  const [first, second, third] = [mixed(0), mixed(100), mixed(200)];
  const direct: TestRow[] = [{ row: makeRow(50) }, quarantined(52, "schema-violated")];
  await lake.land(first, { direct });
  await lake.commit(second);
  await lake.land(third);
  const all = [...first, ...direct, ...second, ...third];
  assert.deepEqual(await seed(lake), expected(all));
  assert.deepEqual(await seed(lake, { partition: 1 }), expected(all, 1));
  assert.deepEqual(await seed(lake, { upToCommit: 1 }), expected([...first, ...direct]));
});

test("a landing file without rows since the time is not opened", async () => {
  const recent = mixed(1_000_000);
  const direct: TestRow[] = [{ row: makeRow(1_000_040) }];
  await lake.land(mixed(0), { direct });
  damageLandingFile();
  await lake.land(recent);
  const sinceMs = makeRow(1_000_000).streamTimeMs;
  assert.deepEqual(await seed(lake, { sinceMs }), expected([...recent, ...direct]));
});

test("if a landing file is gone because its rows are settled, they come from the tables", async () => {
  const [first, second] = [mixed(0), mixed(100)];
  await lake.land(first);
  await settleAll();
  removeLandingFiles();
  await lake.land(second);
  assert.deepEqual(await seed(lake), expected([...first, ...second]));
});

test("settled rows whose landing file is still there come at least once", async () => {
  const rows = mixed(0);
  await lake.land(rows);
  await settleAll();
  assert.deepEqual(await seed(lake), expected(rows));
});

test("of whole topics, old landed rows with ids of the SDK's length come back as well", async () => {
  const id = (number: number) => ({ messageId: Buffer.from(String(number).padStart(16, "0")) });
  const old: TestRow[] = [
    { row: makeRow(2, id(2)) },
    { ...quarantined(4, "schema-violated"), row: makeRow(4, id(4)) },
  ];
  const unwanted: TestRow[] = [{ row: makeRow(6) }, { topic: otherTopic, row: makeRow(8, id(8)) }];
  await lake.land([...old, ...unwanted]);
  const recent: TestRow[] = [{ row: makeRow(9_000) }];
  await lake.land(recent);
  const sinceMs = makeRow(9_000).streamTimeMs;
  assert.deepEqual(await seed(lake, { sinceMs }), expected(recent));
  assert.deepEqual(
    await seed(lake, { sinceMs, wholeTopics: new Set(["topic-1"]) }),
    expected([...old, ...recent]),
  );
});

test("ids are searched in landing files until their lane is settled", async () => {
  const bad = quarantined(4, "exact-unsure");
  await lake.land([{ row: makeRow(2) }, bad, { topic: otherTopic, row: makeRow(6) }]);
  const find = async (isAllowed = true) => {
    const bytes: number[] = [];
    const numbers = [2, 4, 6];
    const found = await createSeedSource(lake).filed({
      topicId: "topic-1",
      eventTimesMs: numbers.map((number) => makeRow(number).eventTimeMs),
      messageIds: numbers.map((number) => makeRow(number).messageId ?? assert.fail()),
      deviceIds: numbers.map((number) => makeRow(number).deviceId),
      mayRead: (asked) => {
        bytes.push(asked);
        return isAllowed;
      },
    });
    const rows = found?.flatMap(({ contentHashes, idReused, isQuarantined }) =>
      [...contentHashes].map((hash, row) => [hash, isQuarantined, idReused[row]]),
    );
    return { rows: rows?.sort(), bytes };
  };
  const wanted = [
    [contentHash(makeRow(2)), false, false],
    [contentHash(bad.row), true, true],
  ].sort();
  const landed = await find();
  assert.deepEqual(landed.rows, wanted);
  assert.ok((landed.bytes[0] ?? 0) > 0);
  assert.equal((await find(false)).rows, undefined);
  await settleAll();
  removeLandingFiles();
  assert.deepEqual((await find()).rows, wanted);
});

test("a damaged landing file is read three times, and is then left out", async () => {
  const lost = mixed(0);
  await lake.land(lost);
  damageLandingFile();
  const rows = mixed(100);
  await lake.land(rows);
  const seeds = createSeedSource(lake);
  const ids = async () => {
    let found = 0;
    const parts = [{ streamId: "stream-1", partition: 0, sinceMs: 0 }];
    for await (const { length } of seeds.rows({ parts, upToCommit: 9 })) found += length;
    return found;
  };
  await assert.rejects(ids(), { code: "PARQUET_FAILED" });
  await assert.rejects(ids(), { code: "PARQUET_FAILED" });
  assert.equal(await ids(), expected(rows).length);
});
