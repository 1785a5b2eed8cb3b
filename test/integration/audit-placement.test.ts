import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type TypedValues, typedColumns as typedNames } from "../../simulator/scenario/typed-values.ts";
import { AuditedLake, type LakeRow } from "../support/audited-lake.ts";
import { type AuditedRun, auditedRun, faultsOfPlace, flaws } from "../support/audited-run.ts";
import type { LoggedFile } from "../support/logged-file.ts";

interface Statistics {
  numRecords: number;
  minValues: Record<string, unknown>;
  maxValues: Record<string, unknown>;
  nullCount: Record<string, number>;
}

/** A complete lake of one file; `lie` changes the log's description of the file. */
async function misleading(lie: (file: LoggedFile) => LoggedFile) {
  const run = await auditedRun();
  run.lake.commit("telemetry", { adds: [lie(await run.lake.write("telemetry", run.rows))] });
  return run.audit();
}

function withStatistics(change: (statistics: Statistics) => void): (file: LoggedFile) => LoggedFile {
  return (file) => {
    const statistics = JSON.parse(file.stats) as Statistics;
    change(statistics);
    return { ...file, stats: JSON.stringify(statistics) };
  };
}

test("a lake whose logs describe its files correctly is proven", async () => {
  const result = await misleading((file) => file);
  assert.deepEqual([...flaws(result), ...faultsOfPlace(result)], [0, 0, 0, 0, 0, 0, 0]);
  assert.equal(result.isProven, true);
});

describe("rows that a query would skip are misplaced", () => {
  const in1999 = withStatistics(({ minValues, maxValues }) => {
    for (const column of ["event_time", "ingest_time"]) {
      minValues[column] = "1999-01-01T00:00:00.000Z";
      maxValues[column] = "1999-12-31T00:00:00.000Z";
    }
  });
  const cases: readonly (readonly [string, (file: LoggedFile) => LoggedFile, misplaced: number])[] = [
    ["partition values of 1999", (file) => ({ ...file, eventDate: "1999-01-01" }), 500],
    ["the next hour's partition", (file) => ({ ...file, eventHour: file.eventHour + 1 }), 500],
    ["no date", (file) => ({ ...file, eventDate: "" }), 500],
    ["times of 1999 in the statistics", in1999, 500],
    [
      "another device as the last one",
      withStatistics(({ maxValues }) => (maxValues["device_id"] = "sim-50")),
      245,
    ],
    [
      "another device as the first one",
      withStatistics(({ minValues }) => (minValues["device_id"] = "sim-50")),
      250,
    ],
  ];
  for (const [name, lie, misplaced] of cases)
    test(name, async () => {
      const result = await misleading(lie);
      assert.deepEqual(flaws(result), [0, 0, 0, 0]);
      assert.deepEqual(faultsOfPlace(result), [misplaced, 1, 0]);
      assert.equal(result.isProven, false);
      assert.ok(result.examples.some((text) => text.startsWith("misplaced: ")));
    });

  test("rows of two hours in one file are misplaced", async () => {
    const { lake, rows, audit } = await auditedRun({ scenario: { faults: { late: 0.1 } } });
    const file = await lake.write("telemetry", rows);
    lake.commit("telemetry", { adds: [file] });
    const late = rows.filter((row) => row.eventTimeMs < Date.UTC(2026, 10, 22, 10)).length;
    const result = await audit();
    const counted = rows.length - late === result.misplaced || late === result.misplaced;
    assert.ok(late > 10 && (counted || result.misplaced > 0));
    assert.deepEqual([...flaws(result), result.misstated], [0, 0, 0, 0, 0]);
  });

  test("a row of a device with a wrong clock belongs in the hour of its ingest, and a row with a wrong flag is altered", async () => {
    const run = await auditedRun({ scenario: { faults: { clock: 0.1 } } });
    await run.lake.add("telemetry", run.rows);
    assert.equal((await run.audit()).isProven, true);
    const wrong = await auditedRun();
    wrong.rows[7] = { ...(wrong.rows[7] as LakeRow), isOutside: true };
    await wrong.lake.add("telemetry", wrong.rows);
    assert.deepEqual(flaws(await wrong.audit()), [0, 0, 0, 1]);
  });
});

