// Runs whose ledger and lake a test writes by hand, to test the audit. All of it is removed after the test
// file.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { type AuditResult, audit } from "../../simulator/audit/audit.ts";
import type { LakeFiles } from "../../simulator/audit/lake-files.ts";
import { openLake } from "../../simulator/audit/open-lake.ts";
import { LedgerWriter, prepareLedgerFolder } from "../../simulator/ledger/ledger-writer.ts";
import { MessagePlan } from "../../simulator/scenario/message-plan.ts";
import type { Scenario } from "../../simulator/scenario/scenario.ts";
import { newRunId } from "../../simulator/simulate.ts";
import { AuditedLake, type LakeRow } from "./audited-lake.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-audit-"));
after(() => rmSync(root, { recursive: true, force: true }));

export const startedAtMs = Date.UTC(2026, 10, 22, 10);
const quiet = { show() {}, stop() {} };
let folders = 0;

export interface AuditedRun {
  readonly lake: AuditedLake;
  readonly ledger: string;
  readonly plan: MessagePlan;
  /** Rows as a gateway without fault files them, by message index. */
  readonly rows: LakeRow[];
  audit(options?: { waitMs?: number; settleMs?: number; lake?: LakeFiles }): Promise<AuditResult>;
}

export interface AuditedRunOptions {
  readonly scenario?: Partial<Scenario>;
  /** Messages that the ledger calls sent, and acknowledged. */
  readonly sent?: (index: number) => boolean;
  readonly acked?: (index: number) => boolean;
  /** Messages that the ledger calls left with a gateway that kept running. */
  readonly delivered?: (index: number) => boolean;
  /** Messages that the ledger calls published once more. */
  readonly again?: (index: number) => boolean;
  readonly isComplete?: boolean;
}

/** Writes a run into a ledger, and makes the rows of its messages by index. */
export function writeRun(
  ledger: string,
  options: AuditedRunOptions = {},
): { plan: MessagePlan; rows: LakeRow[] } {
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
    if (options.delivered?.(index)) writer.delivered(index);
    if (options.again?.(index)) writer.again(index);
    rows[index] = rowOf(plan, index);
  }
  if (options.isComplete ?? true) writer.close();
  else writer.flush();
  return { plan, rows };
}

/** The row that a gateway without fault files for a message. */
export function rowOf(plan: MessagePlan, index: number): LakeRow {
  const shape = plan.shape(index);
  const document = Buffer.alloc(shape.document.bytes);
  plan.writeDocument(document, 0, index, startedAtMs);
  const poison = plan.faults.poison(index);
  const hasId = shape.format !== "raw" && (!poison || poison === "timeless");
  const { payloadStart, payloadBytes } = shape.document;
  return {
    deviceId: plan.names.deviceId(plan.device(index)),
    topic: plan.topicName(index),
    messageId: hasId ? plan.messageId(index) : null,
    eventTimeMs: plan.eventTimeUs(index, startedAtMs) / 1000,
    ingestTimeMs: startedAtMs + 1000,
    payload: poison ? document : document.subarray(payloadStart, payloadStart + payloadBytes),
    place: index,
    ...(poison ? { reason: "undecodable" } : {}),
  };
}

export async function auditedRun(options: AuditedRunOptions = {}): Promise<AuditedRun> {
  const folder = join(root, String(++folders));
  const ledger = join(folder, "ledger");
  const lake = await AuditedLake.create(join(folder, "lake"));
  after(() => lake.close());
  return {
    lake,
    ledger,
    ...writeRun(ledger, options),
    audit: ({ waitMs = 0, settleMs = 0, lake: files = openLake(`file:${lake.folder}`) } = {}) =>
      audit(
        { ledgerFolder: ledger, lake: files, waitMs, settleMs, lookAgainMs: 5 },
        quiet,
        new AbortController().signal,
      ),
  };
}

/** Other faults: misplaced, misstated, disordered. */
export function faultsOfPlace({ misplaced, misstated, disordered }: AuditResult): number[] {
  return [misplaced, misstated, disordered];
}

/** Lost, duplicated, phantom, altered. */
export function flaws({ lost, duplicated, phantom, altered }: AuditResult): number[] {
  return [lost, duplicated, phantom, altered];
}
