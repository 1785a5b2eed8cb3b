import assert from "node:assert/strict";
import { test } from "node:test";
import type { Redis } from "ioredis";
import type { BridgeError } from "../../bridge/errors.ts";
import { startNewRedisStream } from "../../bridge/streams/redis/create-stream.ts";
import { partitionKeys } from "../../bridge/streams/redis/stream-keys.ts";
import { lakeWith } from "../support/lake-state.ts";
import { RedisServer } from "../support/redis-server.ts";
import { block, newTestStream, startStreamServer, timeoutMs } from "../support/redis-stream.ts";
import { silentLogger } from "../support/test-lake.ts";
import { until } from "../support/until.ts";

// Losses that only checks can find, because no append meets them.

const { server, admin } = await startStreamServer({ "repl-diskless-sync-delay": "0" });

test("after a reconnect, the stream detects entries that vanished while the connection was cut", async () => {
  const { target, stream } = await newTestStream(server.url, { checkMs: 200 });
  await stream.append(0, block(1));
  const second = await stream.append(0, block(2));
  const third = await stream.append(0, block(3));
  const [log, state] = partitionKeys(target.prefix, stream.streamId, 0);
  await until("the server was checked", () => stream.status().isConnected);
  await admin.xdel(log, third);
  await admin.hset(state, "lastNumber", 2, "lastMs", second.split("-")[0] ?? "");
  await admin.call("CLIENT", "KILL", "TYPE", "normal");
  await until("the loss is detected", () => stream.status().held?.code === "STREAM_GAP");
  await stream.close();
});

test("the stream detects that its server has copied older data without cutting a connection", async () => {
  const { stream } = await newTestStream(server.url);
  await stream.append(0, block(1));
  const copy = await RedisServer.start({ "repl-diskless-sync-delay": "0" });
  const copyAdmin = copy.client();
  const isSynced = async (of: Redis) => (await of.info("replication")).includes("master_link_status:up");
  try {
    await copyAdmin.replicaof("127.0.0.1", server.port);
    await until("the copy is there", () => isSynced(copyAdmin));
    await copyAdmin.replicaof("NO", "ONE");
    await stream.append(0, block(2));
    await admin.replicaof("127.0.0.1", copy.port);
    await until("the server has copied the data", () => isSynced(admin));
    await admin.replicaof("NO", "ONE");
    await until("the loss is detected", () => stream.status().held?.code === "STREAM_GAP");
  } finally {
    await admin.replicaof("NO", "ONE");
    await stream.close();
    copyAdmin.disconnect();
    await copy.destroy();
  }
});

test("the next check detects that another stream was started", async () => {
  const losses: BridgeError[] = [];
  const { target, stream } = await newTestStream(server.url, { onLost: (error) => losses.push(error) });
  const loadLake = async () => lakeWith({});
  const options = { target, partitionCount: 1, timeoutMs, logger: silentLogger, loadLake };
  const { streamId } = await startNewRedisStream(options);
  await until("the loss is reported", () => losses.length > 0);
  assert.match(losses[0]?.message ?? "", new RegExp(`names the stream ${streamId} now: restart`));
  await stream.close();
});
