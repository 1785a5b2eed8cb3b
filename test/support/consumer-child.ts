/**
 * A process that runs the consumer on a pipeline's folder, for tests that kill it. Usage: node --import tsx
 * test/support/consumer-child.ts FOLDER [REDIS_URL PROCESS_NAME LEASE_MS [stream]] With a Redis, it shares
 * the partitions with the others there; otherwise it owns all. With `stream`, stream and window are on Redis
 * as well. Otherwise they are in the folder and in memory, and the parent trims, because only the parent
 * appends. TERM: drains and ends. Prints `commit NUMBER` after each commit, `trim PARTITION POSITION`, `reads
 * PARTITION,…` whenever that changes, and `replayed BATCHES` when it ends.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { Registry } from "prom-client";
import { openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import type { ConsumerOptions } from "../../bridge/lake/consumer/consumer-options.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { openRedisWindow } from "../../bridge/lake/window/redis/redis-window.ts";
import { createRedisLeases } from "../../bridge/leases/redis-leases.ts";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { openRedisStream } from "../../bridge/streams/redis/redis-stream.ts";
import type { StreamLog } from "../../bridge/streams/stream-log.ts";
import { openConsumer } from "./lake-pipeline.ts";

const [folder = "", redisUrl, processName = "", leaseMs, place] = process.argv.slice(2);
const logger = pino({ level: "silent" });
const target = redisUrl === undefined ? null : parseRedisUrl(redisUrl);
const timeoutMs = 1000;
const streamTarget = place === "stream" ? target : null;
const stream: StreamLog = streamTarget
  ? await openRedisStream({ target: streamTarget, mode: "read", timeoutMs, logger })
  : await openEmbeddedStream({
      mode: "read",
      folder: join(folder, "stream"),
      maxBytes: 64 * 1024 * 1024,
    });
const { streamId } = stream;
const partitions = stream.partitions.all.map(({ partition }) => partition);

async function sharedPorts(): Promise<Partial<Omit<ConsumerOptions, "config">>> {
  if (!target) return {};
  const shared = { target, streamId, timeoutMs, logger };
  const registry = new Registry();
  const leases = await createRedisLeases({
    ...shared,
    partitions,
    processName,
    leaseMs: Number(leaseMs),
    registry,
    random: Math.random,
    monotonicMs: () => performance.now(),
  });
  if (!streamTarget) return { leases };
  const { lakeId } = await openCommitLog(await openLocalStore(join(folder, "lake")), { create: false });
  return {
    leases,
    window: await openRedisWindow({
      ...shared,
      partitions: () => partitions,
      lakeId,
      isSharedWithStream: true,
    }),
  };
}

const trimByParent: ConsumerOptions["trim"] = async (partition, upTo) => {
  writeSync(1, `trim ${partition} ${upTo}\n`);
};
const ports = await sharedPorts();
const consumer = await openConsumer(folder, stream, {
  ...(streamTarget ? {} : { trim: trimByParent }),
  ...ports,
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
await ports.window?.close();
