/**
 * Compares durable acknowledgements with stock Aedes, which acknowledges before it stores anything. Both get
 * the same load in the same run, in turn. The gateway's consumer is paused, so that the broker and the load
 * generator have the two cores to themselves.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { GatewayProcess } from "../support/gateway-process.ts";
import { type LoadResult, runLoad } from "../support/mqtt-load.ts";
import { cpuSeconds } from "../support/process-usage.ts";

interface Server {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

const cases = [
  { name: "500 connections, window 20", connections: 500, window: 20 },
  { name: "2000 connections, window 1", connections: 2_000, window: 1 },
];
const load = { payloadBytes: 100, warmUpMs: 2_000, durationMs: 8_000 };
const rounds = 2;

async function startStock(): Promise<Server> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "..", "support", "stock-aedes.mjs")], {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  const stop = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { port: Number(line), pid: child.pid as number, stop };
}

async function startTidegate(): Promise<Server> {
  const gateway = await GatewayProcess.start({ environment: { TIDEGATE_LOG_LEVEL: "warn" } });
  const [broker, consumer] = [gateway.childPid("broker"), gateway.childPid("consumer")];
  if (broker === null || consumer === null) throw new Error("the gateway runs both");
  process.kill(consumer, "SIGSTOP");
  const stop = async () => {
    process.kill(consumer, "SIGCONT");
    await gateway.destroy();
  };
  return { port: gateway.mqttPort, pid: broker, stop };
}

async function measure(start: () => Promise<Server>, options: (typeof cases)[number]) {
  const server = await start();
  try {
    const before = cpuSeconds(server.pid);
    const result: LoadResult = await runLoad({ port: server.port, ...options, ...load });
    const cpu = cpuSeconds(server.pid) - before;
    // The server's CPU includes the messages of the warm-up, and connecting.
    const messages = result.acknowledged * (1 + load.warmUpMs / load.durationMs);
    return { ...result, serverCpuMicrosPerMessage: Number(((cpu * 1e6) / messages).toFixed(2)) };
  } finally {
    await server.stop();
  }
}

const results = [];
for (const options of cases) {
  for (let round = 0; round < rounds; round++) {
    const stock = await measure(startStock, options);
    const tidegate = await measure(startTidegate, options);
    const ratio = Number((tidegate.messagesPerSecond / stock.messagesPerSecond).toFixed(2));
    results.push({ case: options.name, ratio, tidegate, stock });
    process.stderr.write(
      `${options.name}: ${tidegate.messagesPerSecond} / ${stock.messagesPerSecond} = ${ratio}\n`,
    );
  }
}
process.stdout.write(`${JSON.stringify({ bench: "acknowledgements", results })}\n`);
