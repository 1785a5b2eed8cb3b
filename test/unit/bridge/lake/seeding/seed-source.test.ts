import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test } from "node:test";
import type { SeedPart } from "../../../../../bridge/lake/seed-source.ts";
import { createSeedSource } from "../../../../../bridge/lake/seeding/lake-seed-source.ts";
import { contentHash } from "../../../../../bridge/tail/content-hash.ts";
import { expected, quarantined, seed } from "../../../../support/seeded-rows.ts";
import {
  forgetCommits,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
  type TestRow,
} from "../../../../support/test-lake.ts";

const otherTopic = makeTopic({ topicId: "topic-2", name: "other" });

async function withLake(work: (lake: TestLake) => Promise<void>): Promise<void> {
  const lake = await openTestLake([makeTopic(), otherTopic]);
  try {
    await work(lake);
  } finally {
    await lake.close();
  }
}

/** [index of the part, number of the row] of every row, sorted. */
async function numbersOf(lake: TestLake, parts: readonly SeedPart[]): Promise<number[][]> {
  const found: number[][] = [];
  for await (const rows of createSeedSource(lake).rows({ parts, upToCommit: 1e9 }))
    for (let row = 0; row < rows.length; row++)
      found.push([
        rows.parts[row] as number,
        ((rows.streamTimesMs[row] ?? 0) - makeRow(0).streamTimeMs) / 10,
      ]);
  return found.sort(
    ([part = 0, number = 0], [otherPart = 0, other = 0]) => part - otherPart || number - other,
  );
}

test("all rows with an id come back, from topics and quarantine, published or not, for each partition", () =>
  withLake(async (lake) => {
    const one: TestRow[] = Array.from({ length: 5000 }, (_, number) => ({ row: makeRow(number) }));
    const two: TestRow[] = [
      { topic: otherTopic, row: makeRow(6000) },
      quarantined(6002, "id-reused"),
      quarantined(6004, "schema", "topic-2"),
      quarantined(6006, "id-reused", "topic-2"),
      { row: makeRow(6008, { messageId: null }) },
      { row: makeRow(6010, { streamId: "another" }) },
    ];
    await lake.commit(one);
    await lake.commit(two, { publish: false });
    const ofStream = two.filter(({ row }) => row.streamId === "stream-1");
    assert.deepEqual(await seed(lake), expected([...one, ...ofStream]));
    assert.deepEqual(await seed(lake, { partition: 1 }), expected([...one, ...ofStream], 1));
    assert.deepEqual(await seed(lake, { upToCommit: 1 }), expected(one));
    assert.deepEqual(await seed(lake, { streamId: "unknown" }), []);
    assert.deepEqual(await seed(lake, { partition: 7 }), []);
  }));

test("ids, device ids, positions and topic names of any length come back whole", () =>
  withLake(async (lake) => {
    const lengths = [0, 1, 11, 12, 13, 23, 24, 25, 36, 64];
    const rows: TestRow[] = lengths.map((length, index) => ({
      row: makeRow(index * 2, {
        partition: 0,
        messageId: Buffer.alloc(length, 200 + index),
        deviceId: index % 2 ? "ü".repeat(length) : "d".repeat(length),
        position: "7".repeat(length),
        topicName: index % 2 ? "t".repeat(length) : "ö".repeat(length),
        payloadCrc: -index,
      }),
    }));
    await lake.commit(rows);
    assert.deepEqual(await seed(lake), expected(rows));
  }));

test("the hash of a row's content is the same from its file: any event time, and an unreadable one", () =>
  withLake(async (lake) => {
    const times = [-62_135_596_800_000, -1, 0, 1, 2 ** 32, 2 ** 41 + 1, 253_402_300_799_999];
    const rows = times.map((eventTimeMs, index): TestRow => {
      const time = { eventTimeMs, eventTimeMicros: (index * 333) % 1000, eventTimeOutside: true };
      const row = makeRow(index * 2, { partition: 0, ...time });
      return { row };
    });
    const { ingestTimeMs } = makeRow(100);
    const unread = { partition: 0, ingestTimeMs, eventTimeMs: ingestTimeMs };
    rows.push({ row: makeRow(100, { ...unread, eventTimeOutside: true }) });
    rows.push({ row: makeRow(102, { ...unread, eventTimeOutside: false }) });
    await lake.commit(rows);
    assert.deepEqual(await seed(lake), expected(rows));
  }));

test("only rows since the requested time come back, and earlier files are not opened", () =>
  withLake(async (lake) => {
    const commits = [0, 1, 2, 3].map((commit): TestRow[] =>
      Array.from({ length: 20 }, (_, index) => ({ row: makeRow(commit * 1000 + index) })),
    );
    for (const rows of commits) await lake.commit(rows);
    const [old = assert.fail()] = await lake.filesOf(1, "topic-1");
    rmSync(old);
    const sinceMs = startMs + 1010 * 10 + 500;
    const wanted = commits.flat().filter(({ row }) => row.streamTimeMs >= sinceMs);
    assert.deepEqual(await seed(lake, { sinceMs }), expected(wanted));
    await assert.rejects(seed(lake), { code: "PARQUET_FAILED" });
  }));

