/**
 * Measures the load generator's own cost against a server that only acknowledges: CPU µs per message, of all
 * its threads.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MessagePlan } from "../../simulator/scenario/message-plan.ts";
import type { Scenario } from "../../simulator/scenario/scenario.ts";
import { newRunId } from "../../simulator/simulate.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-"));

const loads = {
  /** A higher rate than the generator can publish: whole windows in one write. */
  saturated: { devices: 10_000, connections: 500, rate: 250_000, duration: 4, window: 20 },
  /** A million devices, one message a minute: one message per packet. */
  millionDevices: { devices: 1_000_000, connections: 1000, rate: 16_700, duration: 8, window: 20 },
  /** The same from field gateways that forward ten messages at a time. */
  bursts: { devices: 1_000_000, connections: 1000, burst: 10, rate: 16_700, duration: 8, window: 20 },
  /** Few field gateways for many devices. */
  fewConnections: { devices: 10_000, connections: 40, rate: 16_700, duration: 8, window: 100 },
} as const;

async function withSink<Result>(use: (port: string) => Result): Promise<Result> {
  const sink = spawn(process.execPath, ["--import", "tsx", join(root, "test/support/ack-sink.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    const [port] = (await once(sink.stdout, "data")) as [Buffer];
    return use(port.toString().trim());
  } finally {
    sink.stdin.end();
  }
}

function simulate(
  name: string,
  load: Readonly<Record<string, number>>,
  port: string,
): Record<string, unknown> {
  const options = { ...load, "payload-bytes": 100, drain: 60, seed: 1 };
  const args = Object.entries(options).flatMap(([option, value]) => [`--${option}`, String(value)]);
  const program = [
    join(root, "simulator/main.ts"),
    "simulate",
    ...args,
    "--ledger",
    join(folder, name),
    "--mqtt",
    `mqtt://127.0.0.1:${port}`,
    "--json",
  ];
  const run = spawnSync(process.execPath, ["--import", "tsx", ...program], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const report = JSON.parse(run.stdout.trimEnd().split("\n").at(-1) ?? "{}");
  const { achievedRate, acked, cpuUsPerMessage, ackMs } = report;
  return { achievedRate, acked, cpuUsPerMessage, ackMs };
}

/** The cost of making the bytes, without sockets. */
function documentUs(): number {
  const scenario: Scenario = {
    runId: newRunId(),
    seed: 1,
    devices: 10_000,
    connections: 500,
    burst: 1,
    rate: 250_000,
    durationS: 4,
    payloadBytes: 100,
    qos: 1,
    format: "json",
    filter: "fleet/{device}/telemetry",
    faults: {},
  };
  const plan = new MessagePlan(scenario);
  const bytes = Buffer.alloc(plan.document.bytes);
  const startedAtMs = Date.now();
  const from = process.cpuUsage();
  for (let index = 0; index < plan.total; index++) plan.writeDocument(bytes, 0, index, startedAtMs);
  const { user, system } = process.cpuUsage(from);
  return Math.round(((user + system) / plan.total) * 100) / 100;
}

try {
  const results: Record<string, unknown> = { documentUs: documentUs() };
  for (const [name, load] of Object.entries(loads))
    results[name] = await withSink((port) => simulate(name, load, port));
  process.stdout.write(`${JSON.stringify(results)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
