// Changes of another writer to one table, made by delta-rs, and the recovery of that table. The commands in
// `status` are run as they are.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { MetaDataAction } from "../../bridge/lake/delta/delta-actions.ts";
import { runQuery } from "../../bridge/lake/query/run-query.ts";
import { createSeedSource } from "../../bridge/lake/seeding/lake-seed-source.ts";
import type { TablePublisher } from "../../bridge/lake/table-publishing.ts";
import { changeWithDeltaRs, type DeltaRsChange, deltaRsMissing } from "../support/delta-rs.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  type TestLake,
  type TestRow,
} from "../support/test-lake.ts";

const skip = deltaRsMissing();
const topic = makeTopic({ columns: [column("n", "long")] });
const other = makeTopic({ topicId: "topic-2", name: "other" });

/** A lake with two tables of three rows each, and a publisher whose waits end as soon as they begin. */
class TwoTables {
  readonly lake: TestLake;
  readonly publisher: TablePublisher;
  elapsedMs = 0;
  #rows = 0;

  private constructor(lake: TestLake) {
    this.lake = lake;
    this.publisher = lake.openPublisher({ elapsedMs: () => this.elapsedMs, checkpointEntries: 4 });
  }

  static async with(work: (tables: TwoTables) => Promise<void>): Promise<void> {
    const lake = await openTestLake([topic, other]);
    try {
      const tables = new TwoTables(lake);
      await tables.commit();
      await work(tables);
    } finally {
      await lake.close();
    }
  }

  folder(name = "telemetry"): string {
    return join(this.lake.folder, name);
  }

