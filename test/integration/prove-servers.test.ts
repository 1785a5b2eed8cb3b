import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { FaultProxy } from "../../simulator/prove/under-test/fault-proxy.ts";
import { RedisUnderTest } from "../../simulator/prove/under-test/redis-under-test.ts";

const folder = await mkdtemp(join(tmpdir(), "tidegate-prove-servers-"));
after(() => rm(folder, { recursive: true, force: true }));

async function echoThrough(use: (proxy: FaultProxy, client: Socket) => Promise<void>): Promise<void> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = await FaultProxy.start((server.address() as AddressInfo).port);
  const client = connect({ host: "127.0.0.1", port: proxy.port });
  client.on("error", () => {});
  try {
    client.write("hello");
    assert.equal(String((await once(client, "data"))[0]), "hello");
    await use(proxy, client);
  } finally {
    client.destroy();
    await proxy.close();
    server.close();
  }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}

test("connections are reset, and the next ones work", async () => {
  await echoThrough(async (proxy, client) => {
    proxy.reset();
    await closed(client);
    const next = connect({ host: "127.0.0.1", port: proxy.port });
    next.write("again");
    assert.equal(String((await once(next, "data"))[0]), "again");
    next.destroy();
  });
});

test("in silence connections are accepted and stay open, and no data passes until they are reset", async () => {
  await echoThrough(async (proxy, client) => {
    const silence = proxy.silence(2_000);
    let heard = "";
    client.on("data", (bytes) => {
      heard += String(bytes);
    });
    client.write("into the void");
    const late = connect({ host: "127.0.0.1", port: proxy.port });
    late.on("error", () => {});
    await once(late, "connect");
    late.write("also");
    await delay(100);
    assert.deepEqual([heard, client.destroyed, late.destroyed], ["", false, false]);
    await silence;
    await closed(client);
    assert.equal(heard, "");
    late.destroy();
  });
});

test("a server of the proof is killed and restarts with its data, is emptied, and runs short of memory", async () => {
  const server = await RedisUnderTest.start({ folder: join(folder, "server"), appendfsync: "always" });
  try {
    assert.match(await server.command("SET proof kept"), /^\+OK/);
    await server.kill();
    assert.equal(server.pid, undefined);
    await server.start();
    assert.match(await server.command("GET proof"), /kept/);
    await server.limitMemory(true);
    await server.command(`SETRANGE big ${4 * 1024 * 1024} x`);
    assert.match(await server.command("SET more x"), /^-OOM/);
    await server.limitMemory(false);
    assert.match(await server.command("SET small x"), /^\+OK/);
    await server.command("FLUSHALL");
    assert.match(await server.command("DBSIZE"), /^:0/);
  } finally {
    await server.close();
  }
});

test("without redis-server the error says what to install: PROVE_SERVER_FAILED", async () => {
  const path = process.env["PATH"];
  process.env["PATH"] = folder;
  try {
    await assert.rejects(RedisUnderTest.start({ folder: join(folder, "none"), appendfsync: "always" }), {
      code: "PROVE_SERVER_FAILED",
      message: /apt-get install redis-server/,
    });
  } finally {
    process.env["PATH"] = path;
  }
});
