import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { createParquetBatchWriter } from "../../bridge/lake/parquet/batch-writer.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import type { LakeRow } from "../support/audited-lake.ts";
import { auditedRun, startedAtMs } from "../support/audited-run.ts";
import { makeRow } from "../support/test-lake.ts";
import { topicVersion } from "../support/topic-version.ts";

const types = {
  whole: "long",
  real: "double",
  flag: "boolean",
  moment: "timestamp",
  label: "string",
} as const;
const columns = Object.entries(types).map(([name, type]) => ({ name, type }));

/** The row of the gateway that a test's row describes. Every third one came after its hour. */
function rowOf(row: LakeRow, index: number) {
  const { deviceId, topic: topicName, messageId, eventTimeMs, payload } = row;
  const wholeMs = Math.floor(eventTimeMs);
  return makeRow(index, {
    ...{ deviceId, topicName, messageId: messageId && Buffer.from(messageId), payload: Buffer.from(payload) },
    eventTimeMs: wholeMs,
    eventTimeMicros: Math.round((eventTimeMs - wholeMs) * 1000),
    ingestTimeMs: startedAtMs + (index % 3 === 0 ? 61 * 60_000 : 1000),
    streamTimeMs: startedAtMs,
    payloadCrc: crc32(payload) | 0,
    partition: 0,
    position: String(Math.floor(index / 50) + 1).padStart(20, "0"),
    index: index % 50,
  });
}

test("a landing file of the gateway's own writer is right in the audit's words", async () => {
  const { lake, plan, rows, audit } = await auditedRun({
    scenario: { mix: { typed: 0.6 }, faults: { poison: 0.02 } },
  });
  const topic = topicVersion({ topicId: "t-1", name: "telemetry", columns });
  mkdirSync(join(lake.folder, "_topics", "t-1"), { recursive: true });
  writeFileSync(join(lake.folder, "_topics", "t-1", "1.json"), JSON.stringify(topic));
  const writer = createParquetBatchWriter({ store: await openLocalStore(lake.folder) });
  for (const [index, each] of rows.entries()) {
    const row = rowOf(each, index);
    const facts = { topicId: "t-1", topicVersion: 1, reason: "undecodable", detail: "" } as const;
    const typed = plan.typedValues(index);
    const values = columns.map(({ name }) => typed?.[name as keyof typeof types].filed ?? null);
    await (each.reason === undefined ? writer.add(topic, row, values) : writer.quarantine(row, facts));
  }
  const { landing } = await writer.write();
  assert.ok(landing);
  lake.keepCommitLog();
  const byLane: Record<string, Record<string, number>> = {};
  for (const [key, { rows: counts }] of Object.entries(landing.tables))
    for (const [lane, count] of Object.entries(counts)) byLane[lane] = { ...byLane[lane], [key]: count };
  assert.deepEqual(Object.keys(byLane).sort(), ["even", "late"]);
  lake.commits.land(landing.file, byLane);
  const result = await audit();
  assert.deepEqual([result.faults, result.examples, result.isProven], [[], [], true]);
  assert.deepEqual([result.stored + result.quarantined, result.files], [500, 1]);
});
