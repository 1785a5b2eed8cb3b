/**
 * Measures the start of a gateway from spawn to ready: supervisor, broker and consumer, the embedded stream, a
 * new data folder. CPU is that of these processes, kernel included; "loaded" is their memory at the end of the
 * start. The upkeep starts afterwards and does not count. The compiled program is measured, as users run it.
 * Environment: STARTS (default 5). Prints one JSON object with the medians.
 */
import { GatewayProcess } from "../support/gateway-process.ts";
import { cpuSeconds, residentBytes } from "../support/process-usage.ts";

const starts = Number(process.env["STARTS"] ?? 5);

interface Start {
  readonly readyMs: number;
  readonly cpuSeconds: number;
  readonly loadedMiB: number;
}

async function measureStart(): Promise<Start> {
  const beganMs = performance.now();
  const gateway = await GatewayProcess.start();
  const readyMs = performance.now() - beganMs;
  const pids = [gateway.pid, gateway.childPid("broker"), gateway.childPid("consumer")].filter(
    (pid) => pid !== null,
  );
  const sum = (of: (pid: number) => number) => pids.reduce((total, pid) => total + of(pid), 0);
  const start = { readyMs, cpuSeconds: sum(cpuSeconds), loadedMiB: sum(residentBytes) / 2 ** 20 };
  await gateway.destroy();
  return start;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return Number((sorted[Math.floor(sorted.length / 2)] ?? 0).toPrecision(3));
}

const all: Start[] = [];
for (let start = 0; start < starts; start++) all.push(await measureStart());
const result = {
  starts,
  readyMs: median(all.map(({ readyMs }) => readyMs)),
  cpuSeconds: median(all.map((start) => start.cpuSeconds)),
  loadedMiB: median(all.map(({ loadedMiB }) => loadedMiB)),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
