import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { quarantineKey } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { createParquetBatchWriter } from "../../../../../bridge/lake/parquet/batch-writer.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
} from "../../../../support/test-lake.ts";

const hourMs = 3_600_000;
const large = makeTopic({ topicId: "large", name: "large", columns: [column("n", "long")] });
const small = makeTopic({ topicId: "small", name: "small", columns: [column("n", "long")] });

async function withLake(work: (lake: TestLake) => Promise<void>): Promise<void> {
  const lake = await openTestLake([large, small]);
  try {
    await work(lake);
  } finally {
    await lake.close();
  }
}

/** By a reader that is not DuckDB. */
async function read(lake: TestLake, path: string): Promise<Record<string, unknown>[]> {
  const bytes = readFileSync(join(lake.folder, path));
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  return parquetReadObjects({ file, compressors, utf8: false });
}

test("rows of a table and hour that are large at once are a table file, and all others land in one file", () =>
  withLake(async (lake) => {
    const writer = createParquetBatchWriter({ store: lake.store, directBytes: 100_000 });
    const payload = Buffer.alloc(1000, 7);
    for (let number = 0; number < 200; number++) {
      await writer.add(large, makeRow(number, { payload }), [BigInt(number) + 2n ** 60n]);
      if (number % 20 > 0) continue;
      const lateRow = makeRow(number, { payload, eventTimeMs: startMs - 5 * hourMs });
      await writer.add(large, lateRow, [1]);
      await writer.add(small, makeRow(number, { payload }), [number]);
      const facts = { reason: "id-reused", detail: "", topicId: "large", topicVersion: 1 };
      await writer.quarantine(makeRow(number), facts);
    }
    const { bytes, rows } = writer;
    assert.equal(rows, 230);
    const { tables, landing } = await writer.write();
    assert.deepEqual(Object.keys(tables), ["large"], "only one table has a file");
    const [file, ...others] = tables["large"]?.adds ?? [];
    assert.ok(file && landing && others.length === 0);
    assert.equal(file.rows, 200);
    const direct = await read(lake, `large/${file.path}`);
    assert.deepEqual(
      direct.map((row) => row["n"]),
      Array.from({ length: 200 }, (_, number) => BigInt(number) + 2n ** 60n),
    );
    assert.equal(Object.keys(direct[0] ?? {}).at(-1), "n", "the columns are those of a table file");
    assert.deepEqual(landing.tables, {
      large: { name: "large", version: 1, rows: { late: 10 } },
      small: { name: "small", version: 1, rows: { even: 10 } },
      [quarantineKey]: { name: quarantineKey, version: 0, rows: { even: 10 } },
    });
    const landed = await read(lake, landing.file.path);
    assert.equal(landed.length, 30);
    assert.ok(landing.file.size > 0 && landing.file.size < bytes / 5, "the size is that of the landed rows");
    assert.deepEqual([writer.rows, writer.bytes], [0, 0]);
  }));

test("a file that is full of large rows is a table file at once, and the rows after it land", () =>
  withLake(async (lake) => {
    const writer = createParquetBatchWriter({ store: lake.store });
    const payload = Buffer.alloc(1024 * 1024, 1);
    for (let number = 0; number < 18; number++)
      await writer.add(large, makeRow(number, { payload }), [number]);
    const { tables, landing } = await writer.write();
    assert.deepEqual(
      tables["large"]?.adds.map(({ rows }) => rows),
      [16],
    );
    assert.deepEqual(landing?.tables, { large: { name: "large", version: 1, rows: { even: 2 } } });
  }));

test("if all rows are large, there is no landing file", () =>
  withLake(async (lake) => {
    const writer = createParquetBatchWriter({ store: lake.store, directBytes: 1 });
    await writer.add(large, makeRow(1), [null]);
    const { tables, landing } = await writer.write();
    assert.deepEqual([tables["large"]?.adds.length, landing], [1, undefined]);
    assert.equal(readdirSync(lake.folder).includes("_landing"), false);
  }));

test("a landing file that can't be stored leaves nothing to name, and the next try writes all rows again", () =>
  withLake(async (lake) => {
    let refused = 0;
    const writer = createParquetBatchWriter({
      store: {
        stagingFolder: lake.store.stagingFolder,
        importFile: async (local, path) => {
          if (path.startsWith("_landing") && refused++ === 0) throw new Error("down");
          return lake.store.importFile(local, path);
        },
      },
      directBytes: 1000,
    });
    await writer.add(large, makeRow(1, { payload: Buffer.alloc(2000) }), [1]);
    await writer.add(small, makeRow(2), [2]);
    await assert.rejects(writer.write(), { code: "PARQUET_FAILED", retryable: true });
    await writer.add(small, makeRow(3), [3]);
    const { tables, landing } = await writer.write();
    assert.equal(tables["large"]?.adds.length, 1);
    assert.deepEqual(landing?.tables["small"]?.rows, { even: 2 });
    assert.equal((await read(lake, landing?.file.path ?? "")).length, 2);
    const { stagingFolder } = lake.store;
    assert.deepEqual(
      readdirSync(stagingFolder).filter((name) => name.endsWith(".parquet")),
      [],
    );
  }));

test("a probe writes what would be a table file and what would land, and leaves nothing", () =>
  withLake(async (lake) => {
    const writer = createParquetBatchWriter({ store: lake.store, directBytes: 1000 });
    await writer.add(small, makeRow(1), [1]);
    await writer.probe([
      { topic: large, row: makeRow(2, { payload: Buffer.alloc(2000) }), values: [2] },
      { topic: small, row: makeRow(3), values: [3] },
    ]);
    assert.equal(writer.rows, 1, "the batch is unchanged");
    assert.deepEqual(
      readdirSync(lake.folder, { recursive: true, encoding: "utf8" }).filter((path) =>
        path.endsWith(".parquet"),
      ),
      [],
    );
    await writer.discard();
  }));