test("if the commit log was pruned, the tables still provide every id", () =>
  withLake(async (lake) => {
    const early: TestRow[] = [{ row: makeRow(0) }, { row: makeRow(2) }, quarantined(4, "id-reused")];
    await lake.commit(early);
    await forgetCommits(lake);
    assert.deepEqual(await seed(lake), expected(early));
    assert.deepEqual(await seed(lake, { sinceMs: startMs + 10_000 }), []);
  }));

test("if the log was pruned, each partition's ids since its own time come from the tables", () =>
  withLake(async (lake) => {
    await lake.commit([{ row: makeRow(0) }, { row: makeRow(1) }]);
    await lake.commit([{ row: makeRow(2000) }, { row: makeRow(2001) }]);
    await forgetCommits(lake);
    const parts = [
      { streamId: "stream-1", partition: 0, sinceMs: 0 },
      { streamId: "stream-1", partition: 1, sinceMs: makeRow(1000).streamTimeMs },
    ];
    assert.deepEqual(await numbersOf(lake, parts), [
      [0, 0],
      [0, 2000],
      [1, 2001],
    ]);
  }));

test("reading can be ended half way", () =>
  withLake(async (lake) => {
    await lake.commit(Array.from({ length: 9000 }, (_, number) => ({ row: makeRow(number) })));
    for await (const rows of createSeedSource(lake).rows({
      parts: [{ streamId: "stream-1", partition: 0, sinceMs: 0 }],
      upToCommit: 1,
    })) {
      assert.ok(rows.length > 0);
      break;
    }
    assert.equal((await seed(lake)).length, 4500);
  }));

test("of whole topics, all rows with ids of the SDK's length come back, also from quarantine; of others, only rows since the time", () =>
  withLake(async (lake) => {
    const messageId = (number: number) => Buffer.from(String(number).padStart(16, "0"));
    const long = (number: number): TestRow => ({ row: makeRow(number, { messageId: messageId(number) }) });
    const bad = (number: number, topicId: string): TestRow => ({
      ...quarantined(number, "schema-violated", topicId),
      row: makeRow(number, { messageId: messageId(number) }),
    });
    const old = [long(2), bad(4, "topic-1")];
    const notWanted = [{ row: makeRow(6) }, { ...long(8), topic: otherTopic }, bad(10, "topic-2")];
    const recent = [{ row: makeRow(9000) }, { ...long(9002), topic: otherTopic }, long(9004)];
    await lake.commit([...old, ...notWanted]);
    await lake.commit(recent);
    const sinceMs = makeRow(9000).streamTimeMs;
    const wholeTopics = new Set(["topic-1"]);
    assert.deepEqual(await seed(lake, { sinceMs, wholeTopics }), expected([...old, ...recent]));
    assert.deepEqual(await seed(lake, { sinceMs }), expected(recent));
  }));

test("of whole topics, rows of past partitions come back as well, without a part; of others they do not", () =>
  withLake(async (lake) => {
    const messageId = (number: number) => Buffer.from(String(number).padStart(16, "0"));
    const of = (partition: number, number: number, streamId = "stream-1"): TestRow => ({
      row: makeRow(number, { messageId: messageId(number), partition, streamId }),
    });
    const own = [of(0, 2), of(0, 4)];
    const past = [of(3, 6), of(7, 8), of(1, 10, "another")];
    const bad = quarantined(12, "schema-violated");
    past.push({ ...bad, row: makeRow(12, { messageId: messageId(12), partition: 9 }) });
    const living = [of(8, 14), of(10, 16), of(1, 18)];
    const notWhole = [{ ...of(3, 20), topic: otherTopic }, { row: makeRow(22, { partition: 3 }) }];
    await lake.commit([...own, ...past, ...living, ...notWhole]);
    const runs = new Map([
      [
        "stream-1",
        [
          [3, 7],
          [9, 9],
        ] as const,
      ],
      ["another", [[0, 1]] as const],
    ]);
    const wanted = { partition: 0, pastPartitions: runs };
    const all = [...own, ...past].flatMap((row) => expected([row], row.row.partition));
    assert.deepEqual(await seed(lake, { ...wanted, wholeTopics: new Set(["topic-1"]) }), all);
    assert.deepEqual(await seed(lake, { ...wanted, wholeTopics: new Set(["topic-9"]) }), expected(own));
    assert.deepEqual(await seed(lake, wanted), expected(own));
    const parts: number[] = [];
    const query = { parts: [{ streamId: "stream-1", partition: 0, sinceMs: 0 }], upToCommit: 1e9 };
    const whole = { ...query, pastPartitions: runs, wholeTopics: new Set(["topic-1"]) };
    for await (const rows of createSeedSource(lake).rows(whole)) parts.push(...rows.parts);
    assert.deepEqual(parts.toSorted(), [0, 0, 1, 1, 1, 1]);
  }));

