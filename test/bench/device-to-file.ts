/**
 * Device → committed file: 10,000 devices at a sustained rate, then the audit. CPU is that of each process as the system counts it;
 * memory is sampled each second and its slope taken over the second half of the run, when the dedupe window has reached its span.
 * Environment: RATE (messages per second, default 20000), DURATION (seconds, default 60).
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GatewayProcess, runCli } from "../support/gateway-process.ts";
import { cpuSeconds, residentBytes } from "../support/process-usage.ts";

const rate = Number(process.env["RATE"] ?? 20_000);
const durationS = Number(process.env["DURATION"] ?? 60);
const dedupeWindowS = Math.max(1, Math.floor(durationS / 4));

const gateway = await GatewayProcess.start({ environment: { TIDEGATE_LOG_LEVEL: "warn" } });
const pids = {
  broker: gateway.childPid("broker") as number,
  consumer: gateway.childPid("consumer") as number,
};
const topic = { name: "bench", filter: "bench/{device}/telemetry", format: "json" };
await gateway.api("POST", "/v1/topics", { ...topic, dedupeWindowMs: dedupeWindowS * 1_000 });
const ledger = join(gateway.dataFolder, "ledger");
const before = { broker: cpuSeconds(pids.broker), consumer: cpuSeconds(pids.consumer) };
const memory: { atS: number; broker: number; consumer: number; lagBytes: number }[] = [];

async function lagBytes(): Promise<number> {
  const { body } = await gateway.api("GET", "/v1/status");
  const consumer = body["consumer"] as { partitions: { lagBytes: number }[] } | null;
  return consumer?.partitions.reduce((sum, partition) => sum + partition.lagBytes, 0) ?? -1;
}

async function sample(startedAtMs: number, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const atS = Math.round((Date.now() - startedAtMs) / 1000);
    const resident = { broker: residentBytes(pids.broker), consumer: residentBytes(pids.consumer) };
    memory.push({ atS, ...resident, lagBytes: await lagBytes().catch(() => -1) });
    await delay(1_000);
  }
}

const fleet = {
  devices: 10_000,
  connections: 1_000,
  rate,
  duration: durationS,
  "payload-bytes": 100,
  qos: 1,
};
const flags = ["--topic", topic.filter];
flags.push(...Object.entries(fleet).flatMap(([name, value]) => [`--${name}`, String(value)]));
let isOver = false;
const sampling = sample(Date.now(), () => isOver);
const simulate = await runCli([
  "simulate",
  ...flags,
  "--ledger",
  ledger,
  "--mqtt",
  gateway.mqttUrl,
  "--json",
]);
isOver = true;
await sampling;
const audit = await runCli([
  ...["audit", "--ledger", ledger, "--lake", `file:${join(gateway.dataFolder, "lake")}`],
  ...["--wait", "120", "--json"],
]);
const after = { broker: cpuSeconds(pids.broker), consumer: cpuSeconds(pids.consumer) };
const fleetReport = simulate.json as Record<string, number>;
const auditReport = audit.json as Record<string, number>;

function parquetBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".parquet") && !file.includes("_delta_log"))
    .reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
}

/** Least squares, bytes per second. */
function slope(values: readonly { atS: number; value: number }[]): number {
  const meanX = values.reduce((sum, { atS }) => sum + atS, 0) / values.length;
  const meanY = values.reduce((sum, { value }) => sum + value, 0) / values.length;
  const covariance = values.reduce((sum, { atS, value }) => sum + (atS - meanX) * (value - meanY), 0);
  const variance = values.reduce((sum, { atS }) => sum + (atS - meanX) ** 2, 0);
  return Math.round(covariance / variance);
}

const acked = fleetReport["acked"] ?? 0;
const perMessage = (seconds: number) => Number(((seconds * 1e6) / acked).toFixed(2));
const secondHalf = memory.slice(Math.floor(memory.length / 2));
const result = {
  bench: "device-to-file",
  offeredPerSecond: rate,
  achievedPerSecond: fleetReport["achievedRate"],
  durationS,
  dedupeWindowS,
  acked,
  ackMs: fleetReport["ackMs"],
  audit: auditReport,
  cpuMicrosPerMessage: {
    broker: perMessage(after.broker - before.broker),
    consumer: perMessage(after.consumer - before.consumer),
    generator: fleetReport["cpuUsPerMessage"],
  },
  parquetBytesPerRow: Number(
    (parquetBytes(join(gateway.dataFolder, "lake")) / (auditReport["stored"] ?? 1)).toFixed(1),
  ),
  residentMiB: {
    broker: Math.round((memory.at(-1)?.broker ?? 0) / 2 ** 20),
    consumer: Math.round((memory.at(-1)?.consumer ?? 0) / 2 ** 20),
  },
  residentSlopeBytesPerSecond: {
    broker: slope(secondHalf.map(({ atS, broker }) => ({ atS, value: broker }))),
    consumer: slope(secondHalf.map(({ atS, consumer }) => ({ atS, value: consumer }))),
  },
  maxLagBytes: Math.max(...memory.map((entry) => entry.lagBytes)),
  lastLagBytes: memory.at(-1)?.lagBytes,
};
await gateway.destroy();
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exitCode = audit.code === 0 ? 0 : 1;
