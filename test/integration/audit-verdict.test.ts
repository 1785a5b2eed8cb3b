import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type AuditResult, audit } from "../../simulator/audit/audit.ts";
import { openLake } from "../../simulator/audit/local-lake.ts";
import { LedgerWriter, prepareLedgerFolder } from "../../simulator/ledger/ledger-writer.ts";
import { MessagePlan } from "../../simulator/scenario/message-plan.ts";
import type { Scenario } from "../../simulator/scenario/scenario.ts";
import { newRunId } from "../../simulator/simulate.ts";
import { AuditedLake, type LakeRow } from "../support/audited-lake.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-audit-"));
after(() => rmSync(root, { recursive: true, force: true }));

const startedAtMs = Date.UTC(2026, 10, 22, 10);
const quiet = { show() {}, stop() {} };
let folders = 0;

interface Fixture {
  readonly lake: AuditedLake;
  readonly ledger: string;
  readonly plan: MessagePlan;
  /** Rows as a gateway without fault files them, by message index. */
  readonly rows: LakeRow[];
  audit(options?: { waitMs?: number; settleMs?: number }): Promise<AuditResult>;
}

interface RunOptions {
  readonly scenario?: Partial<Scenario>;
  /** Messages that the ledger calls sent, and acknowledged. */
  readonly sent?: (index: number) => boolean;
  readonly acked?: (index: number) => boolean;
  readonly isComplete?: boolean;
}

function writeRun(ledger: string, options: RunOptions = {}): { plan: MessagePlan; rows: LakeRow[] } {
  const scenario: Scenario = {
    runId: newRunId(),
    seed: 5,
    devices: 100,
    connections: 10,
    burst: 1,
    rate: 1000,
    durationS: 0.5,
    payloadBytes: 100,
    qos: 1,
    format: "json",
    filter: "fleet/{device}/telemetry",
    faults: {},
    ...options.scenario,
  };
  prepareLedgerFolder(ledger, true);
  const plan = new MessagePlan(scenario);
  const writer = new LedgerWriter(ledger, { startedAtMs, mqttUrl: "mqtt://127.0.0.1:1883", scenario });
  const rows: LakeRow[] = [];
  for (let index = 0; index < plan.total; index++) {
    if (!(options.sent ?? (() => true))(index)) continue;
    writer.reach(index);
    writer.sent(index);
    if ((options.acked ?? (() => true))(index)) writer.acked(index);
    rows[index] = rowOf(plan, index);
  }
  if (options.isComplete ?? true) writer.close();
  else writer.flush();
  return { plan, rows };
}

function rowOf(plan: MessagePlan, index: number): LakeRow {
  const document = Buffer.alloc(plan.document.bytes);
  plan.writeDocument(document, 0, index, startedAtMs);
  const poison = plan.faults.poison(index);
  const id = Buffer.alloc(plan.names.idBytes);
  plan.names.writeId(id, 0, plan.device(index), plan.sequence(index));
  const { payloadStart, payloadBytes } = plan.document;
  return {
    deviceId: plan.names.deviceId(plan.device(index)),
    topic: plan.names.topicName(plan.device(index)),
    messageId: poison && poison !== "timeless" ? null : id,
    eventTimeMs: plan.eventTimeMs(index, startedAtMs),
    ingestTimeMs: startedAtMs + 1000,
    payload: poison ? document : document.subarray(payloadStart, payloadStart + payloadBytes),
    ...(poison ? { reason: "undecodable" } : {}),
  };
}

async function fixture(options: RunOptions = {}): Promise<Fixture> {
  const folder = join(root, String(++folders));
  const ledger = join(folder, "ledger");
  const lake = await AuditedLake.create(join(folder, "lake"));
  after(() => lake.close());
  return {
    lake,
    ledger,
    ...writeRun(ledger, options),
    audit: ({ waitMs = 0, settleMs = 0 } = {}) =>
      audit(
        { ledgerFolder: ledger, lake: openLake(`file:${lake.folder}`), waitMs, settleMs },
        quiet,
        new AbortController().signal,
      ),
  };
}