  /** Three rows for each table, one of them without an id. */
  async commit(): Promise<void> {
    const rows = Array.from({ length: 3 }, (_, index): TestRow[] => {
      const row = makeRow(this.#rows + index, index === 0 ? { messageId: null } : {});
      return [
        { topic, row, values: [index] },
        { topic: other, row: { ...row, partition: 1 } },
      ];
    });
    this.#rows += 3;
    await this.lake.commit(rows.flat(), { publish: false });
    this.elapsedMs += 60_000;
    await this.publisher.publishPending();
  }

  async shows(rows: number, name = "telemetry"): Promise<void> {
    assert.equal(countWithDeltaRs(this.folder(name)), rows);
    const { rows: counted } = await runQuery(`SELECT count(*) FROM ${name}`, { store: this.lake.store });
    assert.deepEqual(counted, [[rows]]);
  }

  /**
   * Only this table is parked. The test runs the command that recovers the table, which then shows all rows.
   */
  async isBroughtBack(reason: RegExp): Promise<void> {
    await this.commit();
    await this.shows(6, "other");
    const [parked, ...more] = this.publisher.troubles().parked;
    assert.deepEqual([parked?.table, more.length], ["telemetry", 0]);
    assert.match(parked?.reason ?? "", reason);
    const command = /python3 -c '.*'$/.exec(parked?.wayOut ?? "")?.[0] ?? assert.fail(parked?.wayOut);
    execFileSync("sh", ["-c", command]);
    await this.commit();
    assert.deepEqual(this.publisher.troubles().parked, []);
    await this.shows(9);
    await this.shows(9, "other");
  }

  /** Appends an entry with a changed copy of the newest metadata. */
  changeMetaData(change: (metaData: MetaDataAction) => MetaDataAction): void {
    const log = join(this.folder(), "_delta_log");
    const entries = readdirSync(log).filter((name) => /^\d{20}\.json$/.test(name));
    const lines = entries.flatMap((name) => readFileSync(join(log, name), "utf8").trim().split("\n"));
    const metaData = lines
      .map((line) => (JSON.parse(line) as { metaData?: MetaDataAction }).metaData)
      .findLast((each) => each !== undefined);
    const next = `${String(entries.length).padStart(20, "0")}.json`;
    writeFileSync(join(log, next), `${JSON.stringify({ metaData: change(metaData ?? assert.fail()) })}\n`);
  }

  changeField(name: string, to: object): void {
    this.changeMetaData((metaData) => {
      const schema = JSON.parse(metaData.schemaString) as { fields: { name: string }[] };
      const fields = schema.fields.map((field) => (field.name === name ? { ...field, ...to } : field));
      return { ...metaData, schemaString: JSON.stringify({ ...schema, fields }) };
    });
  }
}

function python(script: string): string {
  return execFileSync("python3", ["-c", script], { encoding: "utf8" }).trim();
}

/** Uses SQL, because the reader for pyarrow refuses tables with deletion vectors. */
function countWithDeltaRs(folder: string): number {
  const table = `DeltaTable(${JSON.stringify(folder)})`;
  const query = `QueryBuilder().register("t", ${table}).execute("SELECT count(*) AS n FROM t")`;
  const imports = "import pyarrow; from deltalake import DeltaTable, QueryBuilder";
  return Number(python(`${imports}; print(pyarrow.table(${query}.read_all())["n"][0].as_py())`));
}

test(
  "a CHECK constraint parks its table alone; the named command drops the constraint, and the table resumes",
  { skip },
  () =>
    TwoTables.with(async (tables) => {
      changeWithDeltaRs(tables.folder(), "add-constraint");
      await tables.isBroughtBack(/CHECK constraints.*_index >= 0/);
    }),
);

test(
  "a widened column parks its table alone, and the named command restores the version before",
  { skip },
  () =>
    TwoTables.with(async (tables) => {
      tables.changeField("_index", { type: "long" });
      await tables.isBroughtBack(/column _index is "long", not integer/);
    }),
);

test("a column that became non-nullable parks its table alone if we have nulls for it", { skip }, () =>
  TwoTables.with(async (tables) => {
    tables.changeField("message_id", { nullable: false });
    await tables.isBroughtBack(/column message_id may not be null/);
  }),
);

for (const change of ["enable-change-data", "enable-deletion-vectors"] satisfies DeltaRsChange[])
  test(
    `with ${change}, blind appends continue, and our checkpoint keeps the setting for other readers`,
    { skip },
    () =>
      TwoTables.with(async (tables) => {
        changeWithDeltaRs(tables.folder(), change);
        for (let commit = 0; commit < 4; commit++) await tables.commit();
        assert.deepEqual(tables.publisher.troubles(), { parked: [], unkempt: [] });
        const log = join(tables.folder(), "_delta_log");
        const checkpoint = readdirSync(log).find((name) => name.endsWith(".checkpoint.parquet"));
        for (const name of readdirSync(log))
          if (name.endsWith(".json") && name < (checkpoint ?? "")) writeFileSync(join(log, name), "gone");
        await tables.shows(15);
        changeWithDeltaRs(tables.folder(), "compact");
        await tables.commit();
        await tables.shows(18);
        if (change !== "enable-change-data") return;
        const script = `from deltalake import DeltaTable; t = DeltaTable(${JSON.stringify(tables.folder())}); print(t.load_cdf(starting_version=t.version()).read_all().num_rows)`;
        assert.equal(python(script), "3");
      }),
  );

test("after a compaction and a vacuum, windows are seeded from the rows that the table shows", { skip }, () =>
  TwoTables.with(async (tables) => {
    await tables.commit();
    changeWithDeltaRs(tables.folder(), "compact");
    changeWithDeltaRs(tables.folder(), "vacuum");
    await tables.commit();
    const ids: string[] = [];
    const parts = [0, 1].map((partition) => ({ streamId: "stream-1", partition, sinceMs: 0 }));
    for await (const rows of createSeedSource(tables.lake).rows({ parts, upToCommit: 1e9 }))
      for (let row = 0; row < rows.length; row++)
        if (rows.topicId === topic.topicId) ids.push(Buffer.from(rows.messageIds[row] ?? []).toString());
    const expected = [1, 2, 4, 5, 7, 8].map((number) => `message-${number}`);
    assert.deepEqual(ids.sort(), expected);
  }),
);
