import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type AddedFile, quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import type { LandedLane } from "../../bridge/lake/commit-log/lane-commits.ts";
import { laneOf } from "../../bridge/lake/landing/lane.ts";
import type { LandedSource, RowFiles, TableRows } from "../../bridge/lake/landing/row-files.ts";
import type { QuarantineFacts, Row } from "../../bridge/tail/row.ts";
import type { ColumnValue } from "../../bridge/topics/column-value.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import { column, makeRow, makeTopic, startMs } from "../support/test-lake.ts";

export interface LandedTestRow {
  readonly topic: TopicVersion;
  readonly row: Row;
  readonly values?: readonly ColumnValue[];
  readonly facts?: QuarantineFacts;
}

/** A row of a file, as its readers see it. */
export interface FiledTestRow {
  readonly device: string;
  readonly eventTimeMs: number;
  readonly index: number;
  /** Typed columns by name, and `reason` and `topic_id` of quarantined rows. */
  readonly columns: Readonly<Record<string, ColumnValue>>;
}

export interface RowFilesUnderTest {
  readonly rowFiles: RowFiles;
  /** Row files whose target size is smaller than a row. */
  readonly tinyFiles: RowFiles;
  land(commit: number, rows: readonly LandedTestRow[]): Promise<LandedSource>;
  read(table: string, file: AddedFile): Promise<readonly FiledTestRow[]>;
  /** Files of any table that exist. */
  files(): Promise<readonly string[]>;
  close(): Promise<void>;
}

const hourMs = 3_600_000;
const lanes: readonly LandedLane[] = ["even", "odd", "late"];
const columns = [column("count", "long"), column("state", "string")];
const topic = makeTopic({ topicId: "a", name: "telemetry", columns });
const versions = [{ topicId: "a", version: 1, columns }];

function at(number: number, fields: Partial<Row> = {}): Row {
  const row = makeRow(number, fields);
  return { ...row, position: String(number).padStart(20, "0"), index: number };
}

function all(after: number, upTo: number): TableRows["ranges"] {
  return lanes.map((lane) => ({ lane, after, upTo }));
}

