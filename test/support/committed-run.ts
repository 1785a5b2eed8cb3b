import assert from "node:assert/strict";
import { type AuditedRun, auditedRun, faultsOfPlace, flaws } from "./audited-run.ts";
import type { LoggedFile } from "./logged-file.ts";

/** A whole lake of three commits: two files in one table, and between them one in another. */
export async function committedRun(): Promise<AuditedRun & { readonly files: readonly LoggedFile[] }> {
  const run = await auditedRun();
  run.lake.keepCommitLog();
  const files = [
    await run.lake.add("telemetry", run.rows.slice(0, 200)),
    await run.lake.add("other", run.rows.slice(200, 300)),
    await run.lake.add("telemetry", run.rows.slice(300)),
  ];
  return { ...run, files };
}

export type Committed = Awaited<ReturnType<typeof committedRun>>;

export async function assertFault(corrupt: (run: Committed) => unknown, fault: RegExp): Promise<void> {
  const run = await committedRun();
  await corrupt(run);
  const result = await run.audit();
  assert.ok(result.logFaults > 0);
  assert.equal(result.isProven, false);
  assert.ok(
    result.examples.some((text) => fault.test(text)),
    result.examples.join("\n"),
  );
  assert.deepEqual([...flaws(result), ...faultsOfPlace(result)], [0, 0, 0, 0, 0, 0, 0]);
}

export async function assertProven(change: (run: Committed) => unknown): Promise<void> {
  const run = await committedRun();
  await change(run);
  const result = await run.audit();
  assert.deepEqual(result.examples, []);
  assert.deepEqual([result.logFaults, result.isProven], [0, true]);
}
