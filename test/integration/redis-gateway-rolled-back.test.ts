import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { publishAll, untilRefused } from "../support/gateway-books.ts";
import { GatewayProcess, runShellCommand } from "../support/gateway-process.ts";
import { RedisServer } from "../support/redis-server.ts";
import { openTestStream } from "../support/redis-stream.ts";
import { isMarked } from "../support/stream-marked.ts";

const open: { destroy(): Promise<void> }[] = [];
after(async () => {
  for (const each of open.reverse()) await each.destroy();
});

test("a Redis that was restored, while no gateway ran, from a copy with all committed messages is detected, and the command resumes", async () => {
  const server = await RedisServer.start();
  open.push(server);
  const flags = ["--stream", server.url, "--window", "memory:"];
  const gateway = await GatewayProcess.start({ flags });
  open.push(gateway);
  const killed = async () => {
    const pids = [gateway.pid, gateway.childPid("broker"), gateway.childPid("consumer")];
    for (const pid of pids) process.kill(pid ?? assert.fail("it runs"), "SIGKILL");
    await gateway.exited();
    await server.kill();
  };
  const files = join(server.folder, "appendonlydir");
  await publishAll(gateway, [{ device: "d1", id: "a" }]);
  await killed();
  cpSync(files, join(server.folder, "copy"), { recursive: true });
  await server.start();
  await gateway.start();
  await publishAll(gateway, [{ device: "d1", id: "b" }]);
  const now = await openTestStream(parseRedisUrl(server.url), { mode: "read" });
  await gateway.until("the confirmed positions are marked", () => isMarked(gateway.dataFolder, now));
  await now.close();
  await killed();
  rmSync(files, { recursive: true });
  cpSync(join(server.folder, "copy"), files, { recursive: true });
  await server.start();

  const { dataFolder } = gateway;
  const restored = await GatewayProcess.start({ dataFolder, flags, waitUntilReady: false });
  open.push(restored);
  const refusal = await untilRefused(restored);
  assert.match(refusal, /STREAM_GAP: .*lacks blocks that the server had confirmed/);
  const [, command = ""] = /`(tidegate stream new --[^`]*)`/.exec(refusal) ?? [];
  await restored.stop();
  const renewed = await runShellCommand(command);
  assert.equal(renewed.code, 0, renewed.stderr);
  assert.match(renewed.stdout, /Given up with .*: an unknown number of messages/);
  await restored.start();
  await restored.waitUntilReady();
  await publishAll(restored, [{ device: "d1", id: "c" }]);
});
