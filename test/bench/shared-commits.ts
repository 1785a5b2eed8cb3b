/**
 * Measures the cost if several consumer processes commit to one lake. Each owns a part of the partitions of
 * one embedded stream and commits four times a second. Prints JSON by number of processes; `taken` counts
 * attempts that found their number taken by another process. Usage: npm run bench -- shared-commits. With
 * arguments, this program is one of the processes.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LakeCommitLog, openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { EmbeddedPipeline } from "../support/embedded-pipeline.ts";
import { numbered, openConsumer } from "../support/lake-pipeline.ts";
import { MovingLeases } from "../support/moving-leases.ts";

const partitions = [0, 1, 2, 3];
const processCounts = [1, 2, 4];
const durationMs = 10_000;
const blockMessages = 20;
const blockPauseMs = 20;
const maxBatchAgeMs = 250;

interface Committed {
  readonly commits: number;
  readonly taken: number;
  readonly commitMs: { readonly p50: number; readonly p95: number };
  readonly cpuMsPerCommit: number;
}

class TimedCommitLog extends LakeCommitLog {
  readonly commitMs: number[] = [];
  taken = 0;
  #startedAtMs = 0;

  override async append(...args: Parameters<LakeCommitLog["append"]>) {
    this.#startedAtMs ||= performance.now();
    const appended = await super.append(...args);
    if (appended.outcome === "committed") {
      this.commitMs.push(performance.now() - this.#startedAtMs);
      this.#startedAtMs = 0;
    } else this.taken += 1;
    return appended;
  }
}

async function consume(folder: string, owned: readonly number[]): Promise<Committed> {
  const streamFolder = join(folder, "stream");
  const stream = await openEmbeddedStream({ mode: "read", folder: streamFolder, maxBytes: 64 * 1024 ** 2 });
  const store = await openLocalStore(join(folder, "lake"));
  const { lakeId } = await openCommitLog(store, { create: false });
  const commitLog = new TimedCommitLog(store, lakeId, { create: false });
  const leases = new MovingLeases(partitions.length);
  leases.give(owned);
  const trim = async () => {};
  const consumer = await openConsumer(folder, stream, { commitLog, leases, trim, config: { maxBatchAgeMs } });
  process.once("SIGTERM", () => void consumer.stop({ drain: true }));
  const before = process.cpuUsage();
  await consumer.run();
  const { user, system } = process.cpuUsage(before);
  await stream.close();
  const sorted = commitLog.commitMs.toSorted((left, right) => left - right);
  const at = (share: number) => Math.round((sorted[Math.floor(share * (sorted.length - 1))] ?? 0) * 10) / 10;
  return {
    commits: sorted.length,
    taken: commitLog.taken,
    commitMs: { p50: at(0.5), p95: at(0.95) },
    cpuMsPerCommit: Math.round((user + system) / 1000 / sorted.length),
  };
}

async function endOf(child: ChildProcess): Promise<Committed> {
  let output = "";
  child.stdout?.on("data", (bytes: Buffer) => {
    output += bytes.toString();
  });
  child.kill("SIGTERM");
  await once(child, "close");
  return JSON.parse(output) as Committed;
}

async function measure(processes: number) {
  const pipeline = await EmbeddedPipeline.open(partitions.length);
  const children = Array.from({ length: processes }, (_, index) => {
    const owned = partitions.filter((partition) => partition % processes === index).join(",");
    const args = ["--import", "tsx", import.meta.filename, pipeline.folder, owned];
    return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  });
  const endMs = performance.now() + durationMs;
  for (let next = 0; performance.now() < endMs; await delay(blockPauseMs))
    for (const partition of partitions) {
      const numbers = Array.from({ length: blockMessages }, () => next++);
      await pipeline.append(
        partition,
        numbers.map((number) => numbered(partition, number)),
      );
    }
  const results = await Promise.all(children.map(endOf));
  const [rows] = await pipeline.query("SELECT count(*)::INT, count(DISTINCT message_id)::INT FROM telemetry");
  await pipeline.close();
  return { processes, rows, results };
}

const [folder, owned] = process.argv.slice(2);
if (folder !== undefined) {
  const committed = await consume(folder, (owned ?? "").split(",").map(Number));
  process.stdout.write(`${JSON.stringify(committed)}\n`);
} else {
  const runs = [];
  for (const processes of processCounts) runs.push(await measure(processes));
  process.stdout.write(`${JSON.stringify({ maxBatchAgeMs, runs })}\n`);
}
