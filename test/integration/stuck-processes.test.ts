import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { GatewayStatus } from "../../gateway/status/gateway-status.ts";
import { publishAll, statusOf } from "../support/gateway-books.ts";
import { GatewayProcess } from "../support/gateway-process.ts";

/**
 * A file system that never answers can't be made without rights to mount one: calls of one kind hang in the
 * processes of one role while a file is there.
 */
const hangingCalls = (role: "consumer" | "upkeep", call: "link" | "readdir", flag: string) =>
  `data:text/javascript,${encodeURIComponent(`
  import fs from "node:fs";
  import { syncBuiltinESMExports } from "node:module";
  const { ${call}: before } = fs.promises;
  const isRole = process.argv.at(-1) === "${role}";
  fs.promises.${call} = (...given) =>
    isRole && fs.existsSync(${JSON.stringify(flag)}) ? new Promise(() => {}) : before(...given);
  syncBuiltinESMExports();
`)}`;

test("a consumer that answers but makes no progress is reported, ended and restarted; each message is filed once", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-stuck-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const flag = join(folder, "hang");
  const gateway = await GatewayProcess.start({
    environment: {
      TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200",
      TIDEGATE_SUPERVISION_STUCK_MS: "2000",
      NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import "${hangingCalls("consumer", "link", flag)}"`,
    },
  });
  t.after(() => gateway.destroy());
  await publishAll(gateway, [{ device: "d1", id: "1" }]);
  await gateway.until("the first is filed", async () => ((await statusOf(gateway)).books?.filed ?? 0) === 1);
  writeFileSync(flag, "");
  await publishAll(gateway, [{ device: "d1", id: "2" }]);
  const processOf = async () => {
    const { processes } = (await statusOf(gateway)) as unknown as GatewayStatus;
    return processes.find(({ role }) => role === "consumer");
  };
  await gateway.until("it says why", async () => (await processOf())?.refusal?.code === "CONSUMER_STUCK");
  assert.match(gateway.output, /The consumer made no progress for 2 s[^\n]*store\.\w+ for \d+ s/);
  rmSync(flag);
  await gateway.until("all is filed", async () => ((await statusOf(gateway)).books?.filed ?? 0) === 2);
  assert.match(await gateway.metrics(), /tidegate_child_hangs_total\{child="consumer",[^}]*\} [1-9]/);
});

test("an upkeep that answers but makes no progress is reported, ended and restarted, and filing goes on", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-stuck-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const flag = join(folder, "hang");
  const gateway = await GatewayProcess.start({
    environment: {
      TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200",
      TIDEGATE_SUPERVISION_STUCK_MS: "2000",
      TIDEGATE_TABLES_VACUUM_INTERVAL_MS: "10000",
      NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import "${hangingCalls("upkeep", "readdir", flag)}"`,
    },
  });
  t.after(() => gateway.destroy());
  const processes = async () => (await statusOf(gateway)).processes;
  const upkeep = async () => (await processes()).find(({ role }) => role === "upkeep");
  await gateway.until("it runs", async () => (await upkeep())?.state === "ready");
  writeFileSync(flag, "");
  await gateway.until("it says why", async () => (await upkeep())?.refusal?.code === "UPKEEP_STUCK");
  assert.match(gateway.output, /The upkeep made no progress for 2 s[^\n]*store\.list for \d+ s/);
  await publishAll(gateway, [{ device: "d1", id: "1" }]);
  await gateway.until("it is filed", async () => ((await statusOf(gateway)).books?.filed ?? 0) === 1);
  rmSync(flag);
  await gateway.until(
    "another one works",
    async () => (await statusOf(gateway)).upkeep?.last?.work === "vacuum",
  );
  assert.match(await gateway.metrics(), /tidegate_child_hangs_total\{child="upkeep",[^}]*\} [1-9]/);
  const restarts = (await processes()).filter(({ role }) => role !== "upkeep").map((each) => each.restarts);
  assert.deepEqual(restarts, [0, 0]);
});
