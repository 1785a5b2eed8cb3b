import assert from "node:assert/strict";
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { auditText } from "../../simulator/audit/audit-text.ts";
import type { LakeRow } from "../support/audited-lake.ts";
import {
  type AuditedRun,
  type AuditedRunOptions,
  auditedRun,
  flaws,
  startedAtMs,
} from "../support/audited-run.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** The hour in which the run began, in hours since the epoch. */
const runHour = startedAtMs / hourMs;
/** Rows of this day of late messages and older ones expire. */
const bound = runHour - 72;

interface Defined {
  readonly version?: number;
  readonly topicId?: string;
  readonly filter?: string;
  readonly name?: string;
  readonly createdAtMs?: number;
  readonly eventPastMs?: number;
}

function define({ lake }: AuditedRun, definition: Defined = {}): void {
  const { topicId = "t1", version = 1 } = definition;
  const folder = join(lake.folder, "_topics", topicId);
  mkdirSync(folder, { recursive: true });
  const standard = { name: "telemetry", filter: "fleet/{device}/telemetry", eventPastMs: 400 * dayMs };
  const content = { ...standard, columns: [], ...definition, topicId, version };
  writeFileSync(join(folder, `${version}.json`), JSON.stringify(content));
}

const late = { faults: { late: 0.3 } };
const hourOf = ({ eventTimeMs }: LakeRow) => Math.floor(eventTimeMs / hourMs);
const isBelow = (row: LakeRow) => hourOf(row) < bound;

interface Retained {
  readonly run?: AuditedRunOptions;
  readonly definitions?: readonly Defined[];
  /** Rows that leave the table. */
  readonly isRemoved?: (row: LakeRow, index: number) => boolean;
  /** What the entry that removes them says; undefined = it says nothing. */
  readonly said?: number | undefined;
}

/** A lake of late messages, a file for each hour; then an entry removes rows. */
async function retained({ run: options, definitions = [{}], isRemoved = isBelow, ...more }: Retained = {}) {
  const run = await auditedRun({ scenario: late, ...options });
  for (const definition of definitions) define(run, definition);
  const said = "said" in more ? more.said : bound;
  const rows = run.rows.filter((row) => row !== undefined);
  const kept = rows.filter((row, index) => !isRemoved(row, index));
  const gone = rows.filter((row, index) => isRemoved(row, index));
  await run.lake.add("telemetry", kept);
  const files = [];
  for (const hour of new Set(gone.map(hourOf)))
    files.push(
      await run.lake.write(
        "telemetry",
        gone.filter((row) => hourOf(row) === hour),
      ),
    );
  run.lake.commit("telemetry", { adds: files });
  const removes = files.map(({ path }) => path);
  run.lake.commit("telemetry", { removes, settles: said === undefined ? {} : { retention: said } });
  return { run, gone: gone.length, audited: () => run.audit() };
}

test("acknowledged rows below the bound that are absent are expired, and the lake is proven", async () => {
  const { audited, gone, run } = await retained();
  const result = await audited();
  assert.ok(gone > 30);
  assert.deepEqual([result.examples, result.isProven], [[], true]);
  assert.deepEqual([...flaws(result), result.expired, result.stored], [0, 0, 0, 0, gone, 500 - gone]);
  assert.equal(result.unackedStored, 0);
  assert.match(
    auditText(result),
    /PROVEN: .* exactly once, as it was sent, or expired by the retention of its topic\n$/,
  );
  await run.lake.checkpoint("telemetry", { parts: 1, removeEntries: true });
  const later = await audited();
  assert.deepEqual([later.isProven, later.expired, later.lost], [true, gone, 0]);
});

