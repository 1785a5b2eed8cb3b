import assert from "node:assert/strict";
import { test } from "node:test";
import type { AuditedLake, LakeRow } from "../support/audited-lake.ts";
import { auditedRun, flaws, rowOf, writeRun } from "../support/audited-run.ts";

test("a lake that holds every acknowledged message once, over several files and entries, is proven", async () => {
  const { lake, rows, audit } = await auditedRun();
  await lake.add("telemetry", rows.slice(0, 200));
  await lake.add("telemetry", rows.slice(200));
  const result = await audit();
  assert.deepEqual(flaws(result), [0, 0, 0, 0]);
  assert.equal(result.isProven, true);
  assert.deepEqual([result.sent, result.acked, result.stored, result.quarantined], [500, 500, 500, 0]);
  assert.equal(result.unackedStored, 0);
});

test("envelope messages are compared by their inner payload", async () => {
  const { lake, rows, audit } = await auditedRun({ scenario: { format: "envelope", payloadBytes: 57 } });
  assert.equal(rows[0]?.payload.length, 57);
  await lake.add("telemetry_envelope", rows);
  assert.equal((await audit()).isProven, true);
});

test("a missing row is lost, and its id is reported", async () => {
  const { lake, rows, audit } = await auditedRun();
  await lake.add(
    "telemetry",
    rows.filter((_, index) => index !== 77),
  );
  const result = await audit();
  assert.deepEqual(flaws(result), [1, 0, 0, 0]);
  assert.equal(result.isProven, false);
  assert.match(
    result.examples[0] ?? "",
    new RegExp(`lost: ${Buffer.from(rows[77]?.messageId ?? []).toString()}`),
  );
});

test("an acknowledged message without a row is lost, whatever other rows there are", async () => {
  const { lake, rows, audit } = await auditedRun({ sent: (index) => index < 100 });
  await lake.add("telemetry", rows.slice(0, 99));
  const result = await audit();
  assert.deepEqual([result.acked, result.stored, result.lost], [100, 99, 1]);
});

test("a second row is a duplicate: in one file, in two files, in two tables, in a table and in quarantine", async () => {
  const row = (rows: LakeRow[]) => [rows[3] as LakeRow];
  const cases: ((lake: AuditedLake, rows: LakeRow[]) => Promise<unknown>)[] = [
    (lake, rows) => lake.add("telemetry", [...rows, ...row(rows)]),
    async (lake, rows) => [await lake.add("telemetry", rows), await lake.add("telemetry", row(rows))],
    async (lake, rows) => [await lake.add("telemetry", rows), await lake.add("other", row(rows))],
  ];
  for (const write of cases) {
    const { lake, rows, audit } = await auditedRun();
    await write(lake, rows);
    const result = await audit();
    assert.deepEqual(flaws(result), [0, 1, 0, 0]);
    assert.equal(result.isProven, false);
  }
  const { lake, rows, audit } = await auditedRun();
  await lake.add("telemetry", rows);
  await lake.add("_quarantine", [{ ...(rows[3] as LakeRow), reason: "id-reused" }]);
  assert.deepEqual(flaws(await audit()), [0, 1, 0, 0]);
});

test("a row whose payload, topic, device or event time differs is altered", async () => {
  const other = (row: LakeRow): LakeRow[] => {
    const payload = Buffer.from(row.payload);
    payload[50] = (payload[50] ?? 0) ^ 1;
    return [
      { ...row, payload },
      { ...row, payload: row.payload.subarray(0, -1) },
      { ...row, topic: `${row.topic}x` },
      { ...row, deviceId: "sim-98x" },
      { ...row, eventTimeMs: row.eventTimeMs + 1 },
    ];
  };
  for (const change of [0, 1, 2, 3, 4]) {
    const { lake, rows, audit } = await auditedRun();
    rows[42] = other(rows[42] as LakeRow)[change] as LakeRow;
    await lake.add("telemetry", rows);
    const result = await audit();
    assert.deepEqual(flaws(result), [0, 0, 0, 1], `change ${change}`);
    assert.equal(result.isProven, false);
    assert.equal(result.examples.length, 1);
  }
});

test("a row that nobody sent is a phantom: never sent, beyond the run, of no device, or with more text after the id", async () => {
  const { lake, rows, plan, audit } = await auditedRun({ sent: (index) => index !== 60 });
  const id = (text: string) => Buffer.from(text.padEnd(plan.names.idBytes, "0"));
  const first = rows[0] as LakeRow;
  const runId = Buffer.from(first.messageId ?? [])
    .subarray(0, 11)
    .toString();
  const phantoms = [
    rowOf(plan, 60),
    { ...first, messageId: id(`${runId}.zz.0`) },
    { ...first, messageId: id(`${runId}.00.z`) },
    { ...first, messageId: Buffer.concat([first.messageId ?? Buffer.alloc(0), Buffer.from("x")]) },
  ];
  await lake.add("telemetry", [...rows.filter((_, index) => index !== 60), ...phantoms]);
  const result = await audit();
  assert.deepEqual(flaws(result), [0, 0, 4, 0]);
  assert.equal(result.isProven, false);
});