function flaws({ lost, duplicated, phantom, altered }: AuditResult): number[] {
  return [lost, duplicated, phantom, altered];
}

test("a lake that holds every acknowledged message once, over several files and entries, is proven", async () => {
  const { lake, rows, audit } = await fixture();
  await lake.add("telemetry", rows.slice(0, 200));
  await lake.add("telemetry", rows.slice(200));
  const result = await audit();
  assert.deepEqual(flaws(result), [0, 0, 0, 0]);
  assert.equal(result.isProven, true);
  assert.deepEqual([result.sent, result.acked, result.stored, result.quarantined], [500, 500, 500, 0]);
  assert.equal(result.unackedStored, 0);
});

test("envelope messages are compared by their inner payload", async () => {
  const { lake, rows, audit } = await fixture({ scenario: { format: "envelope", payloadBytes: 57 } });
  assert.equal(rows[0]?.payload.length, 57);
  await lake.add("telemetry_envelope", rows);
  assert.equal((await audit()).isProven, true);
});

test("a missing row is lost, and named", async () => {
  const { lake, rows, audit } = await fixture();
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

test("an acknowledgement in the ledger without a row is lost, whatever other rows there are", async () => {
  const { lake, rows, audit } = await fixture({ sent: (index) => index < 100 });
  await lake.add("telemetry", rows.slice(0, 99));
  const result = await audit();
  assert.deepEqual([result.acked, result.stored, result.lost], [100, 99, 1]);
});

test("a row twice is duplicated: in one file, in two files, in two tables, in a table and in quarantine", async () => {
  const row = (rows: LakeRow[]) => [rows[3] as LakeRow];
  const cases: ((lake: AuditedLake, rows: LakeRow[]) => Promise<unknown>)[] = [
    (lake, rows) => lake.add("telemetry", [...rows, ...row(rows)]),
    async (lake, rows) => [await lake.add("telemetry", rows), await lake.add("telemetry", row(rows))],
    async (lake, rows) => [await lake.add("telemetry", rows), await lake.add("other", row(rows))],
  ];
  for (const write of cases) {
    const { lake, rows, audit } = await fixture();
    await write(lake, rows);
    const result = await audit();
    assert.deepEqual(flaws(result), [0, 1, 0, 0]);
    assert.equal(result.isProven, false);
  }
  const { lake, rows, audit } = await fixture();
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
    const { lake, rows, audit } = await fixture();
    rows[42] = other(rows[42] as LakeRow)[change] as LakeRow;
    await lake.add("telemetry", rows);
    const result = await audit();
    assert.deepEqual(flaws(result), [0, 0, 0, 1], `change ${change}`);
    assert.equal(result.isProven, false);
    assert.equal(result.examples.length, 1);
  }
});

test("a row that nobody sent is a phantom: never sent, beyond the run, of no device, an id with more behind it", async () => {
  const { lake, rows, plan, audit } = await fixture({ sent: (index) => index !== 60 });
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
  const { lake, rows, audit } = await fixture();
  const stranger = writeRun(join(root, "stranger"));
  await lake.add("telemetry", [
    ...rows,
    ...stranger.rows,
    { ...(rows[0] as LakeRow), messageId: Buffer.from("1") },
  ]);
  await lake.add("other", [{ ...(rows[0] as LakeRow), messageId: null, payload: Buffer.from("raw") }]);
  assert.equal((await audit()).isProven, true);
});

test("several runs in one ledger are audited together", async () => {
  const { lake, ledger, rows, audit } = await fixture();
  const second = writeRun(ledger);
  await lake.add("telemetry", [...rows, ...second.rows.slice(1)]);
  const result = await audit();
  assert.deepEqual([result.runs.length, result.acked, result.stored, result.lost], [2, 1000, 999, 1]);
});

test("planned poison belongs in quarantine, and nothing else does", async () => {
  const scenario = { faults: { poison: 0.1 } };
  const isPoison = (row: LakeRow) => row.reason !== undefined;
  const whole = await fixture({ scenario });
  const planned = whole.rows.filter(isPoison).length;
  assert.ok(planned > 10);
  await whole.lake.add(
    "telemetry",
    whole.rows.filter((row) => !isPoison(row)),
  );
  const poison = whole.rows.filter(isPoison);
  const anonymous = poison.find((row) => row.messageId === null) as LakeRow;
  // A resend of poison without a readable id cannot be told from a new message.
  await whole.lake.add("_quarantine", [...poison, anonymous]);
  const proven = await whole.audit();
  assert.deepEqual(
    [proven.quarantined, proven.plannedPoison, proven.anonymousCopies, proven.isProven],
    [planned, planned, 1, true],
  );

  const named = await fixture({ scenario });
  const known = named.rows.find((row) => isPoison(row) && row.messageId !== null) as LakeRow;
  await named.lake.add(
    "telemetry",
    named.rows.filter((row) => !isPoison(row)),
  );
  await named.lake.add("_quarantine", [...named.rows.filter(isPoison), known]);
  assert.deepEqual(flaws(await named.audit()), [0, 1, 0, 0]);

  const missing = await fixture({ scenario });
  await missing.lake.add(
    "telemetry",
    missing.rows.filter((row) => !isPoison(row)),
  );
  await missing.lake.add("_quarantine", missing.rows.filter(isPoison).slice(1));
  assert.deepEqual(flaws(await missing.audit()), [1, 0, 0, 0]);

  const filed = await fixture({ scenario });
  await filed.lake.add("telemetry", filed.rows);
  assert.equal((await filed.audit()).altered, filed.rows.filter(isPoison).length);

  const good = await fixture();
  await good.lake.add("telemetry", good.rows.slice(1));
  await good.lake.add("_quarantine", good.rows.slice(0, 1));
  const result = await good.audit();
  assert.deepEqual([...flaws(result), result.quarantined, result.plannedPoison], [0, 0, 0, 0, 1, 0]);
  assert.equal(result.isProven, false);
});

test("event times far away are expected where the run's faults plan them", async () => {
  const { lake, rows, audit } = await fixture({ scenario: { faults: { late: 0.2, clock: 0.2 } } });
  assert.ok(
    rows.some((row) => row.eventTimeMs < Date.UTC(1970, 0, 2)) &&
      rows.some((row) => row.eventTimeMs > Date.UTC(2099, 0)),
  );
  await lake.add("telemetry", rows);
  assert.equal((await audit()).isProven, true);
});

test("a message that was filed but never acknowledged is allowed, one that is neither is too", async () => {
  const { lake, rows, audit } = await fixture({ acked: (index) => index >= 10 });
  await lake.add("telemetry", rows.slice(5));
  const result = await audit();
  assert.deepEqual([result.isProven, result.unackedStored, result.lost], [true, 5, 0]);
});

test("the ledger of a killed simulator allows what may have been sent", async () => {
  const { lake, plan, rows, audit } = await fixture({ sent: (index) => index < 300, isComplete: false });
  await lake.add("telemetry", [...rows, rowOf(plan, 450)]);
  const result = await audit();
  assert.deepEqual([...flaws(result), result.unackedStored], [0, 0, 0, 0, 1]);
});

test("nothing acknowledged proves nothing", async () => {
  const { audit } = await fixture({ acked: () => false });
  const result = await audit();
  assert.deepEqual([...flaws(result), result.isProven], [0, 0, 0, 0, false]);
});

test("a hidden table entry is found: the last one by its rows, one in the middle by the hole", async () => {
  for (const hidden of [1, 2]) {
    const { lake, rows, audit } = await fixture();
    for (const at of [0, 1, 2]) await lake.add("telemetry", rows.slice(at * 200, at * 200 + 200));
    rmSync(lake.entryPath("telemetry", hidden));
    const result = await audit();
    assert.ok(result.lost > 0);
    assert.equal(result.isProven, false);
    assert.deepEqual(
      result.faults.map(({ code }) => code),
      hidden === 1 ? ["AUDIT_LOG_BROKEN"] : [],
    );
  }
});

test("a removed or damaged data file is found", async () => {
  const removed = await fixture();
  const files = [
    await removed.lake.add("telemetry", removed.rows.slice(0, 250)),
    await removed.lake.add("telemetry", removed.rows.slice(250)),
  ];
  rmSync(removed.lake.filePath("telemetry", files[1] as (typeof files)[0]));
  const result = await removed.audit();
  assert.deepEqual(
    [result.lost, result.faults[0]?.code, result.isProven],
    [250, "AUDIT_FILE_UNREADABLE", false],
  );

  const damaged = await fixture();
  const file = await damaged.lake.add("telemetry", damaged.rows);
  truncateSync(damaged.lake.filePath("telemetry", file), file.bytes - 20);
  assert.equal((await damaged.audit()).faults[0]?.code, "AUDIT_FILE_UNREADABLE");
});

test("files that no log names do not count", async () => {
  const { lake, rows, audit } = await fixture();
  await lake.add("telemetry", rows);
  await lake.write("telemetry", rows);
  assert.equal((await audit()).isProven, true);
});

test("checkpoints in one and in several parts stand for the entries before them", async () => {
  for (const parts of [1, 2]) {
    const { lake, rows, audit } = await fixture();
    await lake.add("telemetry", rows.slice(0, 100));
    const replaced = await lake.add("telemetry", rows.slice(0, 150));
    lake.commit("telemetry", {
      adds: [await lake.write("telemetry", rows.slice(100, 200))],
      removes: [replaced.path],
    });
    await lake.checkpoint("telemetry", { parts, removeEntries: true });
    await lake.add("telemetry", rows.slice(200));
    const result = await audit();
    assert.deepEqual([...flaws(result), result.isProven], [0, 0, 0, 0, true]);
  }
});

test("a table that a newer reader is needed for is refused, not misread", async () => {
  const { lake, rows, audit } = await fixture();
  await lake.add("telemetry", rows);
  const entry = lake.entryPath("telemetry", 0);
  writeFileSync(entry, readFileSync(entry, "utf8").replace('"minReaderVersion":1', '"minReaderVersion":3'));
  assert.deepEqual(
    (await audit()).faults.map(({ code }) => code),
    ["AUDIT_TABLE_UNSUPPORTED"],
  );
});

test("it waits for entries that are still to come, and reads files once though tables are compacted meanwhile", async () => {
  const { lake, rows, audit } = await fixture();
  const first = await lake.add("telemetry", rows.slice(0, 250));
  const whole = await lake.write("telemetry", rows.slice(0, 250));
  const rest = await lake.write("telemetry", rows.slice(250));
  const running = audit({ waitMs: 20_000, settleMs: 0 });
  setTimeout(
    () => lake.commit("telemetry", { adds: [whole], removes: [first.path], dataChange: false }),
    300,
  );
  setTimeout(() => lake.commit("telemetry", { adds: [rest] }), 1500);
  const result = await running;
  assert.deepEqual([...flaws(result), result.isProven], [0, 0, 0, 0, true]);
  assert.ok(result.waitedS < 20);
});

test("it does not end before a late second copy could have appeared", async () => {
  const { lake, rows, audit } = await fixture();
  await lake.add("telemetry", rows);
  const again = await lake.write("telemetry", rows.slice(0, 1));
  const running = audit({ waitMs: 20_000, settleMs: 3000 });
  setTimeout(() => lake.commit("telemetry", { adds: [again] }), 1000);
  assert.deepEqual(flaws(await running), [0, 1, 0, 0]);
});

test("files from before the run are not read", async () => {
  const { lake, rows, audit } = await fixture();
  const old = rows.map((row) => ({
    ...row,
    messageId: Buffer.from("old"),
    ingestTimeMs: startedAtMs - 2 * 3_600_000,
  }));
  await lake.add("telemetry", old);
  await lake.add("telemetry", rows);
  const result = await audit();
  assert.deepEqual([result.files, result.isProven], [1, true]);
});

test("a table that appears later, and a lake without tables, are no faults", async () => {
  const { lake, rows, audit } = await fixture();
  assert.equal((await audit()).lost, 500);
  await lake.add("telemetry", rows);
  renameSync(join(lake.folder, "telemetry"), join(lake.folder, "renamed"));
  assert.equal((await audit()).isProven, true);
});
