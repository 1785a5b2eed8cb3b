import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type CliResult, errorOf, freePorts, runCli } from "../support/gateway-process.ts";
import { RedisServer } from "../support/redis-server.ts";
import { SharedGateways } from "../support/shared-gateways.ts";

const open: { destroy(): Promise<void> }[] = [];
after(async () => {
  for (const each of open.reverse()) await each.destroy();
});

test("an unsuitable Redis is refused at the start, with the reason and the fix", async () => {
  const server = await RedisServer.start();
  open.push(server);
  const replica = await RedisServer.start({ replicaof: `127.0.0.1 ${server.port}` });
  open.push(replica);
  const gateways = await SharedGateways.start(1, ["--stream", server.url]);
  open.push(gateways);
  const admin = server.client();
  open.push({ destroy: async () => admin.disconnect() });
  const { lake } = gateways;
  let folders = 0;
  const up = async (url: string, environment = {}, at = `${lake}-${folders}`): Promise<string> => {
    const places = ["--data", `${gateways.folder}/data-${folders++}`, "--lake", at];
    const refused: CliResult = await runCli(
      ["up", "--stream", url, ...places, ...freePorts, "--json"],
      environment,
    );
    assert.equal(refused.code, 1, refused.stdout);
    const { code, message } = errorOf(refused);
    return `${code}: ${message}`;
  };
  assert.match(await up(server.url), /REGISTRY_LAKE.*--lake/s, "another lake on the same prefix");
  assert.match(
    await up(server.url, { TIDEGATE_STREAM_PARTITION_COUNT: "8" }, lake),
    /STREAM_PARTITIONS.*has 4 partitions.*Configure 4/s,
  );
  assert.match(
    await up(server.url.replace(/0$/, "99")),
    /REDIS_URL_INVALID.*no database 99/,
    "a database that the server lacks",
  );
  await admin.set("foreign:stream", "of another application");
  assert.match(await up(`${server.url}?prefix=foreign`), /foreign:stream|prefix=/);
});