/** Every implementation of the port must pass these tests. */
export function rowFilesContract(name: string, open: () => Promise<RowFilesUnderTest>): void {
  describe(`row files: ${name}`, () => {
    let under: RowFilesUnderTest;
    beforeEach(async () => {
      under = await open();
    });
    afterEach(async () => under.close());

    /** The rows of the files that one round writes. */
    async function write(sources: readonly LandedSource[], rows: TableRows, rowFiles = under.rowFiles) {
      const round = await rowFiles.open(sources);
      try {
        const adds = await round.write(rows);
        const filed = [];
        for (const add of adds) filed.push(await under.read(rows.name, add));
        return { adds, filed };
      } finally {
        await round.close();
      }
    }

    const indexes = (filed: readonly (readonly FiledTestRow[])[]) =>
      filed.map((rows) => rows.map(({ index }) => index));

    test("the rows of a table are one file for each hour, in order of time, with their values", async () => {
      const rows = [5, 3, 9, 1].map((number) => ({
        topic,
        row: at(number, { eventTimeMs: startMs + (number % 2) * hourMs + number }),
        values: [BigInt(number), number === 3 ? null : `state ${number}`],
      }));
      const later = [{ topic, row: at(2, { eventTimeMs: startMs + 7 }), values: [2n, "state 2"] }];
      const sources = [await under.land(4, rows), await under.land(5, later)];
      const { adds, filed } = await write(sources, { name: "telemetry", versions, ranges: all(0, 5) });
      assert.deepEqual(indexes(filed), [[2], [1, 3, 5, 9]]);
      assert.deepEqual(
        filed[1]?.map((row) => row.columns),
        [
          { count: 1n, state: "state 1" },
          { count: 3n, state: null },
          { count: 5n, state: "state 5" },
          { count: 9n, state: "state 9" },
        ],
      );
      const hour = new Date(startMs).getUTCHours();
      assert.deepEqual(
        adds.map(({ eventHour, rows: count }) => [eventHour, count]),
        [
          [hour, 1],
          [hour + 1, 4],
        ],
      );
      for (const { path, eventDate, bytes } of adds) {
        assert.match(path, new RegExp(`^event_date=${eventDate}/event_hour=\\d\\d/[^/]+$`));
        assert.ok(bytes > 0);
      }
      const ingest = rows.map(({ row }) => row.ingestTimeMs);
      assert.deepEqual(
        [adds[1]?.minIngestMs, adds[1]?.maxIngestMs],
        [Math.min(...ingest), Math.max(...ingest)],
      );
      const stream = rows.map(({ row }) => row.streamTimeMs);
      assert.deepEqual(
        [adds[1]?.minStreamMs, adds[1]?.maxStreamMs],
        [Math.min(...stream), Math.max(...stream)],
      );
    });

    test("each lane has its own range of commits: above the first, up to the last", async () => {
      const times = [startMs, startMs + hourMs, startMs - 5 * hourMs];
      const sources = [];
      for (const commit of [1, 2, 3])
        sources.push(
          await under.land(
            commit,
            times.map((eventTimeMs, lane) => ({
              topic,
              row: at(commit * 10 + lane, { eventTimeMs, ingestTimeMs: startMs }),
            })),
          ),
        );
      const fresh = laneOf({ ...at(0), eventTimeMs: startMs, ingestTimeMs: startMs });
      const next = fresh === "even" ? "odd" : "even";
      const ranges = [
        { lane: fresh, after: 1, upTo: 3 },
        { lane: next, after: 0, upTo: 1 },
        { lane: "late", after: 1, upTo: 2 },
      ] as const;
      const { filed } = await write(sources, { name: "telemetry", versions, ranges });
      assert.deepEqual(indexes(filed), [[22], [20, 30], [11]]);
      const none = await write(sources, { name: "telemetry", versions, ranges: [] });
      assert.deepEqual(none.adds, []);
      const beyond = await write(sources, { name: "telemetry", versions, ranges: all(3, 9) });
      assert.deepEqual(beyond.adds, []);
    });

    test("a table gets the rows of its topics only, and the quarantine the refused rows of all topics", async () => {
      const again = makeTopic({
        topicId: "b",
        name: "telemetry",
        version: 2,
        columns: [column("state", "string")],
      });
      const other = makeTopic({ topicId: "c", name: "other" });
      const facts = { reason: "id-reused", detail: "why", topicId: "c", topicVersion: 1 };
      const source = await under.land(1, [
        { topic, row: at(1), values: [1n, "a"] },
        { topic: again, row: at(2), values: ["b"] },
        { topic: other, row: at(3) },
        { topic: other, row: at(4), facts },
        { topic, row: at(5), facts: { ...facts, topicId: "a" } },
      ]);
      const both = [...versions, { topicId: "b", version: 2, columns: again.columns }];
      const { filed } = await write([source], { name: "telemetry", versions: both, ranges: all(0, 1) });
      assert.deepEqual(
        filed.flat().map(({ index, columns: values }) => [index, values["count"] ?? null, values["state"]]),
        [
          [1, 1n, "a"],
          [2, null, "b"],
        ],
      );
      const refused = await write([source], { name: quarantineKey, versions: null, ranges: all(0, 1) });
      assert.deepEqual(
        refused.filed
          .flat()
          .map(({ index, columns: values }) => [index, values["topic_id"], values["reason"]]),
        [
          [4, "c", "id-reused"],
          [5, "a", "id-reused"],
        ],
      );
    });

    test("an hour that is larger than the target is several files that do not overlap", async () => {
      const rows = Array.from({ length: 6 }, (_, number) => ({
        topic,
        row: at(number, { eventTimeMs: startMs + (number % 3), deviceId: `d${number}` }),
        values: [BigInt(number), "x"],
      }));
      const source = await under.land(1, rows);
      const table = { name: "telemetry", versions, ranges: all(0, 1) };
      const { adds, filed } = await write([source], table, under.tinyFiles);
      assert.deepEqual(indexes(filed).flat().sort(), [0, 1, 2, 3, 4, 5]);
      assert.equal(adds.length, 6);
      assert.deepEqual(
        adds.map((add) => add.rows),
        [1, 1, 1, 1, 1, 1],
      );
      const times = filed.flat().map(({ eventTimeMs }) => eventTimeMs);
      assert.deepEqual(
        times,
        times.toSorted((left, right) => left - right),
      );
    });

    test("a round may write several tables; what it wrote outlives it", async () => {
      const other = makeTopic({ topicId: "c", name: "other" });
      const source = await under.land(1, [
        { topic, row: at(1), values: [1n, "a"] },
        { topic: other, row: at(2) },
      ]);
      const round = await under.rowFiles.open([source]);
      const [first] = await round.write({ name: "telemetry", versions, ranges: all(0, 1) });
      const [second] = await round.write({
        name: "other",
        versions: [{ topicId: "c", version: 1, columns: [] }],
        ranges: all(0, 1),
      });
      await round.close();
      assert.ok(first && second);
      assert.deepEqual([...(await under.files())].sort(), [
        `other/${second.path}`,
        `telemetry/${first.path}`,
      ]);
      assert.equal((await under.read("other", second)).length, 1);
    });

    test("a landing file that is missing is an error that names it, and leaves nothing open", async () => {
      const source = await under.land(1, [{ topic, row: at(1), values: [1n, "a"] }]);
      const missing = { commit: 2, path: "_landing/00000000-0000-4000-8000-00000000dead.parquet" };
      await assert.rejects(under.rowFiles.open([source, missing]), (error: Error & { code?: string }) => {
        assert.match(error.code ?? "", /^(LAKE_DAMAGED|PARQUET_FAILED)$/);
        assert.match(error.message, /00000000dead/);
        return true;
      });
      const { filed } = await write([source], { name: "telemetry", versions, ranges: all(0, 1) });
      assert.deepEqual(indexes(filed), [[1]]);
    });

    test("rows of many tables in many landing files are each in one file of their table", async () => {
      const topics = Array.from({ length: 20 }, (_, number) =>
        makeTopic({ topicId: `t${number}`, name: `table_${number}` }),
      );
      const sources: LandedSource[] = [];
      for (let commit = 1; commit <= 10; commit++)
        sources.push(
          await under.land(
            commit,
            topics.map((each, number) => ({ topic: each, row: at(commit * 100 + number) })),
          ),
        );
      const round = await under.rowFiles.open(sources);
      try {
        for (const [number, each] of topics.entries()) {
          const adds = await round.write({
            name: each.name,
            versions: [{ topicId: each.topicId, version: 1, columns: [] }],
            ranges: all(2, 9),
          });
          const rows = [];
          for (const add of adds) rows.push(...(await under.read(each.name, add)));
          assert.deepEqual(
            rows.map(({ index }) => index),
            [3, 4, 5, 6, 7, 8, 9].map((commit) => commit * 100 + number),
          );
        }
      } finally {
        await round.close();
      }
    });
  });
}
