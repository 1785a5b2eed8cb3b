import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SimulatorError } from "../../../../../simulator/errors.ts";
import { GatewayClock } from "../../../../../simulator/prove/under-test/gateway-clock.ts";
import { GatewayUnderTest } from "../../../../../simulator/prove/under-test/gateway-under-test.ts";

test("a gateway that ends instead of starting is PROVE_GATEWAY_FAILED, with its log's name", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-test-"));
  const program = join(folder, "ends.mjs");
  await writeFile(program, "process.exit(3);");
  const logFile = join(folder, "gateway.log");
  const clock = new GatewayClock(join(folder, "clock"));
  const options = { program, folder, mqttPort: 1, httpPort: 1, logFile, flags: [], environment: {}, clock };
  await assert.rejects(
    new GatewayUnderTest(options).start(),
    (error) =>
      error instanceof SimulatorError &&
      error.code === "PROVE_GATEWAY_FAILED" &&
      error.message.includes(logFile) &&
      error.message.includes("exit code 3"),
  );
  await rm(folder, { recursive: true });
});
