import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { DeviceClient } from "../../devices/index.ts";
import { freePort } from "../support/free-port.ts";
import { GatewayProcess, runCli } from "../support/gateway-process.ts";
import { RedisServer } from "../support/redis-server.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-exact-"));
after(() => rmSync(root, { recursive: true, force: true }));
const count = 20;
const environment = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" };

async function withClient(
  url: string,
  folder: string,
  work: (client: DeviceClient) => Promise<void>,
): Promise<void> {
  const client = await DeviceClient.open({ url, clientId: "pump-7", outbox: { folder } });
  try {
    await work(client);
  } finally {
    await client.close({ drainTimeoutMs: 0 });
  }
}

/**
 * Fills the outbox of a device that was offline. The returned function makes a copy of that outbox for each
 * further time that it is sent.
 */
async function fillOutbox(name: string, topics: readonly string[]): Promise<(times: number) => string> {
  const folder = join(root, `${name}-outbox`);
  await withClient(`mqtt://127.0.0.1:${await freePort()}`, folder, async (client) => {
    for (let number = 0; number < count; number++)
      for (const topic of topics) await client.publish(topic, { number });
  });
  return (time) => {
    const copy = `${folder}-${time}`;
    cpSync(folder, copy, { recursive: true, filter: (path) => !path.endsWith(".sock") });
    return copy;
  };
}

/** Sends the whole outbox; resolves once everything is acknowledged. */
function sendAll(gateway: GatewayProcess, folder: string, total: number): Promise<void> {
  return withClient(gateway.mqttUrl, folder, async (client) => {
    await gateway.until("all messages are acknowledged", () => client.status.acknowledged >= total);
  });
}

async function rowsOf(gateway: GatewayProcess, table: string, lake: readonly string[]): Promise<number> {
  const answer = await gateway.cli("query", `SELECT count(*) AS n FROM ${table}`, ...lake);
  assert.equal(answer.code, 0, answer.stderr);
  return Number((answer.json as { rows: { n: number }[] }).rows[0]?.n);
}

async function duplicatesOf(gateway: GatewayProcess): Promise<number> {
  const { books } = (await gateway.api("GET", "/v1/status")).body as { books: { duplicates: number } };
  return books.duplicates;
}

function resendsLongAfter(
  name: string,
  open: () => Promise<{ gateway: GatewayProcess; lake: readonly string[]; close: () => Promise<void> }>,
): void {
  describe(`resends of the SDK after the topic's window: ${name}`, { concurrency: false }, () => {
    let system: Awaited<ReturnType<typeof open>>;
    before(async () => {
      system = await open();
    });
    after(() => system.close());

    test("resends are duplicates in exact mode, even after a restart, and second rows in window mode", async () => {
      const { gateway, lake } = system;
      for (const dedupe of ["exact", "window"]) {
        const flags = ["--filter", `${dedupe}/{device}`, "--format", "envelope", "--dedupe-window", "1"];
        const created = await gateway.cli("topics", "create", `mode_${dedupe}`, ...flags, "--dedupe", dedupe);
        assert.equal(created.code, 0, created.stderr);
      }
      const copyOf = await fillOutbox(name, ["exact/pump-7", "window/pump-7"]);
      const filed = (times: number) => async () =>
        (await rowsOf(gateway, "mode_exact", lake)) === count &&
        (await rowsOf(gateway, "mode_window", lake)) === times * count;
      await sendAll(gateway, copyOf(1), 2 * count);
      await gateway.until("all is filed", filed(1));
      await delay(2_500);
      await sendAll(gateway, copyOf(2), 2 * count);
      await gateway.until("the window mode has second rows", filed(2));
      await gateway.stop();
      await gateway.start();
      await delay(1_000);
      await sendAll(gateway, copyOf(3), 2 * count);
      await gateway.until("the window mode has third rows", filed(3));
      const { stdout } = await runCli(["status", "--data", gateway.dataFolder]);
      assert.match(stdout, /Dedupe window: \d+ ids and 1 epoch of devices \(--dedupe exact\) in \d+ bytes/);
    });

    test("new messages of an outbox restored from a backup are quarantined, and three outboxes of one device work side by side", async () => {
      const { gateway, lake } = system;
      for (const topic of ["restored", "shared"]) {
        const flags = ["--filter", `${topic}/{device}`, "--format", "envelope", "--dedupe-window", "1"];
        const created = await gateway.cli("topics", "create", topic, ...flags, "--dedupe", "exact");
        assert.equal(created.code, 0, created.stderr);
      }
      const copyOf = await fillOutbox(`${name}-restored`, ["restored/pump-7"]);
      const shared = await Promise.all(
        [1, 2, 3].map((number) => fillOutbox(`${name}-shared-${number}`, ["shared/pump-7"])),
      );
      const publish = (folder: string, readings: number, turn: string) =>
        withClient(gateway.mqttUrl, folder, async (client) => {
          const topic = "restored/pump-7";
          for (let number = 0; number < readings; number++) await client.publish(topic, { turn, number });
          await gateway.until(
            "all messages are acknowledged",
            () => client.status.acknowledged >= count + readings,
          );
        });
      await publish(copyOf(1), 40, "first");
      for (const copyOfShared of shared) await sendAll(gateway, copyOfShared(1), count);
      const filed = async () =>
        (await rowsOf(gateway, "restored", lake)) === count + 40 &&
        (await rowsOf(gateway, "shared", lake)) === 3 * count;
      await gateway.until("all is filed", filed);
      const before = await duplicatesOf(gateway);
      await delay(2_500);
      await publish(copyOf(2), 40, "after it was restored");
      for (const copyOfShared of shared) await sendAll(gateway, copyOfShared(2), count);
      const quarantined = `_quarantine WHERE reason = 'id-reused'`;
      await gateway.until(
        "the reused ids are quarantined",
        async () => (await rowsOf(gateway, quarantined, lake)) === 40,
      );
      const resends = 4 * count;
      await gateway.until("all is read", async () => (await duplicatesOf(gateway)) === before + resends);
      assert.ok(await filed(), "nothing was filed twice");
      assert.equal(await rowsOf(gateway, "_quarantine", lake), 40);
    });

    test("exact mode is refused for json, with the reason", async () => {
      const flags = ["--filter", "json/{device}", "--format", "json", "--dedupe", "exact"];
      const refused = await system.gateway.cli("topics", "create", "mode_json", ...flags);
      assert.equal(refused.code, 2);
      assert.match(JSON.stringify(refused.json), /dedupe exact: this is for the format envelope only/);
    });
  });
}

resendsLongAfter("embedded", async () => {
  const gateway = await GatewayProcess.start({ environment });
  return { gateway, lake: [], close: () => gateway.destroy() };
});

resendsLongAfter("redis", async () => {
  const server = await RedisServer.start();
  const lake = ["--lake", `file:${join(root, "lake")}`];
  const flags = ["--stream", server.url, ...lake];
  const gateway = await GatewayProcess.start({ flags, environment });
  const close = async () => {
    await gateway.destroy();
    await server.destroy();
  };
  return { gateway, lake, close };
});