test("rows of other runs and of other clients do not count", async () => {
  const { lake, ledger, rows, audit } = await auditedRun();
  const stranger = writeRun(`${ledger}-of-others`);
  await lake.add("telemetry", [
    ...rows,
    ...stranger.rows,
    { ...(rows[0] as LakeRow), messageId: Buffer.from("1") },
  ]);
  await lake.add("other", [{ ...(rows[0] as LakeRow), messageId: null, payload: Buffer.from("raw") }]);
  assert.equal((await audit()).isProven, true);
});

test("several runs in one ledger are audited together", async () => {
  const { lake, ledger, rows, audit } = await auditedRun();
  const second = writeRun(ledger);
  await lake.add("telemetry", [...rows, ...second.rows.slice(1)]);
  const result = await audit();
  assert.deepEqual([result.runs.length, result.acked, result.stored, result.lost], [2, 1000, 999, 1]);
});

test("only planned poison belongs in quarantine", async () => {
  const scenario = { faults: { poison: 0.1 } };
  const isPoison = (row: LakeRow) => row.reason !== undefined;
  const whole = await auditedRun({ scenario });
  const planned = whole.rows.filter(isPoison).length;
  assert.ok(planned > 10);
  await whole.lake.add(
    "telemetry",
    whole.rows.filter((row) => !isPoison(row)),
  );
  const poison = whole.rows.filter(isPoison);
  const anonymous = poison.find((row) => row.messageId === null) as LakeRow;
  // A resend of poison without a readable id can't be distinguished from a new message.
  await whole.lake.add("_quarantine", [...poison, anonymous]);
  const proven = await whole.audit();
  assert.deepEqual(
    [proven.quarantined, proven.plannedPoison, proven.anonymousCopies, proven.isProven],
    [planned, planned, 1, true],
  );

  const named = await auditedRun({ scenario });
  const known = named.rows.find((row) => isPoison(row) && row.messageId !== null) as LakeRow;
  await named.lake.add(
    "telemetry",
    named.rows.filter((row) => !isPoison(row)),
  );
  await named.lake.add("_quarantine", [...named.rows.filter(isPoison), known]);
  assert.deepEqual(flaws(await named.audit()), [0, 1, 0, 0]);

  const missing = await auditedRun({ scenario });
  await missing.lake.add(
    "telemetry",
    missing.rows.filter((row) => !isPoison(row)),
  );
  await missing.lake.add("_quarantine", missing.rows.filter(isPoison).slice(1));
  assert.deepEqual(flaws(await missing.audit()), [1, 0, 0, 0]);

  const filed = await auditedRun({ scenario });
  await filed.lake.add("telemetry", filed.rows);
  assert.equal((await filed.audit()).altered, filed.rows.filter(isPoison).length);

  const good = await auditedRun();
  await good.lake.add("telemetry", good.rows.slice(1));
  await good.lake.add("_quarantine", good.rows.slice(0, 1));
  const result = await good.audit();
  assert.deepEqual([...flaws(result), result.quarantined, result.plannedPoison], [0, 0, 0, 0, 1, 0]);
  assert.equal(result.isProven, false);
});

test("event times far away are expected if the run's faults plan them", async () => {
  const { lake, rows, audit } = await auditedRun({ scenario: { faults: { late: 0.2, clock: 0.2 } } });
  assert.ok(
    rows.some((row) => row.eventTimeMs < Date.UTC(1970, 0, 2)) &&
      rows.some((row) => row.eventTimeMs > Date.UTC(2099, 0)),
  );
  await lake.add("telemetry", rows);
  assert.equal((await audit()).isProven, true);
});

test("unacknowledged messages may be filed, and may be missing", async () => {
  const { lake, rows, audit } = await auditedRun({ acked: (index) => index >= 10 });
  await lake.add("telemetry", rows.slice(5));
  const result = await audit();
  assert.deepEqual([result.isProven, result.unackedStored, result.lost], [true, 5, 0]);
});

test("the ledger of a killed simulator allows the messages that may have been sent", async () => {
  const { lake, plan, rows, audit } = await auditedRun({ sent: (index) => index < 300, isComplete: false });
  await lake.add("telemetry", [...rows, rowOf(plan, 450)]);
  const result = await audit();
  assert.deepEqual([...flaws(result), result.unackedStored], [0, 0, 0, 0, 1]);
});

test("without acknowledged messages, nothing is proven", async () => {
  const { audit } = await auditedRun({ acked: () => false });
  const result = await audit();
  assert.deepEqual([...flaws(result), result.isProven], [0, 0, 0, 0, false]);
});
