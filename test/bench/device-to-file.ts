/**
 * Measures the way from the device to the committed file: 10,000 devices at a sustained rate, then the audit.
 * CPU is that of each kind of process as the system counts it, over the whole run and (steady) over the
 * second half of the run. Memory is sampled each second. Its slope is taken over the second half of the run,
 * when the dedupe window has reached its span.
 * Environment: RATE (messages per second, default 20000), DURATION (seconds, default 60), STREAM (embedded,
 * redis or kinesis, default embedded), LAKE (file or s3, default file), GATEWAYS (1 or more on redis, default
 * 1), OUTAGE and LAKE_OUTAGE (seconds for which the server of the stream, or of the lake, is dead, from 40 s
 * after the start; default 0). Kinesis is kinesalite in memory, S3 is radosgw; for that see
 * test/support/debian-packages.mjs.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { BenchSystem, type ByPart, type Part } from "../support/bench-system.ts";
import { runCli } from "../support/gateway-process.ts";

const rate = Number(process.env["RATE"] ?? 20_000);
const durationS = Number(process.env["DURATION"] ?? 60);
const stream = oneOf("STREAM", ["embedded", "redis", "kinesis"]);
const lake = oneOf("LAKE", ["file", "s3"]);
const gateways = Number(process.env["GATEWAYS"] ?? 1);
const outageS = Number(process.env["OUTAGE"] ?? 0);
const lakeOutageS = Number(process.env["LAKE_OUTAGE"] ?? 0);
const outageAfterS = 40;
/** Messages that an outage delays arrive after the outage. */
const patienceS = 120 + outageS + lakeOutageS;
const dedupeWindowS = Math.max(1, Math.floor(durationS / 4));

const system = await BenchSystem.start({ stream, lake, gateways, batchAgeMs: 5000 });
const topic = { name: "bench", filter: "bench/{device}/telemetry", format: "json" };
await system.gateways[0]?.api("POST", "/v1/topics", { ...topic, dedupeWindowMs: dedupeWindowS * 1_000 });
const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-ledger-"));
const ledger = join(folder, "ledger");
const samples: { atS: number; resident: ByPart; cpu: ByPart; lagBytes: number }[] = [];

async function sample(startedAtMs: number, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const atS = Math.round((Date.now() - startedAtMs) / 1000);
    const [resident, cpu] = [system.residentBytes(), system.cpuSeconds()];
    samples.push({ atS, resident, cpu, lagBytes: await system.lagBytes() });
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
  drain: patienceS,
};
const flags = Object.entries(fleet).flatMap(([name, value]) => [`--${name}`, String(value)]);
flags.push("--topic", topic.filter, "--ledger", ledger, "--mqtt", system.mqttUrls, "--json");
const before = system.cpuSeconds();
let isOver = false;
const sampling = sample(Date.now(), () => isOver);
const outages = Object.entries({ streamServer: outageS, lakeServer: lakeOutageS }).map(
  async ([part, seconds]) => {
    if (seconds === 0) return;
    await delay(outageAfterS * 1_000);
    await system.loseServer(part as Part, seconds);
  },
);
const [simulate] = await Promise.all([runCli(["simulate", ...flags]), ...outages]);
isOver = true;
await sampling;
const audit = await runCli([
  "audit",
  "--ledger",
  ledger,
  "--lake",
  system.lakeUrl,
  "--wait",
  String(patienceS),
  "--json",
]);
const after = system.cpuSeconds();
const fleetReport = simulate.json as Record<string, number>;
const auditReport = audit.json as Record<string, number>;

function oneOf<Name extends string>(variable: string, [first, ...others]: readonly [Name, ...Name[]]): Name {
  return others.find((name) => name === process.env[variable]) ?? first;
}

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

/** The smallest value of each minute: memory in use right after garbage collection. */
function byMinute(values: readonly { atS: number; value: number }[]): number[] {
  const minutes: number[] = [];
  for (const { atS, value } of values) {
    const minute = Math.floor(atS / 60);
    minutes[minute] = Math.min(minutes[minute] ?? Number.POSITIVE_INFINITY, Math.round(value / 2 ** 20));
  }
  return minutes;
}

function byPart<Value>(value: (part: Part) => Value): Partial<Record<Part, Value>> {
  return Object.fromEntries((Object.keys(after) as Part[]).map((part) => [part, value(part)])) as Partial<
    Record<Part, Value>
  >;
}

const acked = fleetReport["acked"] ?? 0;
const secondHalf = samples.slice(Math.floor(samples.length / 2));
/**
 * CPU in the second half of the time in which messages came. By then, work that a process does only once is
 * over.
 */
function steadyCpu(): Partial<Record<Part, number>> {
  const [middle, end] = [0.5, 1].map((share) => samples.findLast(({ atS }) => atS <= share * durationS)) as [
    (typeof samples)[number],
    (typeof samples)[number],
  ];
  const messages = rate * (end.atS - middle.atS);
  return byPart((part) =>
    Number(((((end.cpu[part] ?? 0) - (middle.cpu[part] ?? 0)) * 1e6) / messages).toFixed(2)),
  );
}

const result = {
  bench: "device-to-file",
  stream,
  lake,
  gateways,
  offeredPerSecond: rate,
  achievedPerSecond: fleetReport["achievedRate"],
  durationS,
  ...(outageS > 0 && { outageS }),
  ...(lakeOutageS > 0 && { lakeOutageS }),
  dedupeWindowS,
  acked,
  ackMs: fleetReport["ackMs"],
  audit: auditReport,
  cpuMicrosPerMessage: {
    ...byPart((part) => Number(((((after[part] ?? 0) - (before[part] ?? 0)) * 1e6) / acked).toFixed(2))),
    generator: fleetReport["cpuUsPerMessage"],
  },
  ...(outageS + lakeOutageS === 0 && { steadyCpuMicrosPerMessage: steadyCpu() }),
  ...(lake === "file" && {
    parquetBytesPerRow: Number((parquetBytes(system.lakeFolder) / (auditReport["stored"] ?? 1)).toFixed(1)),
  }),
  residentMiB: byPart((part) => Math.round((samples.at(-1)?.resident[part] ?? 0) / 2 ** 20)),
  residentMiBMax: byPart((part) =>
    Math.round(Math.max(...samples.map(({ resident }) => resident[part] ?? 0)) / 2 ** 20),
  ),
  /** One row a minute, to show whether memory keeps growing or settles. */
  residentMiBByMinute: byPart((part) =>
    byMinute(samples.map(({ atS, resident }) => ({ atS, value: resident[part] ?? 0 }))),
  ),
  residentSlopeBytesPerSecond: byPart((part) =>
    slope(secondHalf.map(({ atS, resident }) => ({ atS, value: resident[part] ?? 0 }))),
  ),
  maxLagBytes: Math.max(...samples.map(({ lagBytes }) => lagBytes)),
  lastLagBytes: samples.at(-1)?.lagBytes,
};
await system.destroy();
rmSync(folder, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exitCode = audit.code === 0 ? 0 : 1;
