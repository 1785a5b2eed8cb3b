import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { AuditResult } from "../../simulator/audit/audit.ts";
import type { LakeFiles } from "../../simulator/audit/lake-files.ts";
import { openLake } from "../../simulator/audit/open-lake.ts";
import { faultsOfPlace, flaws, startedAtMs } from "../support/audited-run.ts";
import { type LandedLies, type LandedRun, landedRun } from "../support/landed-run.ts";

const none = [0, 0, 0, 0, 0, 0, 0, 0];

/** Lost, duplicated, phantom, altered, misplaced, misstated, disordered, faults of the log. */
function findings(result: AuditResult): number[] {
  return [...flaws(result), ...faultsOfPlace(result), result.logFaults];
}

function has(result: AuditResult, text: RegExp): void {
  assert.ok(
    result.examples.some((example) => text.test(example)),
    result.examples.join("\n"),
  );
}

/** Audits a lake with a lie. `counts` are those that are not 0, by their number in `findings`. */
async function assertFound(lies: LandedLies, counts: Readonly<Record<number, number>>, text: RegExp) {
  const result = await (await landedRun(lies)).audit();
  assert.deepEqual(findings(result), Object.assign([...none], counts), result.examples.join("\n"));
  assert.equal(result.isProven, false);
  has(result, text);
}

test("rows count once, whether they are settled, wait in a lane, or in a table file of their commit", async () => {
  const run = await landedRun();
  const result = await run.audit();
  assert.deepEqual(result.faults, []);
  assert.deepEqual(result.examples, []);
  assert.deepEqual(findings(result), none);
  assert.equal(result.isProven, true);
  assert.ok(result.quarantined > 4);
  // Three landing files, the settling file, and the one that its table does not show.
  assert.equal(result.files, 5);
});

test("a landed lake is proven with its bounds and its snapshot", async () => {
  const { lake, audit } = await landedRun();
  lake.commits.appendUpkeep({ settled: { 1: [0, 1, 0, 0] } });
  lake.commits.snapshot(({ tables, moves }) => {
    Object.assign(tables["telemetry"] ?? {}, { settled: { direct: 0, even: 1, odd: 0, late: 0 } });
    Object.assign(moves, lake.commits.read(3).moves);
  });
  const result = await audit();
  assert.deepEqual([result.examples, result.isProven], [[], true]);
});

