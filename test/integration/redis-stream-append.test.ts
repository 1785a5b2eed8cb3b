import assert from "node:assert/strict";
import { test } from "node:test";
import type { RedisTarget } from "../../bridge/redis/redis-url.ts";
import { partitionKeys } from "../../bridge/streams/redis/stream-keys.ts";
import { startPosition } from "../../bridge/streams/stream-log.ts";
import { block, everything, newTestStream, startStreamServer } from "../support/redis-stream.ts";

const { server, admin } = await startStreamServer();
const mebibyte = 1024 * 1024;

async function scriptCalls(): Promise<number> {
  const stats = await admin.info("commandstats");
  const calls = [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)];
  return calls.reduce((sum, [, count]) => sum + Number(count), 0);
}

async function newStream(partitions: number) {
  const { target, stream } = await newTestStream(server.url, { partitions, checkMs: 60_000 });
  // The server must know the script before calls are counted.
  await stream.append(0, block(0));
  return { target, stream };
}

const keysOf = (target: RedisTarget, streamId: string, partition: number) =>
  partitionKeys(target.prefix, streamId, partition);

test("appends of several partitions in one turn are sent in one call, in order, unless they are too large for one", async () => {
  const { stream } = await newStream(4);
  const appended = async (blocks: readonly (readonly [partition: number, block: Uint8Array])[]) => {
    const before = await scriptCalls();
    await Promise.all(blocks.map(([partition, bytes]) => stream.append(partition, bytes)));
    return (await scriptCalls()) - before;
  };
  const few = [3, 1, 3, 0, 2, 3].map((partition, index) => [partition, block(partition, index)] as const);
  assert.equal(await appended(few), 1);
  const read = await stream.read(3, startPosition, everything);
  assert.deepEqual(
    read.map((entry) => [...entry.block]),
    [
      [3, 0],
      [3, 2],
      [3, 5],
    ],
  );
  const big = new Uint8Array(3 * mebibyte);
  const calls = await appended([0, 1, 2, 3].map((partition) => [partition, big] as const));
  assert.equal(calls, 2, "two blocks in each call, because three exceed 8 MiB");
  await stream.close();
});

test("an error of one partition does not affect the others", async () => {
  const { target, stream } = await newStream(6);
  const of = (partition: number) => keysOf(target, stream.streamId, partition);
  await stream.append(2, block(1));
  await admin.set(of(0)[1], "no hash");
  await admin.set(of(1)[0], "no stream");
  await admin.hset(of(2)[1], "lastNumber", 0);
  await admin.del(...of(3));
  await admin.hset(of(4)[1], "lastNumber", "many");
  const codes = await Promise.all(
    [0, 1, 2, 3, 4, 5].map((partition) =>
      stream.append(partition, block(7)).then(
        () => "stored",
        (error: Error & { code: string }) => `${error.code} ${error.message}`,
      ),
    ),
  );
  for (const [partition, expected] of [
    /^REDIS_KEY_TYPE/,
    /^REDIS_KEY_TYPE/,
    /^STREAM_GAP.*lacks/,
    /^STREAM_GAP.*gone/,
    /^REDIS_UNAVAILABLE appending to partition 4: ERR/,
  ].entries())
    assert.match(codes[partition] ?? "", expected);
  assert.equal(codes[5], "stored");
  assert.equal((await stream.read(5, startPosition, everything)).length, 1);
  await stream.close();
});
