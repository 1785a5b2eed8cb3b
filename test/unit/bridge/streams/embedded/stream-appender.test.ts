import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BridgeError, type BridgeErrorCode } from "../../../../../bridge/errors.ts";
import { SpaceBudget } from "../../../../../bridge/streams/embedded/space-budget.ts";
import { StreamAppender } from "../../../../../bridge/streams/embedded/stream-appender.ts";
import type { StreamDatabase } from "../../../../../bridge/streams/embedded/stream-file.ts";
import { emptyPartition } from "../../../../../bridge/streams/embedded/stream-records.ts";

type Commit = (puts: number) => Promise<boolean>;

/** An appender on a database whose commits the test controls. */
function appenderOn(
  commit: Commit,
  options: { appendTimeoutMs?: number; stuckMs?: number; maxBytes?: number; flushed?: Promise<boolean> } = {},
): { appender: StreamAppender; fatal: BridgeError[]; transactions: number[] } {
  const fatal: BridgeError[] = [];
  const transactions: number[] = [];
  let puts = 0;
  const database = {
    put: async () => {
      puts += 1;
      return true;
    },
    remove: async () => true,
    getBinary: () => undefined,
    resetReadTxn: () => {},
    readerCheck: () => 0,
    flushed: options.flushed ?? Promise.resolve(true),
    ifVersion: (_key: unknown, _version: number, write: () => void) => {
      puts = 0;
      write();
      transactions.push(puts);
      return commit(puts);
    },
  } as unknown as StreamDatabase;
  const appender = new StreamAppender({
    folder: "/nowhere",
    database,
    generation: 1,
    partitions: [emptyPartition, emptyPartition],
    budget: new SpaceBudget({
      folder: "/nowhere",
      maxBytes: options.maxBytes ?? 2 ** 40,
      reserveBytes: 0,
      readDisk: async () => ({ freeBytes: 2 ** 40, totalBytes: 2 ** 40, fileBytes: 0 }),
    }),
    room: {
      ensure: async (bytes) => ({ roomBytes: bytes, writtenBytes: 0 }),
      close: async () => {},
    },
    appendTimeoutMs: options.appendTimeoutMs ?? 60_000,
    stuckMs: options.stuckMs ?? 600_000,
    now: () => 1000,
    onFatal: (error) => fatal.push(error),
  });
  return { appender, fatal, transactions };
}

/**
 * Fails a commit as lmdb-js does: with a general error first, and the cause through a promise of the error.
 */
function failedCommit(code: number): Error {
  const cause = Object.assign(new Error(`error ${code}`), { code });
  return Object.assign(new Error("Commit failed (see commitError for details)"), {
    commitError: Promise.reject(cause),
  });
}

function isCode(code: BridgeErrorCode, retryable: boolean): (error: unknown) => boolean {
  return (error) => error instanceof BridgeError && error.code === code && error.retryable === retryable;
}

const block = new Uint8Array(100);

test("blocks that wait together, of all partitions, share one transaction", async () => {
  const { appender, transactions } = appenderOn(async () => true);
  const positions = await Promise.all([appender.append(0, block), appender.append(1, block)]);
  assert.deepEqual(
    positions.map((position) => Number(position)),
    [1, 1],
  );
  assert.deepEqual(transactions, [4]);
});

for (const [name, code] of [
  ["ENOSPC", 28],
  ["EDQUOT", 122],
  ["MDB_MAP_FULL", -30792],
] as const) {
  test(`${name} holds: nothing is acknowledged, the same append may succeed later`, async () => {
    let isFull = true;
    const { appender, fatal } = appenderOn(async () => {
      if (isFull) throw failedCommit(code);
      return true;
    });
    await assert.rejects(appender.append(0, block), isCode("STREAM_FULL", true));
    isFull = false;
    assert.equal(Number(await appender.append(0, block)), 1);
    assert.deepEqual(fatal, []);
  });
}

for (const [name, commit] of [
  [
    "EIO",
    async () => {
      throw failedCommit(5);
    },
  ],
  [
    "an error without a cause",
    async () => {
      throw new Error("bad");
    },
  ],
  ["another appender", async () => false],
] as const satisfies readonly (readonly [string, Commit])[]) {
  test(`${name} is fatal: reported once, and nothing is acknowledged any more`, async () => {
    const { appender, fatal, transactions } = appenderOn(commit);
    const appends = [appender.append(0, block), appender.append(1, block)];
    for (const append of appends) await assert.rejects(append, isCode("STREAM_FLUSH_FAILED", false));
    await assert.rejects(appender.append(0, block), isCode("STREAM_FLUSH_FAILED", false));
    await assert.rejects(appender.trim(0, 1), isCode("STREAM_FLUSH_FAILED", false));
    assert.equal(fatal.length, 1);
    assert.equal(transactions.length, 1);
  });
}

test("a commit counts only once it is flushed", async () => {
  let flush = (_: boolean): void => {};
  const flushed = new Promise<boolean>((resolve) => {
    flush = resolve;
  });
  const { appender } = appenderOn(async () => true, { flushed });
  let isAcknowledged = false;
  const append = appender.append(0, block).then(() => {
    isAcknowledged = true;
  });
  await sleep(5);
  assert.equal(isAcknowledged, false);
  flush(true);
  await append;
});

test("a slow commit times out; its block still has its position when it ends", async () => {
  let finish = (_: boolean): void => {};
  const { appender } = appenderOn(() => new Promise((resolve) => (finish = resolve)), { appendTimeoutMs: 5 });
  await assert.rejects(appender.append(0, block), isCode("STREAM_TIMEOUT", true));
  const second = appender.append(0, block);
  await assert.rejects(second, isCode("STREAM_TIMEOUT", true));
  finish(true);
  await sleep(1);
  assert.equal(appender.partition(0).highest, 1);
  const third = appender.append(0, block);
  await sleep(1);
  finish(true);
  assert.equal(Number(await third), 2);
});

test("a database that never ends a commit is fatal", async () => {
  const { appender, fatal } = appenderOn(() => new Promise(() => {}), { appendTimeoutMs: 5, stuckMs: 50 });
  await assert.rejects(appender.append(0, block), isCode("STREAM_TIMEOUT", true));
  while (fatal.length === 0) await sleep(5);
  await assert.rejects(appender.append(0, block), isCode("STREAM_FLUSH_FAILED", false));
});

test("the byte budget counts blocks that wait", async () => {
  const { appender } = appenderOn(async () => true, { maxBytes: 600 });
  const first = appender.append(0, block);
  const second = appender.append(0, block);
  await assert.rejects(appender.append(1, block), isCode("STREAM_FULL", true));
  await Promise.all([first, second]);
  await assert.rejects(appender.append(1, block), isCode("STREAM_FULL", true));
});