describe("a landing file with a wrong row", () => {
  const at = (index: number, change: object) => ({
    row: <Row>(row: Row, each: number) => (each === index ? { ...row, ...change } : row),
  });
  const [lost, duplicated, altered, misplaced, misstated] = [0, 1, 3, 4, 5];

  test("of another lane", () =>
    assertFound(
      at(310, { lane: "odd" }),
      { [misstated]: 1 },
      /_landing\/.*: row \d+: _lane is odd, not even/,
    ));
  test("of a lane that is settled: it counts no more", () =>
    assertFound(
      { ...at(110, { lane: "even" }), settles: { even: 2 } },
      { [lost]: 1, [misstated]: 1 },
      /row \d+: _lane is even, not late/,
    ));
  test("of another hour", () =>
    assertFound(
      at(310, { hour: 1 }),
      { [misplaced]: 1, [misstated]: 1 },
      /_landing\/.*: row \d+: _hour is 1, not \d+/,
    ));
  test("that its payload contradicts", () =>
    assertFound(
      at(310, { values: "[1,null,null,null,null]" }),
      { [altered]: 1 },
      /altered: .*column whole is 1/,
    ));
  test("with a value too few", () =>
    assertFound(
      at(310, { values: "[null,null,null,null]" }),
      { [altered]: 1 },
      /_values has 4 values, and its version 5 columns/,
    ));
  test("with values that are no JSON", () =>
    assertFound(at(310, { values: "[1,2,3,4,5" }), { [altered]: 1 }, /_values is not a JSON array/));
  test("with another CRC", () =>
    assertFound(at(310, { payloadCrc: 1 }), { [altered]: 1 }, /payload_crc is 1/));
  test("twice", async () => {
    const run = await landedRun({ settled: (rows) => rows, settles: { even: 0 } });
    const result = await run.audit();
    assert.equal(findings(result)[duplicated], run.settled.rows);
    has(result, /duplicated: .* again in _landing\//);
  });
});

describe("a landing file that its entry describes wrongly", () => {
  const cases: readonly (readonly [string, LandedLies["second"] & object, RegExp])[] = [
    ["its bytes", { lie: (said) => ({ ...said, bytes: 1 }) }, /commit 2 says 1 bytes, it has \d+/],
    [
      "its first stream time",
      { lie: (said) => ({ ...said, minStreamMs: said.minStreamMs + 1 }) },
      /commit 2 says stream times from \d+ to \d+ ms, it has/,
    ],
    [
      "its last stream time",
      { lie: (said) => ({ ...said, maxStreamMs: said.maxStreamMs - 1 }) },
      /commit 2 says stream times from/,
    ],
    [
      "the order of its rows",
      { order: "r.reason IS NOT NULL, g.topic_id, g.hour, r.event_time DESC" },
      /row \d+ stands after a row that it comes before/,
    ],
    [
      "quarantined rows first",
      { order: "r.reason IS NULL, g.topic_id, g.hour, r.event_time" },
      /row \d+ stands after a row that it comes before/,
    ],
  ];
  for (const [name, second, text] of cases) test(name, () => assertFound({ second }, { 5: 1 }, text));

  test("the number of its rows", async () => {
    const { lake, audit } = await landedRun();
    lake.commits.change(2, ({ landing }) => {
      const ofTable = landing?.rows["late"]?.find(([ordinal]) => ordinal === 1);
      if (ofTable) ofTable[1]++;
    });
    const result = await audit();
    assert.deepEqual(findings(result), [0, 0, 0, 0, 0, 1, 0, 1]);
    has(result, /misstated: .*commit 2 says \d+ rows of telemetry in lane late, it has \d+/);
    has(result, /logFaults: commit 2: its files have \d+ rows, its books say \d+/);
  });

  test("a table that it has no rows of", async () => {
    const { lake, audit } = await landedRun();
    lake.commits.change(2, ({ landing }) => delete landing?.rows["even"]);
    const result = await audit();
    assert.equal(findings(result)[5], 1);
    has(result, /misstated: .*commit 2 says no rows of _quarantine in lane even, it has \d+/);
  });
});

describe("a landing file that cannot be read", () => {
  const file = ({ lake }: LandedRun, commit: number) =>
    join(lake.folder, lake.commits.read(commit).landing?.path ?? "");
  const cases: readonly (readonly [string, (run: LandedRun) => void, RegExp])[] = [
    ["missing", (run) => rmSync(file(run, 2)), /which commit 2 names, can't be read: it is not there/],
    [
      "cut",
      (run) => writeFileSync(file(run, 2), readFileSync(file(run, 2)).subarray(0, 4000)),
      /which commit 2 names, can't be read: /,
    ],
    [
      "with a damaged page",
      (run) => {
        const bytes = readFileSync(file(run, 2));
        writeFileSync(file(run, 2), bytes.fill(0xff, 4, 2000));
      },
      /which commit 2 names, can't be read: /,
    ],
  ];
  for (const [name, damage, text] of cases)
    test(name, async () => {
      const run = await landedRun();
      damage(run);
      const result = await run.audit();
      assert.match(result.faults.map(({ message }) => message).join(), text);
      assert.equal(result.faults[0]?.code, "AUDIT_FILE_UNREADABLE");
      assert.ok(findings(result)[0], "its rows are lost");
      assert.equal(result.isProven, false);
    });

  const columns: readonly (readonly [string, Record<string, string | null>, RegExp])[] = [
    ["without lanes", { _lane: null }, /it has no column _lane/],
    ["with hours of another type", { _hour: "g.hour::BIGINT" }, /its column _hour is long, not integer/],
    ["with places of another type", { _index: "r._index::BIGINT" }, /its column _index is long, not integer/],
  ];
  for (const [name, changed, text] of columns)
    test(name, async () => {
      const result = await (await landedRun({ second: { columns: changed } })).audit();
      assert.match(result.faults.map(({ message }) => message).join(), text);
    });

  test("is not missed once all its rows are settled", async () => {
    const run = await landedRun();
    const quarantined = run.lake.commits.read(1).landing?.rows["even"]?.some(([ordinal]) => ordinal === 0);
    assert.equal(quarantined, true, "the file has a row that waits");
    rmSync(file(run, 1));
    assert.match((await run.audit()).faults[0]?.message ?? "", /which commit 1 names/);
  });
});

describe("lanes that tables or the log call settled", () => {
  test("a hole: the table says that rows are settled, and no file has them", async () => {
    const run = await landedRun({ settled: (rows) => rows.slice(3) });
    const result = await run.audit();
    assert.deepEqual(findings(result), [3, 0, 0, 0, 0, 0, 0, 1], result.examples.join("\n"));
    has(
      result,
      /table telemetry, version 0: its files have \d+ rows, the commits that it settles landed \d+/,
    );
    has(result, /lost: .* acknowledged, and neither in a table nor in quarantine/);
  });

  test("a bound above what the table shows hides the rows", async () => {
    const run = await landedRun();
    run.lake.commits.appendUpkeep({ settled: { 1: [0, 3, 0, 0] } });
    const result = await run.audit();
    assert.ok((findings(result)[0] ?? 0) > 100);
    has(result, /the log says that telemetry shows commits of lane even up to 3, it does up to 1/);
  });

  test("a lane that goes back", async () => {
    const run = await landedRun();
    run.lake.commit("telemetry", { settles: { even: 0 } });
    has(await run.audit(), /table telemetry, version 1: lane even goes back from 1 to 0/);
  });

  test("a table file that its table shows before its lane says so", async () => {
    const run = await landedRun();
    run.lake.commit("telemetry", { adds: [run.waiting], isForeign: true });
    const result = await run.audit();
    assert.equal(findings(result)[1], run.waiting.rows);
  });

  test("a table file that its lane calls settled, and that its table does not show", async () => {
    const run = await landedRun();
    run.lake.commit("telemetry", { settles: { direct: 2 } });
    const result = await run.audit();
    assert.equal(findings(result)[0], run.waiting.rows);
    has(result, /commit 2, telemetry\/.*: its table does not show it/);
  });

  test("landed rows and a table file may be settled by one version, which a checkpoint replaces", async () => {
    const run = await landedRun({ isUnsettled: true });
    run.lake.commit("telemetry", { adds: [run.settled, run.waiting], settles: { direct: 2, even: 1 } });
    for (const removeEntries of [false, true]) {
      if (removeEntries) await run.lake.checkpoint("telemetry", { parts: 1, removeEntries });
      const result = await run.audit();
      assert.deepEqual([result.examples, result.isProven], [[], true]);
    }
  });

  test("a table file that is settled later is proven", async () => {
    const run = await landedRun();
    run.lake.commit("telemetry", { adds: [run.waiting], settles: { direct: 2 } });
    const result = await run.audit();
    assert.deepEqual([result.examples, result.isProven], [[], true]);
  });
});

describe("entries that the log gives up", () => {
  /** The snapshot sums up everything, and the entries below are deleted if asked. */
  function sumUp({ lake: { commits } }: LandedRun, firstKept: number, isDeleted: boolean): void {
    const { moves } = commits.read(3);
    commits.snapshot((snapshot) => Object.assign(snapshot, { moves, firstKept }));
    for (let each = 1; isDeleted && each < firstKept; each++) commits.remove(each);
  }

  /** Shows the quarantined rows of the first commit. */
  async function settleQuarantine({ lake, rows }: LandedRun): Promise<void> {
    const quarantined = rows.slice(0, 100).filter(({ reason }) => reason !== undefined);
    const timed = quarantined.map((row) => ({ ...row, streamTimeMs: startedAtMs }));
    lake.commit("_quarantine", { adds: [await lake.write("_quarantine", timed)], settles: { even: 1 } });
  }

  test("are no fault if tables show all their rows", async () => {
    const run = await landedRun();
    await settleQuarantine(run);
    run.lake.commits.appendUpkeep({ firstKept: 2 });
    for (const work of [() => {}, () => sumUp(run, 2, false), () => sumUp(run, 2, true)]) {
      work();
      const result = await run.audit();
      assert.deepEqual([result.examples, result.isProven], [[], true]);
    }
  });

  test("with landed rows that no table shows, whether the entry still exists or not", async () => {
    const run = await landedRun();
    run.lake.commits.appendUpkeep({ firstKept: 2 });
    const text = /gives up commit 1, and _quarantine lacks its rows: it shows lane even up to 0/;
    const said = await run.audit();
    assert.deepEqual(findings(said), [...none.slice(0, 7), 1]);
    has(said, text);
    sumUp(run, 2, false);
    has(await run.audit(), text);
  });

  test("with rows that only the snapshot remembers", async () => {
    const run = await landedRun();
    run.lake.commits.appendUpkeep({ firstKept: 4 });
    sumUp(run, 4, true);
    const result = await run.audit();
    assert.ok((findings(result)[0] ?? 0) > 300);
    has(result, /commit 3, and telemetry lacks its rows: it shows lane even up to 1/);
    has(result, /commit 2, and telemetry lacks its rows: it shows lane late up to 0/);
  });

  test("with a table file that its table does not show", async () => {
    const run = await landedRun();
    run.lake.commits.appendUpkeep({ firstKept: 3 });
    has(await run.audit(), /commit 2, and telemetry lacks its rows: it shows lane direct up to 0/);
  });
});

describe("a lane that is settled while the audit reads", () => {
  /** Does the work when the log is listed for the nth time: each cut lists it twice, and the watch once. */
  async function auditWhile(run: LandedRun, at: number, work: () => void): Promise<AuditResult> {
    const files = openLake(`file:${run.lake.folder}`);
    let listed = 0;
    const lake: LakeFiles = {
      open: (path) => files.open(path),
      modifiedAtMs: (path) => files.modifiedAtMs(path),
      list: (folder) => {
        if (folder === "_commits" && ++listed === at) work();
        return files.list(folder);
      },
    };
    const result = await run.audit({ lake });
    assert.equal(listed, 5, "two cuts, and the watch between them");
    return result;
  }

  /** Settles the even rows of the first commit. The log says so as well if asked. */
  function settle(run: LandedRun, isSaid: boolean): void {
    run.lake.commit("telemetry", { adds: [run.settled], settles: { even: 1 } });
    if (isSaid) run.lake.commits.appendUpkeep({ settled: { 1: [0, 1, 0, 0] } });
  }

  const cases: readonly (readonly [string, at: number, isSaid: boolean, files: number])[] = [
    ["before the last cut, whose rows count afresh", 4, false, 5],
    ["after the tables of the last cut were read", 5, false, 4],
    ["after the tables of the last cut were read, with a bound in the log", 5, true, 4],
  ];
  for (const [name, at, isSaid, read] of cases)
    test(name, async () => {
      const run = await landedRun({ isUnsettled: true });
      const result = await auditWhile(run, at, () => settle(run, isSaid));
      assert.deepEqual([result.examples, findings(result), result.isProven], [[], none, true]);
      assert.equal(result.files, read);
    });
});
