import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BridgeError } from "../../bridge/errors.ts";
import { createRedisStream, startNewRedisStream } from "../../bridge/streams/redis/create-stream.ts";
import type { RedisStream } from "../../bridge/streams/redis/redis-stream.ts";
import { partitionKeys } from "../../bridge/streams/redis/stream-keys.ts";
import type { Position, StreamEntry } from "../../bridge/streams/stream-log.ts";
import { lakeWith } from "../support/lake-state.ts";
import {
  block,
  everything,
  newTestStream,
  openTestStream,
  startStreamServer,
  timeoutMs,
} from "../support/redis-stream.ts";
import { silentLogger } from "../support/test-lake.ts";
import { until } from "../support/until.ts";

const { server, admin } = await startStreamServer();

async function appended(stream: RedisStream, count: number): Promise<Position[]> {
  const positions: Position[] = [];
  for (let index = 0; index < count; index++) positions.push(await stream.append(0, block(index)));
  return positions;
}

/**
 * Reads over every gap, like an operator who accepts each loss. Returns the values that were read, and the
 * number of gaps.
 */
async function readOverGaps(stream: RedisStream): Promise<{ values: number[]; gaps: number }> {
  const entries: StreamEntry[] = [];
  let from: Position = "";
  let gaps = 0;
  for (;;) {
    try {
      const more = await stream.read(0, from, everything);
      if (more.length === 0) return { values: entries.map((entry) => entry.block[0] ?? -1), gaps };
      entries.push(...more);
      from = more.at(-1)?.position ?? from;
    } catch (error) {
      assert.ok(error instanceof BridgeError && error.code === "STREAM_GAP", String(error));
      const resumeAfter = String(error.details["resumeAfter"]);
      assert.ok(
        stream.comparePositions(resumeAfter, from) > 0,
        `${resumeAfter} does not continue from ${from}`,
      );
      from = resumeAfter;
      gaps += 1;
    }
  }
}

const thefts: readonly [
  name: string,
  left: number[],
  gaps: number,
  steal: (log: string, at: Position[]) => Promise<unknown>,
][] = [
  ["XDEL of one", [0, 1, 3, 4], 1, (log, at) => admin.xdel(log, at[2] ?? "")],
  ["XDEL of two apart", [0, 2, 4], 2, (log, at) => admin.xdel(log, at[1] ?? "", at[3] ?? "")],
  ["XTRIM", [3, 4], 1, (log) => admin.xtrim(log, "MAXLEN", 2)],
  ["XTRIM of all", [], 1, (log) => admin.xtrim(log, "MAXLEN", 0)],
  ["XDEL of the newest", [0, 1, 2, 3], 1, (log, at) => admin.xdel(log, at[4] ?? "")],
  ["XTRIM of all after our own trim", [], 1, (log) => admin.xtrim(log, "MAXLEN", 0)],
];

for (const [name, left, gaps, steal] of thefts) {
  test(`${name} by others is STREAM_GAP, and an operator can continue after the gap`, async () => {
    const { target, stream } = await newTestStream(server.url);
    const positions = await appended(stream, 5);
    const [log] = partitionKeys(target.prefix, stream.streamId, 0);
    if (name.endsWith("our own trim")) await stream.trim(0, positions[0] ?? "");
    await steal(log, positions);
    assert.deepEqual(await readOverGaps(stream), { values: left, gaps });
    // Later entries are read from the position at which the operator continued.
    const last = await stream.append(0, block(9));
    const accepted = await readOverGaps(stream);
    assert.deepEqual(accepted.values, [...left, 9]);
    await stream.trim(0, last);
    assert.deepEqual((await stream.partitionState(0)).retainedBytes, 0);
    assert.deepEqual(await stream.read(0, last, everything), []);
    await stream.close();
  });
}

test("an accepted gap stays accepted: reading, trimming and the next loss continue after it", async () => {
  const { target, stream } = await newTestStream(server.url);
  const positions = await appended(stream, 4);
  const [log] = partitionKeys(target.prefix, stream.streamId, 0);
  await admin.xdel(log, positions[1] ?? "", positions[2] ?? "");
  const gap = await stream.read(0, positions[0] ?? "", everything).catch((error: BridgeError) => error);
  assert.ok(gap instanceof BridgeError);
  const resumed = String(gap.details["resumeAfter"]);
  await stream.trim(0, resumed);
  assert.equal((await stream.partitionState(0)).trimmedUpTo, positions[0]);
  assert.deepEqual(
    (await stream.read(0, resumed, everything)).map(({ position }) => position),
    [positions[3]],
  );
  const again = await openTestStream(target, { mode: "read" });
  assert.deepEqual(
    (await again.read(0, resumed, everything)).map(({ position }) => position),
    [positions[3]],
  );
  await again.close();
  await stream.close();
});

