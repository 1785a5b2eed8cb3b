import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { errorOf, freePorts, GatewayProcess, runCli } from "../support/gateway-process.ts";
import { S3TestServer } from "../support/s3-server.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-migrate-lake-"));
const server = await S3TestServer.start();
after(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});
Object.assign(process.env, server.environment);
const environment = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300" };

test("a lake moves from disk to S3 and back: its id stays the same, resends stay duplicates, the audit is clean", async () => {
  const dataFolder = join(root, "data");
  const ledger = join(root, "ledger");
  const lake = server.url("moved");
  const simulate = async (gateway: GatewayProcess) => {
    const fleet = ["--devices", "50", "--connections", "10", "--rate", "500", "--duration", "2", "--append"];
    const where = ["--ledger", ledger, "--mqtt", gateway.mqttUrl, "--json"];
    const result = await runCli(["simulate", ...fleet, "--faults", "duplicate,poison", ...where]);
    assert.equal(result.code, 0, result.stderr);
  };
  const goOn = async (url: string, expectedMin: number) => {
    const gateway = await GatewayProcess.start({ dataFolder, flags: ["--lake", url], environment });
    try {
      await simulate(gateway);
      const audit = await runCli(["audit", "--ledger", ledger, "--lake", url, "--wait", "60", "--json"]);
      assert.equal(audit.code, 0, audit.stderr);
      const { stored, lost, duplicated } = audit.json as Record<string, number>;
      assert.ok((stored ?? 0) > expectedMin, `${stored} stored`);
      assert.deepEqual([lost, duplicated], [0, 0]);
    } finally {
      await gateway.destroy();
    }
  };
  const before = await GatewayProcess.start({ dataFolder, environment });
  await simulate(before);
  const inUse = await before.cli("migrate", "--lake-to", lake);
  assert.equal(errorOf(inUse).code, "DATA_FOLDER_LOCKED", inUse.stderr);
  // Some of the messages wait in the stream, which does not move.
  await before.destroy();
  const moved = await before.cli("migrate", "--lake-to", lake);
  assert.equal(moved.code, 0, moved.stderr);
  const { objects, lake: there } = moved.json as Record<string, unknown>;
  assert.ok(Number(objects) > 3);
  assert.match(String(there), /^s3:\/\/[^/]+\/moved\?endpoint=/);

  const old = ["--data", dataFolder, "--json"];
  for (const command of [
    ["up", ...freePorts],
    ["migrate", "--lake-to", lake],
  ]) {
    const refused = await runCli([...command, ...old]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /start the gateway with --lake s3:/);
  }
  await goOn(lake, 1_900);
  const back = `file:${join(root, "back")}`;
  const returned = await before.cli("migrate", "--lake", lake, "--lake-to", back);
  assert.equal(returned.code, 0, returned.stderr);
  await goOn(back, 2_850);
});

test("the target is checked before any change", async () => {
  const usage = [
    ["--lake-to", "nowhere"],
    ["--lake-to", "file:x", "--from", "redis://127.0.0.1:1"],
  ];
  for (const flags of usage) assert.equal((await runCli(["migrate", "--data", root, ...flags])).code, 2);
});
