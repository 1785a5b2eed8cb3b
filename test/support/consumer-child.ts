/**
 * A process that runs the consumer on a pipeline's folder, for tests that kill it. It asks its parent to trim, as only that one appends.
 * Usage: node --import tsx test/support/consumer-child.ts FOLDER [REDIS_URL PROCESS_NAME LEASE_MS]
 * With a Redis it shares the partitions with the others there, else it believes that it owns all of them. TERM: drains and ends.
 * Prints `commit NUMBER` after each commit, `trim PARTITION POSITION`, `reads PARTITION,…` whenever that changes, and
 * `replayed BATCHES` when it ends.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { Registry } from "prom-client";
import { createRedisLeases } from "../../bridge/leases/redis-leases.ts";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { openConsumer } from "./embedded-pipeline.ts";

const [folder = "", redisUrl, processName = "", leaseMs] = process.argv.slice(2);
const stream = await openEmbeddedStream({
  mode: "read",
  folder: join(folder, "stream"),
  maxBytes: 64 * 1024 * 1024,
});

async function openLeases(url: string) {
  const { streamId, partitionCount } = stream;
  return createRedisLeases({
    target: parseRedisUrl(url),
    streamId,
    partitionCount,
    processName,
    leaseMs: Number(leaseMs),
    timeoutMs: 1000,
    logger: pino({ level: "silent" }),
    registry: new Registry(),
    random: Math.random,
    monotonicMs: () => performance.now(),
  });
}

const consumer = await openConsumer(folder, stream, {
  trim: async (partition, upTo) => {
    writeSync(1, `trim ${partition} ${upTo}\n`);
  },
  ...(redisUrl === undefined ? {} : { leases: await openLeases(redisUrl) }),
});
let isRunning = true;
process.once("SIGTERM", () => void consumer.stop({ drain: true }));
void consumer.run().then(() => {
  isRunning = false;
});
let told = 0;
let toldReads = "";
while (isRunning) {
  const status = consumer.status();
  const number = status.lastCommit?.number ?? 0;
  if (number !== told) writeSync(1, `commit ${number}\n`);
  told = number;
  const reads = status.partitions.map(({ partition }) => partition).join(",");
  if (status.state === "running" && reads !== toldReads) {
    writeSync(1, `reads ${reads}\n`);
    toldReads = reads;
  }
  await delay(1);
}
writeSync(1, `replayed ${consumer.status().replayedBatches}\n`);
await stream.close();
