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

// Losses that are found by looking, since nothing is appended that would meet them.

const { server, admin } = await startStreamServer({ "repl-diskless-sync-delay": "0" });

test("entries that vanished while a connection was cut are missed after the reconnect", async () => {
  const { target, stream } = await newTestStream(server.url, { checkMs: 200 });
  await stream.append(0, block(1));
  const second = await stream.append(0, block(2));
  const third = await stream.append(0, block(3));
  const [log, state] = partitionKeys(target.prefix, stream.streamId, 0);
  await until("it was looked at", () => stream.status().isConnected);
  await admin.xdel(log, third);
  await admin.hset(state, "lastNumber", 2, "lastMs", second.split("-")[0] ?? "");
  await admin.call("CLIENT", "KILL", "TYPE", "normal");
  await until("it is found", () => stream.status().held?.code === "STREAM_GAP");
  await stream.close();
});

test("a server that took over an older copy's data without cutting a connection is found", async () => {
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
    await until("the copy is taken over", () => isSynced(admin));
    await admin.replicaof("NO", "ONE");
    await until("it is found", () => stream.status().held?.code === "STREAM_GAP");
  } finally {
    await admin.replicaof("NO", "ONE");
    await stream.close();
    copyAdmin.disconnect();
    await copy.destroy();
  }
});

test("that another stream was started is learned at the next look", async () => {
  const losses: BridgeError[] = [];
  const { target, stream } = await newTestStream(server.url, { onLost: (error) => losses.push(error) });
  const loadLake = async () => lakeWith({});
  const options = { target, partitionCount: 1, timeoutMs, logger: silentLogger, loadLake };
  const { streamId } = await startNewRedisStream(options);
  await until("it is told", () => losses.length > 0);
  assert.match(losses[0]?.message ?? "", new RegExp(`names the stream ${streamId} now: restart`));
  await stream.close();
});
