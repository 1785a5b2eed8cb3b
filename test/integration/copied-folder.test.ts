import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { roleNames } from "../../gateway/processes/messages.ts";
import { publishAll, statusOf, untilFiledAndTrimmed } from "../support/gateway-books.ts";
import {
  type CliResult,
  errorOf,
  freePorts,
  GatewayProcess,
  isAlive,
  runCli,
} from "../support/gateway-process.ts";

const environment = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" };

function newRoot(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), "tidegate-copy-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

async function childrenOf(gateway: GatewayProcess): Promise<number[]> {
  await gateway.waitUntilAllRun();
  const pids = roleNames.map((role) => gateway.childPid(role));
  assert.ok(pids.every((pid) => pid !== null));
  return pids;
}

async function untilFiled(gateway: GatewayProcess, messages: number): Promise<void> {
  await gateway.until("all is filed", async () => ((await statusOf(gateway)).books?.filed ?? 0) >= messages);
}

test("a gateway on a copy of a running gateway's folder does not disturb the original; both acknowledge and file", async (t) => {
  const root = newRoot(t);
  const original = await GatewayProcess.start({ dataFolder: join(root, "data"), environment });
  t.after(() => original.destroy());
  await publishAll(original, [{ device: "d1", id: "before" }]);
  await untilFiledAndTrimmed(original);
  const before = await childrenOf(original);

  execFileSync("cp", ["-a", original.dataFolder, join(root, "copy")]);
  const create = ["topics", "create", "drill", "--filter", "drill/{device}", "--format", "raw"];
  const asked = await runCli([...create, "--data", join(root, "copy"), "--json"], {
    TIDEGATE_HTTP_PORT: String(original.httpPort),
  });
  assert.equal(errorOf(asked).code, "GATEWAY_NOT_RUNNING");
  assert.match(errorOf(asked).message, /Another gateway answers on \S+: start the gateway of .*copy/);
  assert.equal((await original.api("GET", "/v1/topics/drill")).status, 404);

  const copy = await GatewayProcess.start({ dataFolder: join(root, "copy"), environment });
  t.after(() => copy.destroy());

  assert.deepEqual(before.map(isAlive), [true, true, true]);
  await publishAll(original, [{ device: "d1", id: "original" }]);
  await publishAll(copy, [{ device: "d1", id: "copy" }]);
  for (const gateway of [original, copy]) await untilFiled(gateway, 2);
  assert.deepEqual(await childrenOf(original), before);
  const ids = async (gateway: GatewayProcess) =>
    (await gateway.query("SELECT decode(message_id) AS id FROM telemetry ORDER BY id")).map(({ id }) => id);
  assert.deepEqual(await ids(original), ["before", "original"]);
  assert.deepEqual(await ids(copy), ["before", "copy"]);

  const orphans = await childrenOf(copy);
  for (const pid of orphans) process.kill(pid, "SIGSTOP");
  copy.signal("SIGKILL");
  await copy.exited();
  await copy.start();
  assert.deepEqual(orphans.map(isAlive), [false, false, false], "the orphans are processes of the copy");
  assert.deepEqual(before.map(isAlive), [true, true, true]);
  assert.equal(await copy.stop(), 0);
});

test("a copy may not share the original's lake; a renamed folder, or one reached from another PID namespace, still has only one gateway", async (t) => {
  const root = newRoot(t);
  const flags = ["--lake", `file:${join(root, "lake")}`];
  const gateway = await GatewayProcess.start({ dataFolder: join(root, "data"), environment, flags });
  t.after(() => gateway.destroy());
  const before = await childrenOf(gateway);
  execFileSync("cp", ["-a", gateway.dataFolder, join(root, "copy")]);
  const shared = await runCli(["up", "--data", join(root, "copy"), ...flags, ...freePorts, "--json"]);
  assert.equal(
    errorOf(shared).code,
    "FOLDER_COPIED",
    "the lake would confuse the copy's stream with the original's",
  );

  const renamed = join(root, "renamed");
  renameSync(gateway.dataFolder, renamed);
  const up = ["up", "--data", renamed, ...flags, ...freePorts, "--json"];
  const isLocked = (result: CliResult): void => {
    assert.equal(result.code, 1, result.stderr);
    assert.equal(errorOf(result).code, "DATA_FOLDER_LOCKED");
    assert.match(errorOf(result).message, new RegExp(`process ${gateway.pid}\\b`));
  };
  isLocked(await runCli(up));
  if (spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "true"]).status === 0)
    isLocked(await runCli(up, {}, ["unshare", "--pid", "--fork", "--mount-proc"]));
  else t.diagnostic("PID namespaces are not permitted here");
  renameSync(renamed, gateway.dataFolder);
  assert.deepEqual(before.map(isAlive), [true, true, true]);
  await publishAll(gateway, [{ device: "d1", id: "a" }]);
  await untilFiled(gateway, 1);
});