test("ids are searched in the files of their hour, in the topic's table and in quarantine, of any partition", () =>
  withLake(async (lake) => {
    const hour = 360_000;
    const at = (number: number, fields: Partial<TestRow> = {}): TestRow => ({
      row: makeRow(number),
      ...fields,
    });
    const reused = quarantined(20, "exact-unsure");
    const rows = [at(2), at(3), at(4, { topic: otherTopic }), at(hour), quarantined(5, "schema"), reused];
    await lake.commit([...rows, quarantined(6, "schema", "topic-2")]);
    await lake.commit([{ row: { ...makeRow(2), ...makeRow(21), messageId: makeRow(2).messageId } }]);
    const asked: number[] = [];
    const find = async (numbers: readonly number[], eventTimesMs: readonly number[], isAllowed = true) => {
      const found = await createSeedSource(lake).filed({
        topicId: "topic-1",
        eventTimesMs,
        messageIds: numbers.map((number) => makeRow(number).messageId ?? new Uint8Array()),
        deviceIds: numbers.map((number) => makeRow(number).deviceId),
        mayRead: (bytes) => {
          asked.push(bytes);
          return isAllowed;
        },
      });
      return found?.flatMap((chunk) =>
        chunk.deviceIds.map((device, row) => [
          Buffer.from(chunk.messageIds[row] ?? []).toString(),
          device,
          chunk.contentHashes[row],
          chunk.idReused[row],
        ]),
      );
    };
    const factsOf = ({ row, facts }: TestRow) => [
      String(row.messageId),
      row.deviceId,
      contentHash(row),
      facts?.reason === "exact-unsure",
    ];
    const numbers = [2, 3, 4, 5, 6, 20, hour];
    const timesMs = numbers.slice(0, -1).map((number) => makeRow(number).eventTimeMs);
    const found = await find(numbers, timesMs);
    assert.deepEqual(
      found?.sort(),
      [rows[0], rows[1], rows[4], reused].map((row) => factsOf(row as TestRow)).sort(),
    );
    assert.equal(await find(numbers, timesMs, false), undefined, "it may not read so much");
    assert.deepEqual(await find([hour], [makeRow(hour).eventTimeMs]), [factsOf(at(hour))]);
    assert.deepEqual(await find([hour], [makeRow(hour).eventTimeMs + 3_600_000]), []);
    assert.ok((asked[0] ?? 0) > 0 && asked[0] === asked[1] && asked.at(-1) === 0);
  }));

test("many partitions are read at once: each row names its part, since that partition's own time", () =>
  withLake(async (lake) => {
    const stream = (number: number): TestRow => ({ row: makeRow(number, { streamId: "another" }) });
    const first: TestRow[] = [0, 1, 2, 3].map((number) => ({ row: makeRow(number) }));
    await lake.commit([
      ...first,
      stream(4),
      stream(5),
      quarantined(6, "id-reused"),
      quarantined(7, "schema"),
    ]);
    await lake.commit([8, 9].map((number): TestRow => ({ row: makeRow(number) })));
    const sinceMs = makeRow(8).streamTimeMs;
    const parts = [
      { streamId: "another", partition: 1, sinceMs: 0 },
      { streamId: "stream-1", partition: 1, sinceMs },
      { streamId: "stream-1", partition: 0, sinceMs: 0 },
      { streamId: "stream-1", partition: 5, sinceMs: 0 },
    ];
    const found: string[] = [];
    for await (const rows of createSeedSource(lake).rows({ parts, upToCommit: 2 }))
      for (let row = 0; row < rows.length; row++)
        found.push(`${rows.parts[row]} ${((rows.streamTimesMs[row] ?? 0) - startMs) / 10}`);
    const numberOf = (number: number) => (makeRow(number).streamTimeMs - startMs) / 10;
    const expectedRows = [
      [0, 5],
      [1, 9],
      [2, 0],
      [2, 2],
      [2, 6],
      [2, 8],
    ] as const;
    assert.deepEqual(
      found.sort(),
      expectedRows.map(([part, number]) => `${part} ${numberOf(number)}`).sort(),
    );
  }));

test("partitions that share some commits are followed through each entry once", () =>
  withLake(async (lake) => {
    for (const numbers of [[0, 1], [2], [3], [4, 5]])
      await lake.commit(
        numbers.map((number): TestRow => ({ row: makeRow(number) })),
        { moved: [...new Set(numbers.map((number) => number % 2))] },
      );
    const reads = new Map<number, number>();
    const entry = lake.commitLog.entry.bind(lake.commitLog);
    lake.commitLog.entry = (number) => {
      reads.set(number, (reads.get(number) ?? 0) + 1);
      return entry(number);
    };
    const parts = [0, 1].map((partition) => ({ streamId: "stream-1", partition, sinceMs: 0 }));
    assert.deepEqual(await numbersOf(lake, parts), [
      [0, 0],
      [0, 2],
      [0, 4],
      [1, 1],
      [1, 3],
      [1, 5],
    ]);
    assert.deepEqual(
      [1, 2, 3, 4].map((number) => reads.get(number)),
      [1, 1, 1, 1],
    );
  }));
