/**
 * Measures the cost of a message with two gateways against one. Both systems run side by side, each on Redis
 * servers of its own, and serve the same fleet in turns, so that changes in the machine's speed favour
 * neither. CPU is that of brokers, consumers and servers while messages come at the rate, from 10 s after the
 * start of a turn. Batches are as old as on any shared stream, 60 s, so a turn should be long enough for two
 * of them.
 * Environment: RATE (messages per second, default 20000), RATE_OF_ONE (the rate of the single gateway, by
 * default the same; half of RATE compares fleets that differ by a factor of two), TURNS (of each system,
 * default 2), TURN (seconds, default 130).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { BenchSystem, type ByPart, type Part } from "../support/bench-system.ts";
import { runCli } from "../support/gateway-process.ts";

const rate = Number(process.env["RATE"] ?? 20_000);
const rateOfOne = Number(process.env["RATE_OF_ONE"] ?? rate);
const turns = Number(process.env["TURNS"] ?? 2);
const turnS = Number(process.env["TURN"] ?? 130);
const topic = { name: "bench", filter: "bench/{device}/telemetry", format: "json", dedupeWindowMs: 15_000 };
const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-ledger-"));
let ledgers = 0;
const warmUpS = 10;
const coolDownS = 2;

interface Turn {
  readonly byPart: ByPart;
  readonly total: number;
  readonly generator: number;
  readonly acked: number;
}

async function takeTurn(system: BenchSystem, rate: number): Promise<Turn> {
  const load = { devices: 10_000, connections: 1_000, rate, duration: turnS, "payload-bytes": 100, qos: 1 };
  const flags = Object.entries(load).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const ledger = join(folder, `ledger-${ledgers++}`);
  const where = ["--topic", topic.filter, "--ledger", ledger, "--mqtt", system.mqttUrls];
  const ended = runCli(["simulate", ...flags, ...where, "--json"]);
  await delay(warmUpS * 1000);
  const before = { cpu: system.cpuSeconds(), atMs: performance.now() };
  await delay((turnS - warmUpS - coolDownS) * 1000);
  const after = { cpu: system.cpuSeconds(), atMs: performance.now() };
  const messages = (rate * (after.atMs - before.atMs)) / 1000;
  const parts = Object.keys(after.cpu) as Part[];
  const micros = parts.map(
    (part) => [part, (((after.cpu[part] ?? 0) - (before.cpu[part] ?? 0)) * 1e6) / messages] as const,
  );
  const { code, json, stderr } = await ended;
  if (code !== 0) throw new Error(`the fleet failed: ${stderr}`);
  const { acked = 0, cpuUsPerMessage = 0 } = json as Record<string, number>;
  return {
    byPart: Object.fromEntries(micros),
    total: micros.reduce((sum, [, value]) => sum + value, 0),
    generator: cpuUsPerMessage,
    acked,
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] = sorted.length % 2 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1);
  return (low + high) / 2;
}

const rounded = (value: number) => Number(value.toFixed(2));

function summary(taken: readonly Turn[]) {
  const parts = Object.keys(taken[0]?.byPart ?? {}) as Part[];
  return {
    totals: taken.map(({ total }) => rounded(total)),
    median: rounded(median(taken.map(({ total }) => total))),
    byPart: Object.fromEntries(
      parts.map((part) => [part, rounded(median(taken.map(({ byPart }) => byPart[part] ?? 0)))]),
    ),
    generator: taken.map(({ generator }) => rounded(generator)),
    acked: taken.map(({ acked }) => acked),
  };
}

const [one, two] = [
  await BenchSystem.start({ stream: "redis", lake: "file", gateways: 1, batchAgeMs: null }),
  await BenchSystem.start({ stream: "redis", lake: "file", gateways: 2, batchAgeMs: null }),
];
for (const system of [one, two]) await system.gateways[0]?.api("POST", "/v1/topics", topic);
const taken = { one: [] as Turn[], two: [] as Turn[] };
for (let turn = 0; turn < turns; turn++) {
  // The two systems take turns in going first.
  const order = turn % 2 === 0 ? (["one", "two"] as const) : (["two", "one"] as const);
  for (const which of order)
    taken[which].push(await (which === "one" ? takeTurn(one, rateOfOne) : takeTurn(two, rate)));
}
await one.destroy();
await two.destroy();
rmSync(folder, { recursive: true, force: true });
const ratios = taken.one.map(({ total }, turn) => (taken.two[turn]?.total ?? 0) / total);
const result = {
  bench: "gateway-count",
  offeredPerSecond: { oneGateway: rateOfOne, twoGateways: rate },
  turnS,
  cpuMicrosPerMessage: { oneGateway: summary(taken.one), twoGateways: summary(taken.two) },
  twoOverOne: { turns: ratios.map(rounded), median: rounded(median(ratios)) },
};
process.stdout.write(`${JSON.stringify(result)}\n`);
const areComplete = (each: readonly Turn[], rate: number) =>
  each.every(({ acked }) => acked === rate * turnS);
process.exitCode = areComplete(taken.one, rateOfOne) && areComplete(taken.two, rate) ? 0 : 1;
