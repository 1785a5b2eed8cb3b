import assert from "node:assert/strict";
import { test } from "node:test";
import type { RedisClient } from "../../../../../bridge/redis/redis-connection.ts";
import { RedisAppender } from "../../../../../bridge/streams/redis/redis-appender.ts";

/** An appender whose server the test plays; `calls` = the number of blocks of each call. */
function appenderOn(answer: (call: number) => Promise<unknown>): {
  appender: RedisAppender;
  calls: number[];
} {
  const calls: number[] = [];
  const client = {
    // The script's name, the number of keys, two keys, three numbers, then the blocks.
    callBuffer: async (_: string, args: readonly unknown[]) => [await answer(calls.push(args.length - 7))],
  } as unknown as RedisClient;
  const appender = new RedisAppender({
    client,
    isCluster: false,
    keys: [["log", "state"]],
    replicas: 0,
    timeoutMs: 1000,
    settled: async () => {},
    hold: () => null,
    newest: [],
    onAppended: () => {},
    onFailed: () => {},
  });
  return { appender, calls };
}

const block = Uint8Array.of(1);

function outcomes(appends: readonly Promise<string>[]): Promise<string[]> {
  return Promise.all(appends.map((append) => append.catch(({ code }: { code: string }) => code)));
}

test("a call with an unknown outcome fails later blocks too, so that none overtakes it", async () => {
  let fail = (_: Error) => {};
  const unknown = new Promise<unknown>((_, reject) => {
    fail = reject;
  });
  const { appender, calls } = appenderOn((call) =>
    call === 1 ? unknown : Promise.resolve([Buffer.from("7-1")]),
  );
  const first = appender.append(0, block);
  await new Promise((resolve) => setImmediate(resolve));
  const followers = [appender.append(0, block), appender.append(0, block)];
  fail(new Error("Command timed out"));
  assert.deepEqual(await outcomes([first, ...followers]), Array(3).fill("REDIS_UNAVAILABLE"));
  assert.deepEqual(calls, [1]);
  assert.equal(await appender.append(0, block), "7-1");
});

test("if a call was stored in part, only that part is acknowledged", async () => {
  const { appender, calls } = appenderOn(async () => [Buffer.from("7-1"), Buffer.from("7-2")]);
  const appends = [1, 2, 3, 4].map(() => appender.append(0, block));
  assert.deepEqual(await outcomes(appends), ["7-1", "7-2", "STREAM_FULL", "STREAM_FULL"]);
  assert.deepEqual(calls, [4]);
  assert.deepEqual(appender.newest(0), { ms: 7, number: 2 });
});
