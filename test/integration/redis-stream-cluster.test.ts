import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { partitionKeys } from "../../bridge/streams/redis/stream-keys.ts";
import type { Position } from "../../bridge/streams/stream-log.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import {
  block,
  closeTestStreams,
  everything,
  newTestStream,
  openTestStream,
} from "../support/redis-stream.ts";
import { until } from "../support/until.ts";

const partitions = 12;
let cluster: RedisCluster;

before(async () => {
  cluster = await RedisCluster.start({ maxmemory: "256mb" });
});

after(async () => {
  await closeTestStreams();
  await cluster.destroy();
});

test("the partitions spread over the nodes, and both keys of a partition are on one node", async () => {
  const { target, stream } = await newTestStream(cluster.url, { partitions });
  const nodes = new Set<number>();
  for (let partition = 0; partition < partitions; partition++) {
    const keys = partitionKeys(target.prefix, stream.streamId, partition);
    const [log, state] = await Promise.all(keys.map((key) => cluster.nodeOf(key)));
    assert.equal(log, state);
    nodes.add(log ?? -1);
  }
  assert.equal(nodes.size, 3);
  await stream.close();
});

test("a node is killed and restarted: no acknowledged block is lost, and the stream does not send a block twice by itself", async () => {
  const { stream } = await newTestStream(cluster.url, { partitions });
  const acknowledged: Position[][] = Array.from({ length: partitions }, () => []);
  let sent = 0;
  let failed = 0;
  let isDone = false;
  const appendings = acknowledged.map(async (positions, partition) => {
    while (!isDone) {
      sent += 1;
      await stream.append(partition, block(1)).then(
        (position) => positions.push(position),
        () => {
          failed += 1;
          return new Promise((resolve) => setTimeout(resolve, 20));
        },
      );
    }
  });
  const each = (more: number): boolean => acknowledged.every(({ length }) => length > more);
  await until("all partitions accept blocks", () => each(20));
  const [, second] = cluster.servers;
  await second?.kill();
  await until("appends fail", () => failed > 0);
  await second?.start();
  const before = Math.max(...acknowledged.map(({ length }) => length));
  await until("all partitions accept blocks again", () => each(before));
  isDone = true;
  await Promise.all(appendings);
  let stored = 0;
  for (const [partition, positions] of acknowledged.entries()) {
    const found = new Set<Position>();
    for (let from = ""; ; ) {
      const entries = await stream.read(partition, from, everything);
      for (const { position } of entries) found.add(position);
      if (entries.length === 0) break;
      from = entries.at(-1)?.position ?? "";
    }
    stored += found.size;
    assert.deepEqual(
      positions.filter((position) => !found.has(position)),
      [],
    );
  }
  assert.ok(stored <= sent, `${stored} of ${sent}`);
  await stream.close();
});

test("an emptied node stops its partitions and no others", async () => {
  const { target, stream } = await newTestStream(cluster.url, { partitions });
  await Promise.all(Array.from({ length: partitions }, (_, partition) => stream.append(partition, block(1))));
  const metaNode = await cluster.nodeOf(`${target.prefix}:stream`);
  const victim = (metaNode + 1) % 3;
  const admin = cluster.servers[victim]?.client();
  await admin?.flushall();
  admin?.disconnect();
  for (let partition = 0; partition < partitions; partition++) {
    const [log] = partitionKeys(target.prefix, stream.streamId, partition);
    const append = () => stream.append(partition, block(2));
    const read = () => stream.read(partition, "", everything);
    if ((await cluster.nodeOf(log)) !== victim) {
      await append();
      assert.ok((await read()).length > 0);
      continue;
    }
    await assert.rejects(append(), { code: "STREAM_GAP" });
    await assert.rejects(read(), { code: "STREAM_GAP" });
  }
  await assert.rejects(openTestStream(target), { code: "STREAM_GAP" });
  // A consumer continues with the other partitions.
  const reader = await openTestStream(target, { mode: "read" });
  await reader.close();
  await stream.close();
});

test("if a cluster lacks the required replicas, nothing is confirmed", async () => {
  const { stream } = await newTestStream(cluster.url, { replicas: 1 });
  await assert.rejects(stream.append(0, block(1)), { code: "REDIS_UNAVAILABLE", message: /0 of 1 replicas/ });
  await stream.close();
});