test("rows below the bound that are present are still checked, also before they are removed", async () => {
  const { audited } = await retained({ isRemoved: (row, index) => isBelow(row) && index % 2 === 0 });
  assert.deepEqual([(await audited()).isProven, (await audited()).lost], [true, 0]);
  const changed = await auditedRun({ scenario: late });
  define(changed);
  const at = changed.rows.findIndex(isBelow);
  changed.rows[at] = { ...(changed.rows[at] as LakeRow), payloadCrc: 1 };
  await changed.lake.add("telemetry", changed.rows);
  changed.lake.commit("telemetry", { removes: [], settles: { retention: bound } });
  assert.deepEqual(flaws(await changed.audit()), [0, 0, 0, 1]);
});

test("a topic without a retention may have a bound", async () => {
  const run = await auditedRun();
  define(run);
  await run.lake.add("telemetry", run.rows);
  run.lake.commit("telemetry", { settles: { retention: runHour - 100 } });
  const result = await run.audit();
  assert.deepEqual([result.isProven, result.expired], [true, 0]);
  assert.match(auditText(result), /PROVEN: .* exactly once, as it was sent\n$/);
});

describe("broken on purpose, the audit fails", () => {
  test("rows above the bound were removed", async () => {
    const { audited, gone } = await retained({ isRemoved: (row) => hourOf(row) < bound + 10 });
    const result = await audited();
    assert.equal(result.isProven, false);
    assert.ok(result.lost > 0 && result.expired > 0);
    assert.equal(result.lost + result.expired, gone);
    assert.ok(result.logFaults > 0);
    assert.ok(result.examples.some((text) => /retention up to hour \d+ removes telemetry\//.test(text)));
  });

  test("rows were removed, and no entry says a bound", async () => {
    const { audited, gone } = await retained({ said: undefined });
    const result = await audited();
    assert.deepEqual([result.isProven, result.lost, result.expired], [false, gone, 0]);
  });

  test("the bound is less than a day ago", async () => {
    const said = Math.floor(Date.now() / hourMs) - 20;
    const { audited } = await retained({ said });
    const result = await audited();
    assert.deepEqual([result.isProven, result.logFaults], [false, 1]);
    assert.ok(result.examples.some((text) => text.includes("less than a day ago")));
  });

  test("the bound goes back", async () => {
    const { audited, run } = await retained();
    run.lake.commit("telemetry", { settles: { retention: bound - 1 } });
    const result = await audited();
    assert.ok(result.examples.some((text) => text.includes("retention goes back from hour")));
    assert.equal(result.isProven, false);
  });

  test("the bound is that of another lake, or of another table", async () => {
    const run = await auditedRun({ scenario: late });
    define(run);
    await run.lake.add(
      "telemetry",
      run.rows.filter((row) => !isBelow(row)),
    );
    run.lake.commit("other", { settles: { retention: bound } });
    const result = await run.audit();
    assert.ok(result.lost > 30);
    assert.equal(result.expired, 0);
  });
});

describe("a row counts as expired only if each hour and table in which it may have been is below the bound", () => {
  const lost = async (options: Retained) => {
    const { audited, gone } = await retained(options);
    const result = await audited();
    assert.ok(gone > 30);
    return { lost: result.lost === gone && result.expired === 0, proven: result.isProven };
  };

  test("its event time may have been outside of the topic's bounds: it is filed under its ingest time", async () => {
    assert.deepEqual(await lost({ definitions: [{ eventPastMs: hourMs }] }), { lost: true, proven: false });
  });

  test("an earlier version may have judged it, unless the run began later", async () => {
    const before = { eventPastMs: hourMs, createdAtMs: startedAtMs - 9 * dayMs };
    const during = [before, { version: 2, createdAtMs: startedAtMs + 1 }];
    assert.equal((await lost({ definitions: during })).lost, true);
    const earlier = [before, { version: 2, createdAtMs: startedAtMs - dayMs }];
    assert.deepEqual(await lost({ definitions: earlier }), { lost: false, proven: true });
  });

  test("another topic takes its name, and its table has no bound", async () => {
    const specific = { topicId: "t2", name: "other", filter: "fleet/+/{kind}" };
    const during = { createdAtMs: startedAtMs + 1 };
    const other = { ...specific, filter: "fleet/{device}/telemetry" };
    assert.equal(
      (await retained({ definitions: [{}, other] }).then(({ audited }) => audited())).isProven,
      false,
    );
    for (const apart of [
      { ...specific, filter: "plant/#" },
      { ...specific, filter: "fleet/#" },
    ])
      assert.equal((await lost({ definitions: [{}, apart] })).proven, true, apart.filter);
    const definitions = [during, { ...specific, filter: "fleet/#" }];
    assert.equal((await lost({ definitions })).lost, true, "it was there before the more specific one");
  });

  test("no topic is known", async () => {
    assert.equal((await lost({ definitions: [] })).lost, true);
  });
});

describe("quarantine and ids that were used before", () => {
  const scenario = { faults: { late: 0.4, poison: 0.2, reused: 0.2 } };

  /** Each row where it belongs; late rows of tables with a bound are gone. */
  async function mixed(
    bounds: { readonly telemetry?: number; readonly _quarantine?: number },
    faults: object = scenario.faults,
    { endedAtMs = Date.now() } = {},
  ) {
    const run = await auditedRun({ scenario: { faults } });
    define(run);
    for (const name of readdirSync(run.ledger, { recursive: true, encoding: "utf8" }))
      utimesSync(join(run.ledger, name), endedAtMs / 1000, endedAtMs / 1000);
    const { plan, rows } = run;
    const isReused = (index: number) => plan.roles.idIndex(index) !== index;
    const belongs = rows.map((row, index) => (isReused(index) ? { ...row, reason: "id-reused" } : row));
    for (const table of ["telemetry", "_quarantine"] as const) {
      const said = bounds[table];
      const ofTable = belongs.filter(({ reason }) => (reason === undefined) === (table === "telemetry"));
      const isKept = (row: LakeRow) => said === undefined || hourOf(row) >= said;
      await run.lake.add(table, ofTable.filter(isKept));
      if (said !== undefined) run.lake.commit(table, { settles: { retention: said } });
    }
    return run.audit();
  }

  test("with a bound of the table alone, quarantined rows stay, and reused ids stay planned", async () => {
    const result = await mixed({ telemetry: bound });
    assert.deepEqual([result.examples, result.lost, result.isProven], [[], 0, true]);
    assert.ok(result.expired > 20 && result.plannedReuse > 5);
  });

  test("a reused id's row leaves the quarantine by its ingest: only its hour was below, so it is lost", async () => {
    const late = await mixed({ _quarantine: bound }, { late: 0.4, reused: 0.2 });
    assert.deepEqual([late.expired, late.isProven], [0, false]);
    assert.ok(late.lost > 0);
    const later = { endedAtMs: startedAtMs + hourMs };
    const all = await mixed({ _quarantine: runHour + 4 }, { late: 0.4, reused: 0.2 }, later);
    assert.deepEqual([all.lost, all.isProven], [0, true], all.examples.join());
    assert.ok(all.expired > late.lost);
  });

  test("an entry may not remove a quarantined file whose newest row was ingested above its bound", async () => {
    const run = await auditedRun();
    const rows = run.rows.map((row) => ({ ...row, eventTimeMs: row.eventTimeMs - 5 * dayMs, reason: "x" }));
    const file = await run.lake.write("_quarantine", rows.slice(0, 5));
    run.lake.commit("_quarantine", { adds: [file] });
    run.lake.commit("_quarantine", { removes: [file.path], settles: { retention: bound } });
    const { examples } = await run.audit();
    assert.ok(
      examples.some((text) => /retention up to hour \d+ removes _quarantine\//.test(text)),
      examples.join(),
    );
  });

  test("poison that was removed from the quarantine is lost unless each hour that it may have had is below", async () => {
    const result = await mixed({ _quarantine: bound });
    assert.ok(result.lost > 0);
    const now = Math.floor(Date.now() / hourMs) - 24;
    assert.equal((await mixed({ _quarantine: now })).lost > 0, true, "its ingest hour is above");
  });
});
