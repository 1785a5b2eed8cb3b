import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BridgeError, type BridgeErrorCode } from "../../bridge/errors.ts";
import {
  type Position,
  type StreamEntry,
  type StreamLog,
  startPosition,
} from "../../bridge/streams/stream-log.ts";
import { longestWaitMs } from "../support/until.ts";

/** One stream under test. Its handles share the entries. */
export interface StreamUnderTest {
  /** A handle that appends, trims and reads. */
  open(): Promise<StreamLog>;
  /** A handle that reads, like that of a consumer. */
  openReader(): Promise<StreamLog>;
  /** Removes an entry without using the stream; absent if that is not possible. */
  loseEntry?(partition: number, position: Position): Promise<void>;
  readonly clock: StreamClock;
  /** Closes every handle and removes everything. */
  destroy(): Promise<void>;
}

/** The clock of append times, ms since the epoch: a clock that the test sets, or that of a server. */
export type StreamClock = { set(nowMs: number): void } | { ask(): Promise<number> };

export type StreamFactory = (options: { partitionCount: number }) => Promise<StreamUnderTest>;

const everything = { maxBytes: Number.MAX_SAFE_INTEGER, maxEntries: Number.MAX_SAFE_INTEGER };
const clockStartMs = 1_795_000_000_000;

