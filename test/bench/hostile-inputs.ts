/**
 * Sends hostile payloads, schemas and packets to a running gateway, and reports what became of each. Fails if
 * an input was neither filed, quarantined nor refused with a reason, if a process ended, or if something was
 * logged as an error.
 * Environment: INPUTS (default 100,000), SEED (default: of the clock), MINUTES (no round begins after them,
 * default 20). Prints one JSON object.
 */
import { GatewayProcess } from "../support/gateway-process.ts";
import { runHostileInputs } from "../support/hostile/run-hostile-inputs.ts";
import { LiveMemory } from "../support/live-memory.ts";

const inputs = Number(process.env["INPUTS"] ?? 100_000);
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const timeMaxMs = Number(process.env["MINUTES"] ?? 20) * 60_000;

process.stderr.write(`seed ${seed}\n`);
const memory = new LiveMemory();
const gateway = await GatewayProcess.start({
  environment: { ...memory.environment, TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "500" },
});
try {
  const report = await runHostileInputs(gateway, { inputs, seed, memory, timeMaxMs });
  if (report.faults.length > 0) process.exitCode = 1;
  const faults = report.faults.slice(0, 50);
  process.stdout.write(`${JSON.stringify({ ...report, faultCount: report.faults.length, faults })}\n`);
} finally {
  await gateway.destroy();
  memory.destroy();
}
