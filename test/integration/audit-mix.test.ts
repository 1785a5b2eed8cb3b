import assert from "node:assert/strict";
import { test } from "node:test";
import type { LakeRow } from "../support/audited-lake.ts";
import { auditedRun, flaws } from "../support/audited-run.ts";

const reusing = { devices: 10, connections: 5, rate: 1000, durationS: 0.5, faults: { reused: 0.1 } } as const;

/**
 * Rows of a run in which some messages reuse ids of others: `first` of each id, and the others as a gateway
 * quarantines them.
 */
async function runWithReuse() {
  const run = await auditedRun({ scenario: reusing });
  const isLater = (index: number) => run.plan.roles.idIndex(index) !== index;
  const first = run.rows.filter((_, index) => !isLater(index));
  const later = run.rows.filter((_, index) => isLater(index)).map((row) => ({ ...row, reason: "id-reused" }));
  assert.ok(later.length > 20);
  return { ...run, first, later };
}

test("messages that reuse ids of others belong in quarantine, each once", async () => {
  const { lake, first, later, audit } = await runWithReuse();
  await lake.add("telemetry", first);
  await lake.add("_quarantine", later);
  const result = await audit();
  assert.deepEqual(flaws(result), [0, 0, 0, 0]);
  assert.deepEqual(
    [result.quarantined, result.plannedReuse, result.isProven],
    [later.length, later.length, true],
  );
});

test("a message that reuses another's id is lost if it is dropped, and duplicated if it is filed or quarantined twice", async () => {
  const dropped = await runWithReuse();
  await dropped.lake.add("telemetry", dropped.first);
  await dropped.lake.add("_quarantine", dropped.later.slice(1));
  assert.deepEqual(flaws(await dropped.audit()), [1, 0, 0, 0]);

  const filed = await runWithReuse();
  await filed.lake.add("telemetry", [...filed.first, filed.later[0] as LakeRow]);
  await filed.lake.add("_quarantine", filed.later.slice(1));
  const result = await filed.audit();
  assert.deepEqual([...flaws(result), result.isProven], [0, 1, 0, 0, false]);
  assert.match(result.examples.join(), /duplicated: .*its table has another message of this id/);

  const twice = await runWithReuse();
  await twice.lake.add("telemetry", twice.first);
  await twice.lake.add("_quarantine", [...twice.later, twice.later[0] as LakeRow]);
  assert.deepEqual(flaws(await twice.audit()), [0, 1, 0, 0]);
});

test("an id counts within a topic: another topic with the same topic name may file the id again with other content", async () => {
  const { lake, first, later, audit } = await runWithReuse();
  await lake.add("telemetry", first);
  await lake.add(
    "specific",
    later.slice(0, 1).map(({ reason: _, ...row }) => row),
  );
  await lake.add("_quarantine", later.slice(1));
  assert.equal((await audit()).isProven, true);
});

test("the first message of an id is wrong in quarantine, and every other one is wrong in a table", async () => {
  const { lake, plan, rows, audit } = await auditedRun({ scenario: reusing });
  const later = rows.findIndex((_, index) => plan.roles.idIndex(index) !== index);
  const sharing = [...plan.roles.sharingId(plan.roles.idIndex(later))].filter((index) => index < plan.total);
  const isOther = (index: number) => plan.roles.idIndex(index) !== index && !sharing.includes(index);
  await lake.add(
    "telemetry",
    rows.filter((_, index) => !isOther(index) && !sharing.includes(index)),
  );
  const wrong = sharing.map((index) => ({ ...(rows[index] as LakeRow), reason: "id-reused" }));
  const others = rows.filter((_, index) => isOther(index)).map((row) => ({ ...row, reason: "id-reused" }));
  await lake.add("_quarantine", [...others, ...wrong]);
  const result = await audit();
  assert.deepEqual([...flaws(result), result.isProven], [0, 0, 0, 0, false]);
  assert.match(result.examples.join(), /it belongs in its table/);
});

test("a refused message may be in quarantine and, after its topic was corrected, in its table, once in each", async () => {
  const run = async (rows: (all: LakeRow[]) => { filed: LakeRow[]; quarantined: LakeRow[] }) => {
    const { lake, rows: all, audit } = await auditedRun({ again: (index) => index < 5 });
    const { filed, quarantined } = rows(all);
    await lake.add("telemetry", filed);
    await lake.add("_quarantine", quarantined);
    const { mended, duplicated, isProven, ...result } = await audit();
    return { mended, duplicated, quarantined: result.quarantined, isProven };
  };
  const refused = (rows: readonly LakeRow[], reason = "schema-violated") =>
    rows.map((row) => ({ ...row, reason }));
  const five = (rows: LakeRow[]) => rows.slice(0, 5);
  const mended = await run((all) => ({ filed: all, quarantined: refused(five(all)) }));
  assert.deepEqual(mended, { mended: 5, duplicated: 0, quarantined: 5, isProven: true });

  const filedTwice = await run((all) => ({ filed: [...all, ...five(all)], quarantined: refused(five(all)) }));
  assert.deepEqual([filedTwice.duplicated, filedTwice.isProven], [5, false]);
  const refusedTwice = await run((all) => ({
    filed: all,
    quarantined: [...refused(five(all)), ...refused(five(all))],
  }));
  assert.deepEqual([refusedTwice.duplicated, refusedTwice.isProven], [5, false]);
  const reused = await run((all) => ({ filed: all, quarantined: refused(five(all), "id-reused") }));
  assert.deepEqual([reused.duplicated, reused.isProven], [5, false]);
  const sentOnce = await run((all) => ({ filed: all, quarantined: refused(all.slice(5, 8)) }));
  assert.deepEqual([sentOnce.duplicated, sentOnce.isProven], [3, false]);
  const left = await run((all) => ({ filed: all.slice(5), quarantined: refused(five(all)) }));
  assert.deepEqual(left, { mended: 0, duplicated: 0, quarantined: 5, isProven: false });
});

test("typed, enveloped, raw and big messages are compared as they were sent, and messages left with a gateway must be filed", async () => {
  const mix = { typed: 0.3, envelope: 0.2, raw: 0.2, big: 0.02, qos2: 0.5 };
  const whole = await auditedRun({ scenario: { mix } });
  await whole.lake.add("any", whole.rows);
  assert.equal((await whole.audit()).isProven, true);

  const { lake, rows, plan, audit } = await auditedRun({ scenario: { mix } });
  const typed = rows.findIndex((_, index) => plan.shape(index).kind === "typed");
  const raw = rows.findIndex((_, index) => plan.shape(index).kind === "raw");
  rows[typed] = { ...(rows[typed] as LakeRow), eventTimeMs: (rows[typed]?.eventTimeMs ?? 0) + 1 };
  // The resend of a raw message can't be distinguished from a new message.
  await lake.add("any", [...rows, rows[raw] as LakeRow]);
  const result = await audit();
  assert.deepEqual([...flaws(result), result.anonymousCopies], [0, 0, 0, 1, 1]);

  const left = await auditedRun({ acked: (index) => index >= 20, delivered: (index) => index < 20 });
  await left.lake.add("telemetry", left.rows.slice(5));
  const missing = await left.audit();
  assert.deepEqual([missing.delivered, missing.undelivered, missing.lost], [20, 5, 0]);
});
