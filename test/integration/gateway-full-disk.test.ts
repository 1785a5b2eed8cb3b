import assert from "node:assert/strict";
import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { statusOf } from "../support/gateway-books.ts";
import { GatewayProcess } from "../support/gateway-process.ts";
import { connectClient, publishDemo } from "../support/mqtt-publisher.ts";
import { mountSmallDisk } from "../support/small-disk.ts";
import { streamMembers } from "../support/stream-members.ts";

const diskBytes = 64 * 1024 * 1024;

/** Writes into a file until not even one more page fits. */
function fillDisk(file: string): void {
  for (const chunkBytes of [1024 * 1024, 4096]) {
    try {
      for (;;) appendFileSync(file, Buffer.alloc(chunkBytes));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
    }
  }
}

test("a full disk stops acknowledgements until there is space, but no process ends and no message is lost", async (t) => {
  const disk = mountSmallDisk(diskBytes);
  if ("reason" in disk) return t.skip(disk.reason);
  const gateway = await GatewayProcess.start({
    dataFolder: join(disk.path, "data"),
    environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200", TIDEGATE_PRODUCER_DEADLINE_MS: "2000" },
  });
  t.after(async () => {
    await gateway.destroy();
    disk.unmount();
  });
  const client = await connectClient(gateway.mqttUrl);
  await publishDemo(client, [{ device: "d1", id: "before" }]);

  const ballast = join(disk.path, "ballast");
  fillDisk(ballast);
  await gateway.until("the stream's budget counts the full disk", async () => {
    const { space } = streamMembers((await statusOf(gateway)).broker);
    return space ? space.diskFreeBytes <= space.diskReserveBytes : false;
  });
  await assert.rejects(
    publishDemo(client, [{ device: "d1", id: "during" }]),
    /closed before all was acknowledged/,
  );

  const broker = gateway.childPid("broker");
  assert.ok(broker !== null);
  process.kill(broker, "SIGKILL");
  await gateway.until("the supervisor has retried", async () => {
    const { processes } = (await gateway.api("GET", "/v1/status")).body as {
      processes: { restarts: number }[];
    };
    return (processes[0]?.restarts ?? 0) >= 2;
  });
  // The registry's file may have room in itself; the answer must be true either way.
  const added = await gateway.api("POST", "/v1/devices", { name: "late" });

  rmSync(ballast);
  await gateway.waitUntilReady();
  const again = await connectClient(gateway.mqttUrl);
  await publishDemo(again, [
    { device: "d1", id: "during" },
    { device: "d1", id: "after" },
  ]);
  await again.endAsync();
  const { devices } = (await gateway.api("GET", "/v1/devices")).body as { devices: unknown[] };
  assert.equal(devices.length, added.status === 201 ? 1 : 0);
  assert.equal(await gateway.stop(), 0);
  const rows = await gateway.query("SELECT decode(message_id) AS id FROM telemetry ORDER BY id");
  assert.deepEqual(
    rows.map((row) => row["id"]),
    ["after", "before", "during"],
  );
});
