import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { apiDocument } from "../support/api-document.ts";
import { statusOf } from "../support/gateway-books.ts";
import { GatewayProcess } from "../support/gateway-process.ts";
import { connectClient } from "../support/mqtt-publisher.ts";
import { runProgram } from "../support/run-program.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = join(root, "test", "typed-client");

async function runNode(...args: string[]): Promise<string> {
  const result = await runProgram(process.execPath, args, { cwd: folder, environment: {} });
  assert.equal(result.code, 0, result.stdout + result.stderr);
  return result.stdout;
}

test("a client generated from /openapi.json compiles and works with a running gateway", async (t) => {
  const gateway = await GatewayProcess.start({ environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" } });
  t.after(() => gateway.destroy());
  const { body: document } = await gateway.api("GET", "/openapi.json");
  const { info: _, ...described } = document;
  const { info: __, ...expected } = JSON.parse(JSON.stringify(await apiDocument()));
  assert.deepEqual(described, expected);
  writeFileSync(join(gateway.dataFolder, "openapi.json"), JSON.stringify(document));
  const types = join(folder, "api-types.ts");
  await runNode("generate.mjs", join(gateway.dataFolder, "openapi.json"), types);
  await runNode(join(root, "node_modules", "typescript", "bin", "tsc"), "--noEmit", "-p", folder);

  const client = await connectClient(gateway.mqttUrl);
  await client.publishAsync("fleet/press-7/telemetry", JSON.stringify({ ts: Date.now() }), { qos: 1 });
  await client.endAsync();
  await gateway.until(
    "the message is quarantined",
    async () => (await statusOf(gateway)).books?.quarantined === 1,
  );
  const said = JSON.parse(await runNode("--import", "tsx", "program.ts", gateway.httpUrl, gateway.token));
  const payload: string = said.quarantine[1];
  assert.deepEqual(Object.keys(JSON.parse(Buffer.from(payload, "base64").toString())), ["ts"]);
  assert.deepEqual(said, {
    topics: [201, 200, 1, ["engine", "telemetry", "telemetry_envelope"]],
    versions: [true, 2, true],
    devices: ["tgk_", "press-7", "press-7"],
    status: [true, 0, 1],
    health: ["ready", "ok", true],
    quarantine: [1, payload],
    errors: [
      { code: "REQUEST_INVALID", retryable: false, where: "format" },
      { code: "TOPIC_UNKNOWN", retryable: false, where: "{name}" },
      { code: "STREAM_NO_GAP", retryable: false, where: "partition" },
      { code: "TOKEN_REFUSED", retryable: false, where: "header authorization" },
    ],
  });
});
