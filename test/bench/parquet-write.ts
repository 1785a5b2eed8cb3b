/**
 * Measures CPU and bytes per row on the lake's side: staging a batch, writing the batch as Parquet, reading
 * its ids back for a window. The rows are the simulator's default messages (json, 100 bytes, 10,000 devices).
 * Prints one JSON object; µs are CPU time of this process, all threads, kernel included.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { noCounters } from "../../bridge/lake/commit-log/commit-log.ts";
import { createSeedSource, openCommitLog, openLocalStore } from "../../bridge/lake/index.ts";
import { createParquetBatchWriter } from "../../bridge/lake/parquet/batch-writer.ts";
import { partitionKey } from "../../bridge/streams/partition-key.ts";
import type { Row } from "../../bridge/tail/row.ts";
import { JsonDocument } from "../../simulator/scenario/json-document.ts";
import { MessageNames } from "../../simulator/scenario/message-names.ts";
import { newRunId } from "../../simulator/simulate.ts";
import { makeTopic } from "../support/test-lake.ts";

const devices = 10_000;
const payloadBytes = 100;
const rate = 16_700;
const partitions = 4;
const blockRows = 300;
/** 5 s and 48 s of the rate: a batch of the embedded stream, and a batch that reached its size limit. */
const batchRows = [83_500, 800_000];
const rounds = 3;
const topic = makeTopic();
const streamId = "bench-stream";
const startMs = Date.now() - 600_000;

const names = new MessageNames({
  runId: newRunId(),
  seed: 1,
  devices,
  connections: 1000,
  burst: 1,
  rate,
  durationS: 600,
  payloadBytes,
  qos: 1,
  format: "json",
  filter: "fleet/{device}/telemetry",
  faults: {},
} as ConstructorParameters<typeof MessageNames>[0]);
const document = new JsonDocument(names, 1, payloadBytes);
const deviceIds = Array.from({ length: devices }, (_, device) => names.deviceId(device));
const topicNames = Array.from({ length: devices }, (_, device) => names.topicName(device));

/** The next block of one partition, with rows as a decoder makes them: views of the block's bytes. */
function makeBlock(block: number): Row[] {
  const partition = block % partitions;
  const sequenceInPartition = Math.floor(block / partitions);
  const bytes = Buffer.allocUnsafe(blockRows * payloadBytes);
  const position = String(sequenceInPartition).padStart(20, "0");
  const rows: Row[] = [];
  for (let index = 0; index < blockRows; index++) {
    const message = block * blockRows + index;
    const device = (((message * 7919) % (devices / partitions)) * partitions + partition) % devices;
    const eventTimeMs = startMs + Math.floor((message * 1000) / rate) - ((message * 31) % 200);
    document.write(bytes, index * payloadBytes, device, Math.floor(message / devices), eventTimeMs);
    const payload = bytes.subarray(index * payloadBytes, (index + 1) * payloadBytes);
    rows.push({
      deviceId: deviceIds[device] as string,
      topicName: topicNames[device] as string,
      messageId: payload.subarray(7, 7 + names.idBytes),
      eventTimeMs,
      eventTimeMicros: 0,
      eventTimeOutside: false,
      ingestTimeMs: startMs + Math.floor((block * blockRows * 1000) / rate) + 20,
      streamTimeMs: startMs + Math.floor((block * blockRows * 1000) / rate) - 7_200_000,
      payload,
      payloadCrc: crc32(payload) | 0,
      streamId,
      partition,
      position,
      index,
    });
  }
  return rows;
}

/** CPU µs of the work. */
async function cpuUs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-lake-"));
const store = await openLocalStore(folder);
const commitLog = await openCommitLog(store, { create: true });
const writer = createParquetBatchWriter({ store, directBytes: 0 });
let nextBlock = 0;

interface BatchCost {
  readonly rows: number;
  readonly stageUs: number;
  readonly writeUs: number;
  readonly bytes: number;
  readonly writeMs: number;
}

async function writeBatch(rows: number): Promise<BatchCost> {
  let stageUs = 0;
  let staged = 0;
  while (staged < rows) {
    const block = makeBlock(nextBlock++);
    staged += block.length;
    stageUs += await cpuUs(async () => {
      for (const row of block) {
        const added = writer.add(topic, row, []);
        if (added) await added;
      }
    });
  }
  let { tables }: Awaited<ReturnType<typeof writer.write>> = { tables: {} };
  const startedAt = performance.now();
  const writeUs = await cpuUs(async () => {
    ({ tables } = await writer.write());
  });
  const writeMs = performance.now() - startedAt;
  await commit(tables);
  const bytes = Object.values(tables)
    .flatMap(({ adds }) => adds)
    .reduce((sum, file) => sum + file.bytes, 0);
  return { rows: staged, stageUs, writeUs, bytes, writeMs };
}

async function commit(tables: Parameters<typeof commitLog.append>[0]["tables"]): Promise<void> {
  const { number, moves } = await commitLog.load();
  const next = Array.from({ length: partitions }, (_, partition) => {
    const key = partitionKey(streamId, partition);
    const from = moves.get(key)?.to ?? "";
    return [
      key,
      { from, to: String(nextBlock), streamTimeMs: Date.now(), producers: {}, counters: noCounters },
    ] as const;
  });
  await commitLog.append({
    format: 1,
    number: number + 1,
    commitId: randomUUID(),
    committedAtMs: Date.now(),
    moves: Object.fromEntries(next),
    tables,
  });
}

async function seedCost(): Promise<{ ids: number; cpuUsPerId: number; elapsedMs: number }> {
  const seeds = createSeedSource({ store, commitLog });
  const upToCommit = (await commitLog.load()).number;
  let ids = 0;
  const startedAt = performance.now();
  const us = await cpuUs(async () => {
    const parts = Array.from({ length: partitions }, (_, partition) => ({ streamId, partition, sinceMs: 0 }));
    for await (const rows of seeds.rows({ parts, upToCommit })) ids += rows.length;
  });
  return { ids, cpuUsPerId: rounded(us / ids), elapsedMs: Math.round(performance.now() - startedAt) };
}

const batches = [];
for (const rows of batchRows) {
  await writeBatch(rows);
  const costs: BatchCost[] = [];
  for (let round = 0; round < rounds; round++) costs.push(await writeBatch(rows));
  const sum = (field: keyof BatchCost) => costs.reduce((total, cost) => total + cost[field], 0);
  batches.push({
    rows,
    cpuUsPerRow: rounded((sum("stageUs") + sum("writeUs")) / sum("rows")),
    stageUsPerRow: rounded(sum("stageUs") / sum("rows")),
    writeUsPerRow: rounded(sum("writeUs") / sum("rows")),
    bytesPerRow: rounded(sum("bytes") / sum("rows")),
    writeMs: Math.round(sum("writeMs") / rounds),
  });
}
const seed = await seedCost();
rmSync(folder, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify({ payloadBytes, devices, batches, seed })}\n`);