test("our own trim by another process is no loss for a reader that is past it", async () => {
  const { target, stream } = await newTestStream(server.url);
  const positions = await appended(stream, 5);
  const other = await openTestStream(target, { mode: "read" });
  await other.trim(0, positions[2] ?? "");
  assert.equal((await stream.read(0, positions[2] ?? "", everything)).length, 2);
  assert.equal((await stream.read(0, positions[3] ?? "", everything)).length, 1);
  await other.trim(0, positions[4] ?? "");
  assert.deepEqual(await stream.read(0, positions[4] ?? "", everything), []);
  await other.close();
  await stream.close();
});

test("a position from before a loss trims no entries that came after the loss", async () => {
  const { stream } = await newTestStream(server.url);
  const positions = await appended(stream, 3);
  const [, ms = 0] = positions.map((position) => Number(position.split("-")[0]));
  for (const lost of [
    `${ms - 1_000}-3`,
    `${ms - 1_000}-9`,
    `${ms + 1_000}-2`,
    `${ms + 1_000}-3`,
    `${ms + 1_000}-9`,
  ]) {
    await stream.trim(0, lost);
    assert.equal((await stream.partitionState(0)).trimmedUpTo, "", lost);
    assert.equal((await stream.read(0, "", everything)).length, 3, lost);
  }
  await stream.trim(0, positions[2] ?? "");
  assert.equal((await stream.partitionState(0)).retainedBytes, 0);
  await stream.close();
});

test("entries of another writer are skipped, and do not block ours", async () => {
  const { target, stream } = await newTestStream(server.url);
  const [log] = partitionKeys(target.prefix, stream.streamId, 0);
  await appended(stream, 2);
  await admin.xadd(log, "*", "their", "data");
  await stream.append(0, block(2));
  assert.deepEqual(await readOverGaps(stream), { values: [0, 1, 2], gaps: 0 });
  await admin.xadd(log, "9999999999999-0", "their", "data");
  await assert.rejects(stream.append(0, block(3)), {
    code: "STREAM_DAMAGED",
    message: /another application/,
  });
  await stream.close();
});

test("entries of another writer in the same ms take none of our positions", async () => {
  const { target, stream } = await newTestStream(server.url);
  const [log] = partitionKeys(target.prefix, stream.streamId, 0);
  const count = 200;
  for (let number = 0; number < count; number++)
    await Promise.all([admin.xadd(log, "*", "their", "data"), stream.append(0, block(number))]);
  const values = Array.from({ length: count }, (_, number) => number);
  assert.deepEqual(await readOverGaps(stream), { values, gaps: 0 });
  await stream.close();
});

test("after FLUSHALL nothing is stored, and the loss is reported", async () => {
  const losses: BridgeError[] = [];
  const { target, stream } = await newTestStream(server.url, { onLost: (error) => losses.push(error) });
  const [first = ""] = await appended(stream, 2);
  await admin.flushall();
  await assert.rejects(stream.append(0, block(3)), {
    code: "STREAM_GAP",
    retryable: false,
    message: /tidegate stream new/,
  });
  await assert.rejects(stream.read(0, first, everything), { code: "STREAM_GAP" });
  await assert.rejects(stream.trim(0, first), { code: "STREAM_GAP" });
  await assert.rejects(stream.partitionState(0), { code: "STREAM_GAP" });
  await until("the loss is reported", () => losses.length > 0 && stream.status().held?.code === "STREAM_GAP");
  assert.equal(await admin.dbsize(), 0);
  await assert.rejects(openTestStream(target), { code: "STREAM_MISSING" });
  await stream.close();
});

test("FLUSHALL is detected while nobody publishes; the lost log of one partition stops only that partition", async () => {
  const losses: BridgeError[] = [];
  const onLost = (error: BridgeError) => losses.push(error);
  const { target, stream } = await newTestStream(server.url, { partitions: 2, onLost });
  await admin.del(...partitionKeys(target.prefix, stream.streamId, 0).slice(0, 1));
  await assert.rejects(stream.append(0, block(1)), { code: "STREAM_GAP" });
  await stream.append(1, block(1));
  assert.equal(losses.length, 1);
  await admin.flushall();
  await until("the loss is reported", () => losses.length >= 2);
  await stream.close();
});