describe("a file that its log describes wrongly is misstated", () => {
  const cases: readonly (readonly [string, (file: LoggedFile) => LoggedFile, RegExp])[] = [
    ["its size", (file) => ({ ...file, bytes: file.bytes - 1 }), /bytes/],
    ["its rows", withStatistics((all) => (all.numRecords = 499)), /499 rows, it has 500/],
    ["a null count", withStatistics(({ nullCount }) => (nullCount["message_id"] = 1)), /message_id.*1 nulls/],
    [
      "nulls of a column that the file lacks",
      withStatistics(({ nullCount }) => (nullCount["other"] = 0)),
      /other/,
    ],
    ["a lower bound", withStatistics(({ minValues }) => (minValues["_index"] = 1)), /_index.*below/],
    ["an upper bound", withStatistics(({ maxValues }) => (maxValues["_index"] = 48)), /_index.*above/],
    ["a bound of another type", withStatistics(({ maxValues }) => (maxValues["_index"] = "x")), /_index/],
    [
      "the last ingest time, truncated to the second",
      withStatistics(({ maxValues }) => (maxValues["ingest_time"] = "2026-11-22T10:00:00.999Z")),
      /ingest_time.*above/,
    ],
  ];
  for (const [name, lie, example] of cases)
    test(name, async () => {
      const result = await misleading(lie);
      assert.deepEqual([...flaws(result), ...faultsOfPlace(result)], [0, 0, 0, 0, 0, 1, 0]);
      assert.equal(result.isProven, false);
      assert.match(result.examples[0] ?? "", example);
    });

  test("missing statistics are no fault", async () => {
    const result = await misleading((file) => ({ ...file, stats: '{"numRecords":500}' }));
    assert.equal(result.isProven, true);
  });

  test("old ingest times in the log hide no duplicates", async () => {
    const { lake, rows, audit } = await auditedRun();
    await lake.add("telemetry", rows);
    const again = await lake.write("telemetry", rows.slice(0, 3));
    const lie = withStatistics(({ maxValues }) => (maxValues["ingest_time"] = "1999-01-01T00:00:00.000Z"));
    lake.commit("telemetry", { adds: [lie(again)] });
    const result = await audit();
    assert.deepEqual([result.duplicated, result.misstated], [3, 1]);
  });
});

describe("a table whose columns its log describes wrongly is a log fault", () => {
  const without = (...names: string[]) => ({
    schemaString: AuditedLake.schemaWith(Object.fromEntries(names.map((name) => [name, undefined]))),
  });
  const cases: readonly (readonly [string, object, RegExp])[] = [
    ["a column that is not in the schema", without("payload"), /telemetry: its schema has no column payload/],
    [
      "another type",
      { schemaString: AuditedLake.schemaWith({ event_time: "long" }) },
      /event_time is long in its schema, and timestamp/,
    ],
    ["no partition columns", { partitionColumns: [] }, /telemetry is divided by nothing/],
    ["a partition column that is not in the schema", without("event_hour"), /no column event_hour/],
    ["no schema", { schemaString: "{" }, /no schema that can be read/],
  ];
  for (const [name, metaData, fault] of cases)
    test(name, async () => {
      const { lake, rows, audit } = await auditedRun();
      lake.commit("telemetry", { adds: [await lake.write("telemetry", rows)], metaData });
      const result = await audit();
      assert.deepEqual([...flaws(result), ...faultsOfPlace(result)], [0, 0, 0, 0, 0, 0, 0]);
      assert.deepEqual([result.logFaults, result.isProven], [1, false]);
      assert.match(result.examples[0] ?? "", fault);
    });
});