function block(...bytes: number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

function isCode(code: BridgeErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BridgeError && error.code === code;
}

function contents(entries: readonly StreamEntry[]): number[][] {
  return entries.map((entry) => [...entry.block]);
}

const fewAtOnce = { maxBytes: 64, maxEntries: 3 };

/** Reads `count` entries, which must be all. A stream that reads ahead may take a moment. */
async function readAll(
  stream: StreamLog,
  partition: number,
  after: Position,
  count: number,
  limits = fewAtOnce,
): Promise<StreamEntry[]> {
  const entries: StreamEntry[] = [];
  const deadlineMs = Date.now() + longestWaitMs;
  for (;;) {
    const from = entries.at(-1)?.position ?? after;
    const more = await stream.read(partition, from, limits);
    entries.push(...more);
    if (more.length > 0) continue;
    const { highest } = await stream.partitionState(partition);
    if (highest !== null || entries.length >= count || Date.now() > deadlineMs) return entries;
    await stream.waitForAppend(1000, [partition]);
  }
}

/**
 * The contract of StreamLog. Each test gets a stream of its own. `isKeptByTime`: entries expire, no process
 * can trim or remove one, and the stream does not report its highest position.
 */
export function streamLogContract(
  name: string,
  create: StreamFactory,
  { isKeptByTime = false }: { isKeptByTime?: boolean } = {},
): void {
  const on = (title: string, body: (stream: StreamUnderTest) => Promise<void>, partitionCount = 2): void => {
    test(`${name}: ${title}`, async () => {
      const stream = await create({ partitionCount });
      if ("set" in stream.clock) stream.clock.set(clockStartMs);
      try {
        await body(stream);
      } finally {
        await stream.destroy();
      }
    });
  };
  orderTests(on, isKeptByTime);
  if (!isKeptByTime) trimTests(on);
  if (!isKeptByTime) lossTests(on);
  neverReachedTest(on);
  lifeTests(on, isKeptByTime);
}

type On = (title: string, body: (stream: StreamUnderTest) => Promise<void>, partitionCount?: number) => void;

function orderTests(on: On, isKeptByTime: boolean): void {
  on("a read of an empty partition returns no entries", async (under) => {
    const stream = await under.open();
    assert.deepEqual(await stream.read(0, startPosition, everything), []);
    const { highest, trimmedUpTo, retainedBytes } = await stream.partitionState(1);
    assert.equal(trimmedUpTo, startPosition);
    assert.deepEqual([highest, retainedBytes], isKeptByTime ? [null, null] : [startPosition, 0]);
  });

  on("entries are read in order and whole, each partition separately", async (under) => {
    const stream = await under.open();
    const first = await stream.append(0, block(1));
    const other = await stream.append(1, block(9, 9));
    const second = await stream.append(0, block(2, 2));
    const entries = await stream.read(0, startPosition, everything);
    assert.deepEqual(contents(entries), [[1], [2, 2]]);
    assert.deepEqual(
      entries.map((entry) => entry.position),
      [first, second],
    );
    assert.deepEqual(contents(await stream.read(0, first, everything)), [[2, 2]]);
    assert.deepEqual(contents(await stream.read(1, startPosition, everything)), [[9, 9]]);
    assert.deepEqual(await stream.read(1, other, everything), []);
    assert.ok(stream.comparePositions(startPosition, first) < 0);
    assert.ok(stream.comparePositions(first, second) < 0);
    assert.equal(stream.comparePositions(second, second), 0);
    assert.ok(stream.comparePositions(second, first) > 0);
  });

  on("appends that begin together are all stored, in the order of the calls", async (under) => {
    const stream = await under.open();
    const appends = Array.from({ length: 40 }, (_, index) => stream.append(index % 2, block(index)));
    const positions = await Promise.all(appends);
    for (const partition of [0, 1]) {
      const entries = await readAll(stream, partition, startPosition, 20);
      assert.deepEqual(
        contents(entries).map(([value]) => value),
        Array.from({ length: 20 }, (_, index) => 2 * index + partition),
      );
      assert.deepEqual(
        entries.map((entry) => entry.position),
        positions.filter((_, index) => index % 2 === partition),
      );
    }
  });

  on("a read keeps its limits, but returns at least one entry", async (under) => {
    const stream = await under.open();
    for (let index = 0; index < 5; index++) await stream.append(0, new Uint8Array(100).fill(index));
    const lengthOf = async (maxBytes: number, maxEntries: number): Promise<number> =>
      (await stream.read(0, startPosition, { maxBytes, maxEntries })).length;
    assert.equal(await lengthOf(250, 10), 2);
    assert.equal(await lengthOf(300, 10), 3);
    assert.equal(await lengthOf(1, 10), 1);
    assert.equal(await lengthOf(10_000, 4), 4);
  });

  on("blocks of every size are read as they were appended", async (under) => {
    const stream = await under.open();
    const sizes = [0, 1, 1900, 2000, 4000, 4096, 65_536, 921_600];
    for (const size of sizes) await stream.append(1, new Uint8Array(size).fill(size % 251));
    const entries = await readAll(stream, 1, startPosition, sizes.length);
    assert.deepEqual(
      entries.map((entry) => entry.block.length),
      sizes,
    );
    for (const { block: bytes } of entries) assert.ok(bytes.every((byte) => byte === bytes.length % 251));
  });

  on("append times follow the stream's clock, and are right after a step of the clock", async (under) => {
    const stream = await under.open();
    const { clock } = under;
    if ("ask" in clock) return await timesOfServer(stream, clock);
    for (const ms of [5000, 3000, 3000, 9000]) {
      clock.set(clockStartMs + ms);
      await stream.append(0, block(1));
    }
    const entries = await stream.read(0, startPosition, everything);
    assert.deepEqual(
      entries.map((entry) => entry.appendTimeMs - clockStartMs),
      [5000, 3000, 3000, 9000],
    );
    await stream.close();
    const again = await under.open();
    clock.set(clockStartMs);
    await again.append(0, block(2));
    assert.equal((await readAll(again, 0, startPosition, 5)).at(-1)?.appendTimeMs, clockStartMs);
  });
}

async function timesOfServer(stream: StreamLog, clock: { ask(): Promise<number> }): Promise<void> {
  const times = [await clock.ask()];
  for (let index = 0; index < 4; index++) {
    await stream.append(0, block(1));
    times.push(await clock.ask());
  }
  const entries = await stream.read(0, startPosition, everything);
  for (const [index, { appendTimeMs }] of entries.entries())
    assert.ok((times[index] ?? 0) <= appendTimeMs && appendTimeMs <= (times[index + 1] ?? 0));
  assert.equal(entries.length, 4);
}

function trimTests(on: On): void {
  on("trimming removes up to a position, is idempotent, and keeps the highest position", async (under) => {
    const stream = await under.open();
    const positions: Position[] = [];
    for (let index = 0; index < 6; index++) positions.push(await stream.append(0, block(index)));
    const before = (await stream.partitionState(0)).retainedBytes;
    const [, , third = "", , , last = ""] = positions;
    await stream.trim(0, third);
    await stream.trim(0, third);
    await stream.trim(0, positions[0] ?? "");
    assert.deepEqual(contents(await stream.read(0, third, everything)), [[3], [4], [5]]);
    const state = await stream.partitionState(0);
    assert.equal(state.trimmedUpTo, third);
    assert.equal(state.highest, last);
    assert.ok(Number(state.retainedBytes) < Number(before));
    await stream.trim(0, last);
    assert.deepEqual(await stream.read(0, last, everything), []);
    assert.deepEqual(await stream.partitionState(0), { highest: last, trimmedUpTo: last, retainedBytes: 0 });
    const next = await stream.append(0, block(7));
    assert.ok(stream.comparePositions(last, next) < 0);
  });

  on("reading below a trimmed position is STREAM_GAP with the position to continue", async (under) => {
    const stream = await under.open();
    const first = await stream.append(0, block(1));
    const second = await stream.append(0, block(2));
    await stream.append(0, block(3));
    await stream.trim(0, second);
    for (const after of [startPosition, first]) {
      await assert.rejects(stream.read(0, after, everything), (error) => {
        assert.ok(isCode("STREAM_GAP")(error));
        assert.equal((error as BridgeError).details["resumeAfter"], second);
        return true;
      });
    }
    assert.deepEqual(contents(await stream.read(0, second, everything)), [[3]]);
  });

  on("many entries are trimmed at once while others are appended", async (under) => {
    const stream = await under.open();
    const positions = await Promise.all(
      Array.from({ length: 1500 }, (_, index) => stream.append(0, block(index & 255))),
    );
    const late = stream.append(0, block(77));
    await Promise.all([stream.trim(0, positions[1200] ?? ""), stream.trim(0, positions[900] ?? ""), late]);
    assert.equal((await stream.partitionState(0)).trimmedUpTo, positions[1200]);
    assert.equal((await readAll(stream, 0, positions[1200] ?? "", 300)).length, 300);
  });
}

function lossTests(on: On): void {
  on("a missing entry is STREAM_GAP, and is never skipped", async (under) => {
    const stream = await under.open();
    const positions: Position[] = [];
    for (let index = 0; index < 5; index++) positions.push(await stream.append(0, block(index)));
    const [first = "", second = "", third = "", fourth = "", fifth = ""] = positions;
    await under.loseEntry?.(0, third);
    const reader = await under.openReader();
    const resumed: Position[] = [];
    assert.deepEqual(contents(await reader.read(0, startPosition, everything)), [[0], [1]]);
    await assert.rejects(reader.read(0, second, everything), (error) => {
      assert.ok(isCode("STREAM_GAP")(error));
      // Between the lost entries and the remaining ones. The positions of lost entries may be unknown.
      const resumeAfter = String((error as BridgeError).details["resumeAfter"]);
      resumed.push(resumeAfter);
      assert.ok(reader.comparePositions(resumeAfter, second) > 0);
      assert.ok(reader.comparePositions(resumeAfter, fourth) < 0);
      return true;
    });
    for (const after of [...resumed, third])
      assert.deepEqual(contents(await reader.read(0, after, everything)), [[3], [4]]);
    await under.loseEntry?.(0, fifth);
    await assert.rejects(reader.read(0, fourth, everything), isCode("STREAM_GAP"));
    assert.deepEqual(contents(await reader.read(0, first, everything)), [[1]]);
  });
}

function neverReachedTest(on: On): void {
  on("a position that the stream never reached is STREAM_GAP", async (under) => {
    const stream = await under.open();
    const first = await stream.append(0, block(1));
    await stream.append(0, block(1));
    const third = await stream.append(0, block(1));
    await assert.rejects(stream.read(1, first, everything), isCode("STREAM_GAP"));
    await stream.append(1, block(1));
    await assert.rejects(stream.read(1, third, everything), isCode("STREAM_GAP"));
    await assert.rejects(stream.read(1, "not a position", everything), isCode("STREAM_GAP"));
  });
}

function lifeTests(on: On, isKeptByTime: boolean): void {
  on("another handle sees id, partitions, entries and trims", async (under) => {
    const stream = await under.open();
    const reader = await under.openReader();
    assert.equal(reader.streamId, stream.streamId);
    assert.match(stream.streamId, /^[0-9a-f]{32}$/);
    assert.deepEqual(
      reader.partitions.all.map(({ partition, isOpen }) => [partition, isOpen]),
      [
        [0, true],
        [1, true],
      ],
    );
    const first = await stream.append(0, block(1));
    assert.deepEqual(contents(await reader.read(0, startPosition, everything)), [[1]]);
    const second = await stream.append(0, block(2));
    await stream.trim(0, first);
    assert.deepEqual(contents(await readAll(reader, 0, first, 1)), [[2]]);
    assert.equal((await reader.partitionState(0)).highest, isKeptByTime ? null : second);
  });

  on("appended entries outlive their handle", async (under) => {
    const stream = await under.open();
    const first = await stream.append(0, block(1));
    await stream.append(0, block(2));
    await stream.trim(0, first);
    const { streamId } = stream;
    await stream.close();
    const again = await under.open();
    assert.equal(again.streamId, streamId);
    assert.equal((await again.partitionState(0)).trimmedUpTo, isKeptByTime ? startPosition : first);
    const third = await again.append(0, block(3));
    assert.deepEqual(contents(await readAll(again, 0, first, 2)), [[2], [3]]);
    assert.equal((await again.partitionState(0)).highest, isKeptByTime ? null : third);
  });

  on("a waiting reader wakes for an append, even for one from before the wait", async (under) => {
    const stream = await under.open();
    const reader = await under.openReader();
    await reader.read(0, startPosition, everything);
    await reader.read(1, startPosition, everything);
    await stream.append(1, block(1));
    await reader.waitForAppend(60_000);
    const last = (await reader.read(1, startPosition, everything)).at(-1)?.position ?? "";
    const woken = reader.waitForAppend(60_000);
    await stream.append(0, block(2));
    await woken;
    assert.deepEqual(await reader.read(1, last, everything), []);
    await reader.waitForAppend(1);
  });

  on("a closed handle rejects with STREAM_CLOSED", async (under) => {
    const stream = await under.open();
    const reader = await under.openReader();
    const position = await stream.append(0, block(1));
    for (const handle of [reader, stream]) {
      await handle.close();
      await handle.close();
      await assert.rejects(handle.append(0, block(1)), isCode("STREAM_CLOSED"));
      await assert.rejects(handle.read(0, startPosition, everything), isCode("STREAM_CLOSED"));
      await assert.rejects(handle.trim(0, position), isCode("STREAM_CLOSED"));
      await assert.rejects(handle.partitionState(0), isCode("STREAM_CLOSED"));
      await assert.rejects(handle.waitForAppend(1), isCode("STREAM_CLOSED"));
    }
  });

  on("an unknown partition is refused", async (under) => {
    const stream = await under.open();
    await assert.rejects(stream.append(2, block(1)), RangeError);
    // The stream may no longer know this partition.
    const refusal = isKeptByTime ? isCode("STREAM_GAP") : RangeError;
    await assert.rejects(stream.read(2, startPosition, everything), refusal);
  });

  on("any interleaving reads the entries that were appended and not trimmed", async (under) => {
    let stream = await under.open();
    const model = [
      { appended: [] as Position[], trimmed: 0 },
      { appended: [] as Position[], trimmed: 0 },
    ];
    const step = fc.record({
      kind: fc.constantFrom("append" as const, "append" as const, "trim" as const, "reopen" as const),
      partition: fc.integer({ min: 0, max: 1 }),
      amount: fc.integer({ min: 0, max: 5 }),
    });
    for (const { kind, partition, amount } of fc.sample(step, 120)) {
      const held = model[partition];
      assert.ok(held);
      if (kind === "append") {
        const blocks = Array.from({ length: amount }, (_, index) => block(partition, index));
        held.appended.push(...(await Promise.all(blocks.map((each) => stream.append(partition, each)))));
      } else if (kind === "trim") {
        held.trimmed = Math.min(held.trimmed + amount, held.appended.length);
        await stream.trim(partition, held.appended[held.trimmed - 1] ?? startPosition);
      } else {
        await stream.close();
        stream = await under.open();
      }
      const after = held.appended[held.trimmed - 1] ?? startPosition;
      const expected = held.appended.slice(held.trimmed);
      const entries = await readAll(stream, partition, after, expected.length);
      assert.deepEqual(
        entries.map((entry) => entry.position),
        expected,
      );
    }
  });
}
