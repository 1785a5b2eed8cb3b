import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { GatewayStatus } from "../../gateway/supervisor/gateway-status.ts";
import { publishAll, statusOf } from "../support/gateway-books.ts";
import { GatewayProcess } from "../support/gateway-process.ts";

/** A file system that never answers can't be made without rights to mount one: links of files hang while a file is there. */
const hangingLinks = (flag: string) =>
  `data:text/javascript,${encodeURIComponent(`
  import fs from "node:fs";
  import { syncBuiltinESMExports } from "node:module";
  const { link } = fs.promises;
  const isConsumer = process.argv.at(-1) === "consumer";
  fs.promises.link = (...paths) =>
    isConsumer && fs.existsSync(${JSON.stringify(flag)}) ? new Promise(() => {}) : link(...paths);
  syncBuiltinESMExports();
`)}`;

test("a consumer that answers and takes no step is told, ended and started again; all is filed once", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-stuck-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const flag = join(folder, "hang");
  const gateway = await GatewayProcess.start({
    environment: {
      TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200",
      TIDEGATE_SUPERVISION_STUCK_MS: "2000",
      NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import "${hangingLinks(flag)}"`,
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
  assert.match(gateway.output, /The consumer took no step for 2 s[^\n]*store\.\w+ for \d+ s/);
  rmSync(flag);
  await gateway.until("all is filed", async () => ((await statusOf(gateway)).books?.filed ?? 0) === 2);
  assert.match(await gateway.metrics(), /tidegate_child_hangs_total\{child="consumer",[^}]*\} [1-9]/);
});