test("a server that restarts from an older copy is detected, even if others have appended since", async () => {
  const { target, stream } = await newTestStream(server.url);
  await appended(stream, 3);
  const reader = await openTestStream(target, { mode: "read" });
  await server.kill();
  const copy = join(server.folder, "copy");
  cpSync(join(server.folder, "appendonlydir"), copy, { recursive: true });
  await server.start();
  await until("the server is back", () => stream.status().held === null);
  const [acknowledged = ""] = await appended(stream, 1);
  await server.kill();
  rmSync(join(server.folder, "appendonlydir"), { recursive: true });
  cpSync(copy, join(server.folder, "appendonlydir"), { recursive: true });
  await server.start();
  await assert.rejects(
    reader.read(0, acknowledged, everything).catch(() => reader.read(0, acknowledged, everything)),
  );
  await until(
    "the loss is detected",
    () => stream.status().held?.code === "STREAM_GAP" || stream.status().isConnected,
  );
  await assert.rejects(stream.append(0, block(7)), {
    code: "STREAM_GAP",
    message: /older copy|had confirmed/,
  });
  await until("the reader is back", () => reader.status().isConnected);
  await assert.rejects(reader.read(0, acknowledged, everything), { code: "STREAM_GAP", retryable: true });
  // Another broker, which does not know of the loss, continues and uses the position again, at a later time.
  const other = await openTestStream(target);
  await other.append(0, block(8));
  await other.append(0, block(9));
  await assert.rejects(reader.read(0, acknowledged, everything), { code: "STREAM_GAP", retryable: false });
  // The number is in use again, so only a check of the entry itself detects the loss.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await assert.rejects(stream.append(0, block(7)), { code: "STREAM_GAP" });
  assert.deepEqual((await readOverGaps(reader)).values, [0, 1, 2, 8, 9]);
  for (const each of [stream, reader, other]) await each.close();
});

test("a broker that did not run during its server's roll-back detects the loss by its marks", async () => {
  const { target, stream } = await newTestStream(server.url, { partitions: 2 });
  const [, second = ""] = await appended(stream, 2);
  const mark = { streamId: stream.streamId, highest: stream.confirmed() };
  assert.deepEqual(mark.highest, [second, ""]);
  await stream.close();
  const again = await openTestStream(target, { marks: [mark] });
  assert.deepEqual(again.confirmed(), mark.highest, "the marks are kept although nothing was appended yet");
  await again.trim(0, second);
  await again.close();
  await (await openTestStream(target, { marks: [mark] })).close();
  const further = await openTestStream(target, { marks: [mark] });
  const [third = ""] = await appended(further, 1);
  const [log, state] = partitionKeys(target.prefix, stream.streamId, 0);
  await further.close();
  await admin.xdel(log, third);
  await admin.hset(state, "lastNumber", 2, "lastMs", second.split("-")[0] ?? "");
  await (await openTestStream(target, { marks: [mark] })).close();
  const newest = { ...mark, highest: [third, ""] };
  await assert.rejects(openTestStream(target, { marks: [newest] }), { code: "STREAM_GAP" });
  const foreign = { ...newest, streamId: "another stream" };
  await (await openTestStream(target, { marks: [foreign] })).close();
  const reader = await openTestStream(target, { marks: [newest], mode: "read" });
  assert.equal(reader.status().held?.code, "STREAM_GAP");
  await reader.close();
});

test("an append to a server that lacks confirmed entries stores nothing, even before a check", async () => {
  const { target, stream } = await newTestStream(server.url, { checkMs: 3_600_000 });
  const [first = "", second = "", third = ""] = await appended(stream, 3);
  const [log, state] = partitionKeys(target.prefix, stream.streamId, 0);
  await admin.xdel(log, third);
  await admin.hset(state, "lastNumber", 2, "lastMs", second.split("-")[0] ?? "");
  await assert.rejects(stream.append(0, block(9)), { code: "STREAM_GAP", message: /older copy/ });
  assert.equal(await admin.xlen(log), 2);
  await assert.rejects(stream.read(0, third, everything), { code: "STREAM_GAP" });
  // An entry with the same number and another time is another entry.
  const [ms = 0] = second.split("-").map(Number);
  await admin.xdel(log, second);
  await admin.hset(state, "lastMs", ms + 5);
  await assert.rejects(stream.read(0, second, everything), { code: "STREAM_GAP" });
  assert.equal((await stream.read(0, "", everything))[0]?.position, first);
  await stream.close();
});

