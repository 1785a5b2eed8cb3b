import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pino } from "pino";
import { BridgeError } from "../../../../../bridge/errors.ts";
import type { RetentionWorkOptions } from "../../../../../bridge/lake/retention/retention-work.ts";
import { ManualClock } from "../../../../support/manual-clock.ts";
import { committedHour, dayMs, hourMs, RetainedLake } from "../../../../support/retained-lake.ts";
import { withStore } from "../../../../support/with-store.ts";

/** The statistics of a file. */
const ingestedAt = (ms: number) =>
  `{"numRecords":1,"maxValues":{"ingest_time":"${new Date(ms).toISOString()}"}}`;

const signal = new AbortController().signal;

/** A lake at noon of the day after the committed file, with a file each 5 h before, and the work on it. */
async function retained(options: Partial<RetentionWorkOptions> = {}) {
  const lake = await RetainedLake.open();
  await lake.add(committedHour - 5, committedHour - 10, committedHour - 15);
  const clock = new ManualClock((committedHour + 26) * hourMs);
  const storeNow = { aheadMs: 0, reads: 0 };
  const store = withStore(lake.lake.store, {
    now: async () => {
      storeNow.reads++;
      return clock.now() + storeNow.aheadMs;
    },
  });
  const work = await lake.work(clock, { store, ...options });
  /** Runs once it is due. */
  const next = async () => {
    await clock.advance(Math.max(0, work.dueAtMs() - clock.elapsedMs()));
    await work.run(signal);
  };
  return { lake, clock, storeNow, work, next, store };
}

test("a topic's rows are removed once their hour ended that long ago, each hour, after a first look at the clocks", async () => {
  const { lake, clock, next } = await retained();
  await lake.retain(2, 40 * hourMs);
  const beganMs = clock.elapsedMs();
  await next();
  assert.deepEqual([await lake.hours(), clock.elapsedMs() - beganMs], [[-15, -10, -5, 0], 60_000]);
  await next();
  assert.deepEqual([await lake.hours(), clock.elapsedMs() - beganMs], [[-10, -5, 0], 11 * 60_000]);
  for (let hour = 0; hour < 4; hour++) await next();
  assert.deepEqual(await lake.hours(), [-10, -5, 0], "its hour ended 39 h ago");
  await next();
  assert.deepEqual([await lake.hours(), await lake.metric("entries_total")], [[-5, 0], 2]);
  assert.deepEqual([await lake.metric("files_total"), await lake.metric("rows_total")], [2, 6]);
});

test("the newest version counts, so a retention may be ended; without one, no clock is read", async () => {
  const { lake, storeNow, next } = await retained();
  await next();
  await next();
  assert.equal(storeNow.reads, 0);
  await lake.retain(2, dayMs);
  await lake.retain(3);
  for (let hour = 0; hour < 3; hour++) await next();
  assert.deepEqual([await lake.hours(), storeNow.reads], [[-15, -10, -5, 0], 0]);
});

test("the quarantine has a retention by the gateway's setting; late rows stay until their ingest is that long ago", async () => {
  const { lake, next, work } = await retained({ quarantineMs: dayMs });
  const removed = () =>
    lake.lake
      .entries("_quarantine")
      .flat()
      .flatMap(({ remove }) => /(\w+)\.parquet/.exec(remove?.path ?? "")?.[1] ?? []);
  await lake.lake.commit(["faulty"], "_quarantine", ingestedAt(committedHour * hourMs));
  await lake.lake.commit(["late"], "_quarantine", ingestedAt((committedHour + 4) * hourMs));
  await (await lake.lake.publisher()).publishPending();
  for (let hour = 0; hour < 4; hour++) await next();
  assert.deepEqual(await lake.hours(), [-15, -10, -5, 0]);
  assert.deepEqual([removed(), work.leftAlone()], [["faulty"], []]);
  await next();
  assert.deepEqual(removed(), ["faulty", "late"]);
});

test("quarantined files that do not say when they were ingested stay, and are told; others are removed", async () => {
  const { lake, next, work } = await retained({ quarantineMs: dayMs });
  await lake.lake.commit(["faulty"], "_quarantine", ingestedAt(committedHour * hourMs));
  await lake.lake.commit(["undated"], "_quarantine");
  await (await lake.lake.publisher()).publishPending();
  for (let hour = 0; hour < 3; hour++) await next();
  const text = JSON.stringify(lake.lake.entries("_quarantine"));
  assert.equal(text.match(/"remove"/g)?.length, 1);
  const [left] = work.leftAlone();
  assert.deepEqual([left?.table, left?.code], ["_quarantine", "ROWS_UNDATED"]);
  assert.match(left?.reason ?? "", /statistics of _quarantine\/.*undated\.parquet do not say/);
  assert.match(left?.wayOut ?? "", /unset tables\.quarantineRetentionMs and restart/);
});

