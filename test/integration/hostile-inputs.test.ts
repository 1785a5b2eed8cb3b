import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayProcess } from "../support/gateway-process.ts";
import { runHostileInputs } from "../support/hostile/run-hostile-inputs.ts";
import { LiveMemory } from "../support/live-memory.ts";
import { longestWaitMs } from "../support/until.ts";

const inputs = Number(process.env["INPUTS"] ?? 1_500);
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

test(`${inputs} hostile payloads, schemas and packets are filed, quarantined or refused with a reason (SEED=${seed})`, async (t) => {
  const memory = new LiveMemory();
  const gateway = await GatewayProcess.start({
    environment: { ...memory.environment, TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" },
  });
  t.after(() => gateway.destroy());
  t.after(() => memory.destroy());
  const report = await runHostileInputs(gateway, { inputs, seed, memory, timeMaxMs: longestWaitMs });
  t.diagnostic(JSON.stringify(report));
  assert.deepEqual(report.faults, []);
  assert.equal(report.inputs, inputs);
});