test("an append after an entry whose number was used again at another time stores nothing", async () => {
  const { target, stream } = await newTestStream(server.url, { checkMs: 3_600_000 });
  const [, , third = ""] = await appended(stream, 3);
  const [log, state] = partitionKeys(target.prefix, stream.streamId, 0);
  const [ms = 0] = third.split("-").map(Number);
  await admin.hset(state, "lastNumber", 3, "lastMs", ms + 5);
  await assert.rejects(stream.append(0, block(9)), { code: "STREAM_GAP", message: /older copy/ });
  assert.equal(await admin.xlen(log), 3);
  await stream.close();
});

test("a partition that lost its state accepts nothing, even from a broker that has appended nothing yet", async () => {
  const { target, stream } = await newTestStream(server.url, { checkMs: 3_600_000 });
  const other = await openTestStream(target, { checkMs: 3_600_000 });
  await appended(stream, 2);
  const [log, state] = partitionKeys(target.prefix, stream.streamId, 0);
  await admin.del(state);
  await assert.rejects(other.append(0, block(9)), { code: "STREAM_GAP", message: /emptied or replaced/ });
  assert.equal(await admin.xlen(log), 2);
  await other.close();
  await stream.close();
});

test("kill -9 of the server loses no acknowledged block, and appends resume by themselves", async () => {
  const { stream } = await newTestStream(server.url);
  const acknowledged: Position[] = [];
  let isDone = false;
  const appending = (async () => {
    for (let value = 0; !isDone; value++)
      await stream.append(0, block(value & 255)).then(
        (position) => acknowledged.push(position),
        () => new Promise((resolve) => setTimeout(resolve, 5)),
      );
  })();
  for (let round = 0; round < 3; round++) {
    const before = acknowledged.length;
    await until("blocks are acknowledged", () => acknowledged.length > before + 50);
    await server.kill();
    await server.start();
  }
  const before = acknowledged.length;
  await until("blocks are acknowledged", () => acknowledged.length > before + 50);
  isDone = true;
  await appending;
  const stored = new Set<Position>();
  for (let from = ""; ; ) {
    const entries = await stream.read(0, from, everything);
    for (const { position } of entries) stored.add(position);
    if (entries.length === 0) break;
    from = entries.at(-1)?.position ?? "";
  }
  assert.deepEqual(
    acknowledged.filter((position) => !stored.has(position)),
    [],
  );
  await stream.close();
});

test("a server clock that goes back, or has jumped ahead once, does not stop appends or change their order", async () => {
  const { target, stream } = await newTestStream(server.url);
  const [first = ""] = await appended(stream, 1);
  const [, state] = partitionKeys(target.prefix, stream.streamId, 0);
  const aheadMs = Date.now() + 3_600_000;
  // The state after an append in an hour from now.
  await admin.hset(state, "lastMs", aheadMs);
  const other = await openTestStream(target);
  const second = await other.append(0, block(1));
  const third = await other.append(0, block(2));
  assert.ok(other.comparePositions(first, second) < 0 && other.comparePositions(second, third) < 0);
  const entries = await other.read(0, first, everything);
  assert.deepEqual(
    entries.map(({ appendTimeMs }) => appendTimeMs),
    [aheadMs, aheadMs],
  );
  await other.close();
  await stream.close();
});

test("a new stream closes the old one: processes that have it open can append no more, and its keys will expire", async () => {
  const losses: BridgeError[] = [];
  const { target, stream } = await newTestStream(server.url, { onLost: (error) => losses.push(error) });
  const [position = ""] = await appended(stream, 1);
  const loadLake = async () => lakeWith({ [`${stream.streamId}/0`]: position });
  const options = { target, partitionCount: 3, timeoutMs, logger: silentLogger, loadLake };
  const { streamId, replaces, unread } = await startNewRedisStream(options);
  assert.deepEqual([replaces, unread], [stream.streamId, { blocks: 0, messages: 0 }]);
  await assert.rejects(stream.append(0, block(1)), {
    code: "STREAM_GAP",
    message: new RegExp(`${streamId}.*restart`),
  });
  await assert.rejects(stream.read(0, position, everything), { code: "STREAM_GAP" });
  await until("the loss is reported", () => losses.length > 0);
  for (const key of partitionKeys(target.prefix, stream.streamId, 0))
    assert.ok((await admin.ttl(key)) > 6 * 24 * 3600);
  const fresh = await openTestStream(target, { partitionCount: 3 });
  assert.deepEqual(
    [fresh.streamId, fresh.record.startedAnew, fresh.record.replaces, fresh.record.unread],
    [streamId, true, stream.streamId, unread],
  );
  await fresh.append(2, block(1));
  assert.equal((await createRedisStream(options)).streamId, streamId);
  await fresh.close();
  await stream.close();
});