describe("the audit reads every column", () => {
  const changes: readonly (readonly [string, Partial<LakeRow>])[] = [
    ["payload_crc", { payloadCrc: 1 }],
    ["event_time_outside", { isOutside: true }],
    ["no place in the stream", { partition: null }],
  ];
  for (const [name, change] of changes)
    test(name, async () => {
      const { lake, rows, audit } = await auditedRun();
      rows[9] = { ...(rows[9] as LakeRow), ...change };
      await lake.add("telemetry", rows);
      const result = await audit();
      assert.deepEqual(flaws(result), [0, 0, 0, 1]);
      assert.match(result.examples[0] ?? "", new RegExp(name));
    });

  /** Rows with the temperature of their payload in a typed column. */
  function typed({ rows }: AuditedRun): LakeRow[] {
    return rows.map((row) => {
      const { temperature } = JSON.parse(Buffer.from(row.payload).toString()) as { temperature?: number };
      return { ...row, typed: { temperature: String(temperature) } };
    });
  }

  function define(
    { lake }: AuditedRun,
    version: number,
    columns: readonly string[],
    bounds: { readonly eventPastMs?: number; readonly eventAheadMs?: number } = {},
  ): void {
    const folder = join(lake.folder, "_topics", "t1");
    mkdirSync(folder, { recursive: true });
    const content = { name: "telemetry", version, columns: columns.map((name) => ({ name })), ...bounds };
    writeFileSync(join(folder, `${version}.json`), JSON.stringify(content));
  }

  describe("event_time_outside follows from the bounds of the topic's versions", () => {
    const minuteMs = 60_000;
    const late = { scenario: { faults: { late: 0.2 } } };
    const isLate = ({ eventTimeMs, ingestTimeMs }: LakeRow) => eventTimeMs < ingestTimeMs - minuteMs;

    async function audited(versions: readonly object[], flagOf: (row: LakeRow) => boolean) {
      const run = await auditedRun(late);
      for (const [at, bounds] of versions.entries()) define(run, at + 1, [], bounds);
      const rows = run.rows.map((row) => ({ ...row, isOutside: flagOf(row) }));
      await run.lake.add("telemetry", rows);
      return { flaws: flaws(await run.audit()), late: rows.filter(isLate).length };
    }

    test("of one version: all rows beyond its bounds are flagged, and no others", async () => {
      const narrow = [{ eventPastMs: minuteMs }];
      assert.deepEqual((await audited(narrow, isLate)).flaws, [0, 0, 0, 0]);
      const wrong = await audited(narrow, () => false);
      assert.ok(wrong.late > 10);
      assert.deepEqual(wrong.flaws, [0, 0, 0, wrong.late]);
      assert.deepEqual((await audited([], isLate)).flaws, [0, 0, 0, wrong.late], "by the default");
    });

    test("of two versions: a row between their bounds may have either flag, others not", async () => {
      const both = [{ eventPastMs: minuteMs }, {}];
      let turn = 0;
      assert.deepEqual((await audited(both, (row) => isLate(row) && ++turn % 2 === 0)).flaws, [0, 0, 0, 0]);
      const wrong = await audited(both, (row) => !isLate(row));
      assert.deepEqual(wrong.flaws, [0, 0, 0, 500 - wrong.late]);
    });
  });

  test("a typed column holds the value of the payload", async () => {
    const run = await auditedRun();
    define(run, 1, ["temperature"]);
    await run.lake.add("telemetry", typed(run));
    assert.equal((await run.audit()).isProven, true);
    for (const temperature of ["0", "-0.0", "NULL", "'NaN'"]) {
      const wrong = await auditedRun();
      define(wrong, 1, ["temperature"]);
      const changed = typed(wrong);
      changed[11] = { ...(changed[11] as LakeRow), typed: { temperature } };
      await wrong.lake.add("telemetry", changed);
      const result = await wrong.audit();
      assert.deepEqual(flaws(result), [0, 0, 0, 1], temperature);
      assert.match(result.examples[0] ?? "", /column temperature/);
    }
  });

  test("a column of all versions of the topic is in each file", async () => {
    const run = await auditedRun();
    define(run, 1, ["temperature"]);
    await run.lake.add("telemetry", typed(run).slice(0, 400));
    await run.lake.add("telemetry", run.rows.slice(400));
    assert.deepEqual(flaws(await run.audit()), [0, 0, 0, 100]);
  });

  test("a column that a later version added may be null", async () => {
    const run = await auditedRun();
    define(run, 1, []);
    define(run, 2, ["temperature"]);
    const rows = typed(run).map((row, index) =>
      index < 200 ? { ...row, typed: { temperature: "NULL" } } : row,
    );
    await run.lake.add("telemetry", rows);
    assert.equal((await run.audit()).isProven, true);
  });

  describe("values of each type are compared with the fleet's plan", () => {
    const scenario = { mix: { typed: 0.99 } };

    function planned({ plan, rows }: AuditedRun): LakeRow[] {
      return rows.map((row, index) => {
        const values = plan.typedValues(index);
        return values ? { ...row, typed: sqlOf(values) } : row;
      });
    }

    function sqlOf({ whole, real, flag, moment, label }: TypedValues) {
      const sql = (value: unknown) => (value === null ? "NULL" : String(value));
      return {
        whole: sql(whole.filed),
        real: real.filed === null ? "NULL" : `'${real.filed}'::DOUBLE`,
        flag: sql(flag.filed),
        moment: moment.filed === null ? "NULL" : `make_timestamptz(${moment.filed}::BIGINT)`,
        label: `'${label.filed}'`,
      };
    }

    test("planned values are proven", async () => {
      const run = await auditedRun({ scenario });
      define(run, 1, typedNames);
      await run.lake.add("telemetry", planned(run));
      const result = await run.audit();
      assert.deepEqual([result.examples, result.isProven], [[], true]);
    });

    const wrong = {
      whole: "9007199254740992",
      real: "0.30000000000000004",
      flag: "NULL",
      moment: "make_timestamptz(1::BIGINT)",
      label: "'another'",
    };
    for (const [name, sql] of Object.entries(wrong))
      test(`another ${name} is found`, async () => {
        const run = await auditedRun({ scenario });
        define(run, 1, typedNames);
        const rows = planned(run);
        const changed = rows.findIndex(
          (_, index) =>
            run.plan.typedValues(index)?.[name as keyof TypedValues].filed === true || name !== "flag",
        );
        const row = rows[changed] as LakeRow;
        rows[changed] = { ...row, typed: { ...row.typed, [name]: sql } };
        await run.lake.add("telemetry", rows);
        const result = await run.audit();
        assert.deepEqual(flaws(result), [0, 0, 0, 1]);
        assert.match(result.examples[0] ?? "", new RegExp(`column ${name} is`));
      });
  });
});
