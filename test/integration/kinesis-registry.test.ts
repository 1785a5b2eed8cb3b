import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { GatewayProcess } from "../support/gateway-process.ts";
import { KinesisUnderTest } from "../support/kinesis-stream.ts";
import { RedisServer } from "../support/redis-server.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-kinesis-registry-"));
let kinesis: KinesisUnderTest;
before(async () => {
  kinesis = await KinesisUnderTest.start("kinesalite");
});
after(async () => {
  await kinesis.destroy();
  rmSync(root, { recursive: true, force: true });
});

const topic = { name: "engine", filter: "plant/{device}/engine", format: "json" };

async function deviceNames(gateway: GatewayProcess): Promise<string[]> {
  const { json } = await gateway.cli("devices", "list");
  return (json as { devices: { name: string }[] }).devices.map(({ name }) => name);
}

/** Runs a gateway for as long as the work lasts. */
async function withGateway<Result>(
  dataFolder: string,
  flags: readonly string[],
  work: (gateway: GatewayProcess) => Promise<Result>,
): Promise<Result> {
  const gateway = await GatewayProcess.start({ dataFolder, flags });
  try {
    return await work(gateway);
  } finally {
    await gateway.stop();
  }
}

test("a gateway copies its own registry to an empty shared one, once; a registry in use is not changed", async () => {
  const redis = await RedisServer.start();
  const stream = `kinesis://us-east-1/registry?endpoint=${kinesis.server.url}`;
  const alone = ["--stream", stream, "--create", "--lake", `file:${join(root, "lake")}`];
  const shared = [...alone, "--window", redis.url];
  const [first, second] = [join(root, "first"), join(root, "second")];
  try {
    await withGateway(first, alone, async (gateway) => {
      assert.equal((await gateway.api("POST", "/v1/topics", topic)).status, 201);
      for (const name of ["pump-1", "pump-2"])
        assert.equal((await gateway.api("POST", "/v1/devices", { name, role: "device" })).status, 201);
    });
    await withGateway(first, shared, async (gateway) => {
      assert.deepEqual(await deviceNames(gateway), ["pump-1", "pump-2"]);
      assert.equal((await gateway.api("GET", "/v1/topics/engine")).status, 200);
      assert.match(gateway.output, /registry\.taken/);
      assert.equal((await gateway.api("DELETE", "/v1/devices/pump-1")).status, 200);
      await withGateway(second, shared, async (other) => {
        assert.deepEqual(await deviceNames(other), ["pump-2"]);
      });
    });
    await withGateway(first, shared, async (gateway) => {
      assert.deepEqual(await deviceNames(gateway), ["pump-2"], "removed devices do not come back");
      assert.doesNotMatch(gateway.output, /registry\.(taken|left)/);
    });
    await withGateway(second, alone, async (gateway) => {
      assert.equal(
        (await gateway.api("POST", "/v1/devices", { name: "pump-3", role: "device" })).status,
        201,
      );
    });
    await withGateway(second, shared, async (gateway) => {
      assert.deepEqual(await deviceNames(gateway), ["pump-2"]);
      assert.match(gateway.output, /is in use and lacks 1 of the data folder's identities/);
    });
  } finally {
    await redis.destroy();
  }
});