describe("clocks", () => {
  test("if the store's clock is ahead by more than an hour, the work fails and nothing is removed; later it goes on", async () => {
    const { lake, storeNow, next } = await retained();
    await lake.retain(2, 40 * hourMs);
    await next();
    storeNow.aheadMs = 30 * dayMs;
    await assert.rejects(next(), { code: "CLOCKS_DIFFER", retryable: true });
    assert.deepEqual(await lake.hours(), [-15, -10, -5, 0]);
    storeNow.aheadMs = 0;
    await next();
    assert.deepEqual(await lake.hours(), [-10, -5, 0]);
  });

  test("if both jump for a moment, nothing more is removed", async () => {
    const { lake, clock, next } = await retained();
    await lake.retain(2, 40 * hourMs);
    await next();
    clock.step(30 * dayMs);
    await next();
    assert.deepEqual(await lake.hours(), [-10, -5, 0]);
  });

  test("a jump while tables are worked on changes nothing: the bound was taken before", async () => {
    const { lake, clock, store } = await retained();
    await lake.retain(2, 40 * hourMs);
    const jumping = withStore(store, {
      get: (path) => {
        if (path.startsWith("telemetry/")) clock.step(30 * dayMs);
        return store.get(path);
      },
    });
    const work = await lake.work(clock, { store: jumping });
    await clock.advance(60_000);
    await work.run(signal);
    await clock.advance(600_000);
    await work.run(signal);
    assert.deepEqual(await lake.hours(), [-10, -5, 0]);
  });
});

test("a table with more files than one piece of work takes is due again at once", async () => {
  const { lake, clock, work, next } = await retained({ filesMax: 1, removesMax: 1 });
  await lake.retain(2, 30 * hourMs);
  await next();
  await next();
  assert.deepEqual([await lake.hours(), work.dueAtMs() - clock.elapsedMs()], [[-10, -5, 0], 1_000]);
  await next();
  await next();
  assert.deepEqual([await lake.hours(), work.dueAtMs() - clock.elapsedMs() > 3_000_000], [[0], true]);
});

describe("a table from which rows may not be removed", () => {
  test("is told with its way out, once in the log, and is worked on once it allows it or has no retention", async () => {
    const lines: { event: string; wayOut?: string }[] = [];
    const logger = pino({ level: "info" }, { write: (line: string) => lines.push(JSON.parse(line)) });
    const { lake, work, next } = await retained({ logger });
    await lake.retain(2, dayMs);
    const set = (value: string) =>
      lake.lake.foreign({
        metaData: { ...lake.lake.metaData(), configuration: { "delta.appendOnly": value } },
      });
    await set("true");
    for (let hour = 0; hour < 4; hour++) await next();
    const [left] = work.leftAlone();
    assert.deepEqual([left?.table, left?.code], ["telemetry", "TABLE_APPEND_ONLY"]);
    assert.match(
      left?.wayOut ?? "",
      /set_table_properties\(\{"delta.appendOnly": "false"\}\).*: tidegate topics update telemetry --retain forever$/,
    );
    assert.deepEqual([await lake.hours(), await lake.metric("tables_left_alone")], [[-15, -10, -5, 0], 1]);
    assert.equal(lines.filter(({ event }) => event === "retention.table.left").length, 1);
    await set("false");
    await next();
    assert.deepEqual([await lake.hours(), work.leftAlone()], [[], []]);
    assert.equal(await lake.metric("tables_left_alone"), 0);

    await set("true");
    await lake.add(committedHour - 20);
    await next();
    assert.equal(work.leftAlone().length, 1);
    await lake.retain(3);
    await next();
    assert.deepEqual(work.leftAlone(), []);
  });

  test("stops no other table, and neither does a store that fails at one", async () => {
    const { lake, clock, next, work, store } = await retained({ quarantineMs: dayMs });
    await lake.lake.commit(["faulty"], "_quarantine", ingestedAt(committedHour * hourMs));
    await (await lake.lake.publisher()).publishPending();
    await lake.retain(2, dayMs);
    await lake.lake.foreign({ protocol: { minReaderVersion: 1, minWriterVersion: 9 } });
    await next();
    await next();
    assert.equal(work.leftAlone()[0]?.code, "TABLE_CONFLICT");
    const removes = () => JSON.stringify(lake.lake.entries("_quarantine")).match(/"remove"/g)?.length ?? 0;
    assert.equal(removes(), 1);

    const failing = withStore(store, {
      get: async (path) => {
        if (path.startsWith("telemetry/"))
          throw new BridgeError("STORE_UNAVAILABLE", "no answer", { retryable: true });
        return store.get(path);
      },
    });
    await lake.lake.commit(["again"], "_quarantine", ingestedAt(committedHour * hourMs));
    await (await lake.lake.publisher()).publishPending();
    const other = await lake.work(clock, { store: failing, quarantineMs: dayMs });
    await clock.advance(60_000);
    await other.run(signal);
    await clock.advance(600_000);
    await assert.rejects(other.run(signal), { code: "STORE_UNAVAILABLE" });
    assert.equal(removes(), 2);
  });
});
