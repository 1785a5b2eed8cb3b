/**
 * Measures the broker's own cost: stock Aedes, which acknowledges before it stores anything, against our
 * broker with a sink that makes everything durable at once. Both get the same load in the same run, in turn.
 * The rest of the gateway does not run.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { runLoad } from "../support/mqtt-load.ts";
import { cpuSeconds } from "../support/process-usage.ts";

const cases = [
  { name: "500 connections, window 20", connections: 500, window: 20 },
  { name: "2000 connections, window 1", connections: 2_000, window: 1 },
];
const load = { payloadBytes: 100, warmUpMs: 2_000, durationMs: 8_000 };

async function measure(program: string, options: (typeof cases)[number]) {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", join(import.meta.dirname, "..", "support", program)],
    { stdio: ["ignore", "pipe", "inherit", "ipc"] },
  );
  const exited = once(child, "exit");
  try {
    const [line] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
    const { pid } = child;
    if (pid === undefined) throw new Error(`${program} has no pid`);
    return await runLoad({
      ...load,
      connections: options.connections,
      window: options.window,
      port: Number(line),
      serverCpuSeconds: () => cpuSeconds(pid),
    });
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
}

const results = [];
for (const options of cases) {
  const stock = await measure("stock-aedes.mjs", options);
  const tidegate = await measure("broker-process.ts", options);
  const ratio = Number((tidegate.messagesPerSecond / stock.messagesPerSecond).toFixed(2));
  results.push({ case: options.name, ratio, tidegate, stock });
}
process.stdout.write(`${JSON.stringify({ bench: "broker-ack", results })}\n`);
