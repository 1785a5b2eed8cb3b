import assert from "node:assert/strict";
import { test } from "node:test";
import type { AddAction } from "../../../../../bridge/lake/delta/delta-actions.ts";
import { expiredFiles, partitionHour } from "../../../../../bridge/lake/retention/expired-files.ts";
import { retentionTerms } from "../../../../../bridge/lake/retention/retention-terms.ts";
import type { TopicVersion } from "../../../../../bridge/topics/topic-catalog.ts";
import { addOf, committedHour, dayMs, hourMs } from "../../../../support/retained-lake.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

test("the hour of a partition is that of its values, and null for values that are no hour", () => {
  for (const hour of [0, -1, committedHour, committedHour + 13])
    assert.equal(partitionHour(addOf("a", hour).partitionValues), hour);
  const of = (event_date: string | null, event_hour: string | null) =>
    partitionHour({ event_date, event_hour });
  assert.equal(of("2026-11-22", "10"), committedHour);
  for (const [date, hour] of [
    [null, "1"],
    ["2026-11-22", null],
    ["", "1"],
    ["2026-11-22", ""],
    ["2026-11-22", "24"],
    ["2026-11-22", "-1"],
    ["2026-11-22", "1.5"],
    ["2026-13-01", "1"],
    ["22-11-2026", "1"],
    ["+012026-11-22", "1"],
  ] as const)
    assert.equal(of(date, hour), null, `${date} ${hour}`);
  assert.equal(partitionHour({}), null);
});

test("of many files, a bounded number is kept, in two visits, those of the oldest hours first", async () => {
  let visits = 0;
  const until: unknown[] = [];
  const table = {
    eachLive: async (visit: (add: AddAction) => void, untilDate?: string) => {
      visits++;
      until.push(untilDate);
      // Newest first; each file is visited twice.
      for (let number = 49_999; number >= 0; number--)
        for (const _ of [1, 2]) visit(addOf(`f${number}`, committedHour - 1_000 + Math.floor(number / 50)));
    },
  };
  const { files, hasMore } = await expiredFiles(table, { belowHour: committedHour - 500 }, 125);
  assert.deepEqual([visits, hasMore, until], [2, true, ["2026-11-01", "2026-10-11"]]);
  assert.deepEqual(
    [files.length, files[0]?.hour, files.at(-1)?.hour],
    [50, committedHour - 1_000, committedHour - 1_000],
    "files that are visited twice count twice for the bound",
  );
  const none = await expiredFiles(table, { belowHour: committedHour - 1_000 }, 10);
  assert.deepEqual([visits, none], [3, { files: [], hasMore: false, undated: null }]);
});

test("where the ingest time counts, the newest one of a file must be below the bound, too; files that do not say it stay and are told", async () => {
  const of = (name: string, hour: number, stats: string | null) =>
    addOf(name, committedHour + hour, { stats });
  const ingested = (hour: number) =>
    JSON.stringify({
      numRecords: 3,
      maxValues: { ingest_time: new Date((committedHour + hour) * hourMs).toISOString() },
    });
  const adds = [of("old", -50, ingested(-1)), of("late", -50, ingested(0)), of("early", 1, ingested(-1))];
  const found = async (...more: readonly AddAction[]) => {
    const eachLive = async (visit: (add: AddAction) => void) => [...adds, ...more].forEach(visit);
    const bound = { belowHour: committedHour, ingestBelowHour: committedHour };
    const { files, undated } = await expiredFiles({ eachLive }, bound, 10);
    return [files.map(({ path }) => /(\w+)\.parquet/.exec(path)?.[1]), undated];
  };
  assert.deepEqual(await found(), [["old"], null]);
  for (const stats of [
    null,
    "",
    'no JSON: "ingest_time"',
    '{"numRecords":3}',
    '{"nullCount":{"ingest_time":0}}',
  ]) {
    const undated = of("undated", -50, stats);
    assert.deepEqual(await found(undated), [["old"], undated.path], `${stats}`);
    assert.deepEqual(await found(of("young", 0, stats)), [["old"], null], "its hour alone keeps it");
  }
});

test("the newest version of a topic has the retention of its table; the longest of several topics counts, live ones first", () => {
  const version = (topicId: string, number: number, retentionMs?: number, more: Partial<TopicVersion> = {}) =>
    topicVersion({
      topicId,
      name: topicId.slice(0, 1),
      version: number,
      ...(retentionMs && { retentionMs }),
      ...more,
    });
  const terms = retentionTerms(
    [
      version("a1", 3, 3 * dayMs),
      version("a1", 1),
      version("a1", 10, 10 * dayMs),
      version("a1", 2, 2 * dayMs),
      version("b1", 1, dayMs),
      version("b1", 2),
      version("c1", 2, dayMs, { deleted: true }),
      version("d1", 1, dayMs, { deleted: true }),
      version("d2", 1, 9 * dayMs),
      version("d3", 1, 2 * dayMs),
      version("e1", 1, undefined, { deleted: true }),
      version("e2", 1, dayMs),
      version("f1", 1),
      version("f2", 1, dayMs),
    ],
    undefined,
  );
  const found = { a: 10 * dayMs, c: dayMs, d: 9 * dayMs, e: dayMs };
  assert.deepEqual(Object.fromEntries(terms), found);
  assert.deepEqual([...retentionTerms([], 2 * dayMs)], [["_quarantine", 2 * dayMs]]);
});
