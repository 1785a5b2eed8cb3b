import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import type { CommittedLanding } from "../../bridge/lake/commit-log/landed-file.ts";
import type { CommittedRow } from "../../bridge/lake/follow/committed-rows.ts";
import type { FollowedFiles, RowReader } from "../../bridge/lake/follow/row-reader.ts";
import { alarms, facts, rowOf, telemetry } from "../support/followed-rows.ts";
import type { TestRow } from "../support/test-lake.ts";

export interface RowReaderUnderTest {
  readonly reader: RowReader;
  /** Writes one landing file. */
  land(rows: readonly TestRow[]): Promise<CommittedLanding>;
  /** Writes table files of the topic `telemetry`, and resolves with their paths in the store. */
  file(rows: readonly TestRow[]): Promise<readonly string[]>;
  remove(path: string): Promise<void>;
  close(): Promise<void>;
}

const table = { key: telemetry.topicId, name: telemetry.name, version: 1 };
const valuesOf = [1, null, null, null, null];
const rowsOf = (commit: number, indexes: readonly number[]): TestRow[] =>
  indexes.map((index) => ({ topic: telemetry, row: rowOf(commit, index), values: valuesOf }));
const positionOf = (commit: number) => rowOf(commit, 0).position;

/** Every implementation of the port must pass these tests. */
export function rowReaderContract(name: string, open: () => Promise<RowReaderUnderTest>): void {
  describe(`row reader: ${name}`, () => {
    let under: RowReaderUnderTest;
    beforeEach(async () => {
      under = await open();
    });
    afterEach(() => under.close());

    async function all(slices: AsyncIterable<readonly CommittedRow[]>): Promise<CommittedRow[]> {
      const rows: CommittedRow[] = [];
      for await (const slice of slices) rows.push(...slice);
      return rows;
    }

    async function indexesOf(files: FollowedFiles): Promise<number[]> {
      const rows = await all(under.reader.rows(files));
      assert.equal(await under.reader.count(files), rows.length);
      return rows.map(({ index }) => index);
    }

    test("a landing file has the rows of all tables in the order of the stream", async () => {
      const landing = await under.land([
        ...rowsOf(12, [4, 0]),
        { topic: alarms, row: rowOf(12, 2) },
        { row: rowOf(12, 6), facts: { ...facts, topicId: "topic-2" } },
        ...rowsOf(9, [8]),
        ...rowsOf(3, [3]),
      ]);
      const rows = await all(under.reader.landed(landing));
      assert.deepEqual(
        rows.map((row) => [row.table.name, row.index, row.table.key, row.quarantine?.topicId ?? null]),
        [
          ["telemetry", 8, "topic-1", null],
          ["telemetry", 0, "topic-1", null],
          ["alarms", 2, "topic-2", null],
          ["telemetry", 4, "topic-1", null],
          [quarantineKey, 6, quarantineKey, "topic-2"],
          ["telemetry", 3, "topic-1", null],
        ],
      );
      const [{ position, deviceId, streamTimeMs, messageId } = assert.fail()] = rows;
      const { row } = rowsOf(9, [8])[0] ?? assert.fail();
      assert.deepEqual(
        { position, deviceId, streamTimeMs },
        { position: row.position, deviceId: row.deviceId, streamTimeMs: row.streamTimeMs },
      );
      assert.deepEqual(Buffer.from(messageId ?? []), row.messageId);
    });

    test("of table files, rows of the ranges come: after the first position, up to the last", async () => {
      const paths = [...(await under.file(rowsOf(2, [0, 2]))), ...(await under.file(rowsOf(3, [4, 5])))];
      paths.push(...(await under.file(rowsOf(4, [6]))));
      const files = { ...table, paths, except: null };
      assert.deepEqual(await indexesOf({ ...files, ranges: null }), [0, 2, 4, 6, 5]);
      const range = { streamId: "stream-1", partition: 0, from: positionOf(2), to: positionOf(3) };
      assert.deepEqual(await indexesOf({ ...files, ranges: [range] }), [4]);
      assert.deepEqual(await indexesOf({ ...files, ranges: [] }), []);
    });

    test("rows of table files that are in a landing file are left out", async () => {
      const landing = await under.land(rowsOf(2, [0, 3]));
      const paths = await under.file([...rowsOf(2, [0, 1, 2, 3]), ...rowsOf(3, [0])]);
      const { path: except } = landing.file;
      assert.deepEqual(await indexesOf({ ...table, paths, ranges: null, except }), [2, 0, 1]);
      const range = { streamId: "stream-1", partition: 0, from: positionOf(1), to: positionOf(2) };
      assert.deepEqual(await indexesOf({ ...table, paths, ranges: [range], except }), [2]);
    });

    test("a file that is gone is an error that may be tried again", async () => {
      const landing = await under.land(rowsOf(2, [0]));
      const paths = await under.file(rowsOf(3, [0]));
      for (const path of [landing.file.path, ...paths]) await under.remove(path);
      const isMissing = (error: Error & { code?: string; retryable?: boolean }) => {
        assert.match(error.code ?? "", /^(LAKE_DAMAGED|PARQUET_FAILED)$/);
        assert.equal(error.retryable, true);
        return true;
      };
      await assert.rejects(all(under.reader.landed(landing)), isMissing);
      const files = { ...table, paths, ranges: null, except: null };
      await assert.rejects(all(under.reader.rows(files)), isMissing);
      await assert.rejects(under.reader.count(files), isMissing);
    });
  });
}
