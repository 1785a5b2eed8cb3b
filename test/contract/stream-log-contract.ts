import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BridgeError, type BridgeErrorCode } from "../../bridge/errors.ts";
import {
  type Position,
  START_POSITION,
  type StreamEntry,
  type StreamLog,
} from "../../bridge/streams/stream-log.ts";
import { longestWaitMs } from "../support/until.ts";

/** One stream under test. Handles opened from it share what it holds. */
export interface StreamUnderTest {
  /** A handle that appends, trims and reads. */
  open(): Promise<StreamLog>;
  /** A handle that reads, as the consumer has it. */
  openReader(): Promise<StreamLog>;
  /** Removes one entry behind the stream's back; absent where nobody can. */
  loseEntry?(partition: number, position: Position): Promise<void>;
  readonly clock: StreamClock;
  /** Closes every handle and removes everything. */
  destroy(): Promise<void>;
}

/** The clock that gives append times, ms since the epoch: one that a test sets, or one of a server that it can only ask. */
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

/** `count` entries, which must be all that there are. Those of a stream that reads ahead may take a moment. */
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
 * What every StreamLog must do. Each test gets a stream of its own.
 * `isKeptByTime`: entries go when their time has come; nobody can trim or take one, and the stream does not say how far it goes.
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
  on("an empty partition reads as nothing", async (under) => {
    const stream = await under.open();
    assert.deepEqual(await stream.read(0, START_POSITION, everything), []);
    const { highest, trimmedUpTo, retainedBytes } = await stream.partitionState(1);
    assert.equal(trimmedUpTo, START_POSITION);
    assert.deepEqual([highest, retainedBytes], isKeptByTime ? [null, null] : [START_POSITION, 0]);
  });

  on("entries come back in order, whole, each partition for itself", async (under) => {
    const stream = await under.open();
    const first = await stream.append(0, block(1));
    const other = await stream.append(1, block(9, 9));
    const second = await stream.append(0, block(2, 2));
    const entries = await stream.read(0, START_POSITION, everything);
    assert.deepEqual(contents(entries), [[1], [2, 2]]);
    assert.deepEqual(
      entries.map((entry) => entry.position),
      [first, second],
    );
    assert.deepEqual(contents(await stream.read(0, first, everything)), [[2, 2]]);
    assert.deepEqual(contents(await stream.read(1, START_POSITION, everything)), [[9, 9]]);
    assert.deepEqual(await stream.read(1, other, everything), []);
    assert.ok(stream.comparePositions(START_POSITION, first) < 0);
    assert.ok(stream.comparePositions(first, second) < 0);
    assert.equal(stream.comparePositions(second, second), 0);
    assert.ok(stream.comparePositions(second, first) > 0);
  });

  on("appends begun together all land, in the order of the calls", async (under) => {
    const stream = await under.open();
    const appends = Array.from({ length: 40 }, (_, index) => stream.append(index % 2, block(index)));
    const positions = await Promise.all(appends);
    for (const partition of [0, 1]) {
      const entries = await readAll(stream, partition, START_POSITION, 20);
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

  on("a read keeps to its limits but always answers one entry", async (under) => {
    const stream = await under.open();
    for (let index = 0; index < 5; index++) await stream.append(0, new Uint8Array(100).fill(index));
    const lengthOf = async (maxBytes: number, maxEntries: number): Promise<number> =>
      (await stream.read(0, START_POSITION, { maxBytes, maxEntries })).length;
    assert.equal(await lengthOf(250, 10), 2);
    assert.equal(await lengthOf(300, 10), 3);
    assert.equal(await lengthOf(1, 10), 1);
    assert.equal(await lengthOf(10_000, 4), 4);
  });

  on("blocks of every size come back as they were", async (under) => {
    const stream = await under.open();
    const sizes = [0, 1, 1900, 2000, 4000, 4096, 65_536, 921_600];
    for (const size of sizes) await stream.append(1, new Uint8Array(size).fill(size % 251));
    const entries = await readAll(stream, 1, START_POSITION, sizes.length);
    assert.deepEqual(
      entries.map((entry) => entry.block.length),
      sizes,
    );
    for (const { block: bytes } of entries) assert.ok(bytes.every((byte) => byte === bytes.length % 251));
  });

  on("append times are what the stream's clock shows, and right again after a step", async (under) => {
    const stream = await under.open();
    const { clock } = under;
    if ("ask" in clock) return await timesOfServer(stream, clock);
    for (const ms of [5000, 3000, 3000, 9000]) {
      clock.set(clockStartMs + ms);
      await stream.append(0, block(1));
    }
    const entries = await stream.read(0, START_POSITION, everything);
    assert.deepEqual(
      entries.map((entry) => entry.appendTimeMs - clockStartMs),
      [5000, 3000, 3000, 9000],
    );
    await stream.close();
    const again = await under.open();
    clock.set(clockStartMs);
    await again.append(0, block(2));
    assert.equal((await readAll(again, 0, START_POSITION, 5)).at(-1)?.appendTimeMs, clockStartMs);
  });
}

async function timesOfServer(stream: StreamLog, clock: { ask(): Promise<number> }): Promise<void> {
  const times = [await clock.ask()];
  for (let index = 0; index < 4; index++) {
    await stream.append(0, block(1));
    times.push(await clock.ask());
  }
  const entries = await stream.read(0, START_POSITION, everything);
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

  on("reading below what was trimmed is STREAM_GAP and says where it goes on", async (under) => {
    const stream = await under.open();
    const first = await stream.append(0, block(1));
    const second = await stream.append(0, block(2));
    await stream.append(0, block(3));
    await stream.trim(0, second);
    for (const after of [START_POSITION, first]) {
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
  on("an entry that is gone is STREAM_GAP, never skipped", async (under) => {
    const stream = await under.open();
    const positions: Position[] = [];
    for (let index = 0; index < 5; index++) positions.push(await stream.append(0, block(index)));
    const [first = "", second = "", third = "", fourth = "", fifth = ""] = positions;
    await under.loseEntry?.(0, third);
    const reader = await under.openReader();
    const resumed: Position[] = [];
    assert.deepEqual(contents(await reader.read(0, START_POSITION, everything)), [[0], [1]]);
    await assert.rejects(reader.read(0, second, everything), (error) => {
      assert.ok(isCode("STREAM_GAP")(error));
      // Behind what is gone and before what is there; the position of what is gone may be unknown.
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
    assert.deepEqual(contents(await reader.read(0, START_POSITION, everything)), [[1]]);
    const second = await stream.append(0, block(2));
    await stream.trim(0, first);
    assert.deepEqual(contents(await readAll(reader, 0, first, 1)), [[2]]);
    assert.equal((await reader.partitionState(0)).highest, isKeptByTime ? null : second);
  });

  on("what was appended outlives the handle", async (under) => {
    const stream = await under.open();
    const first = await stream.append(0, block(1));
    await stream.append(0, block(2));
    await stream.trim(0, first);
    const { streamId } = stream;
    await stream.close();
    const again = await under.open();
    assert.equal(again.streamId, streamId);
    assert.equal((await again.partitionState(0)).trimmedUpTo, isKeptByTime ? START_POSITION : first);
    const third = await again.append(0, block(3));
    assert.deepEqual(contents(await readAll(again, 0, first, 2)), [[2], [3]]);
    assert.equal((await again.partitionState(0)).highest, isKeptByTime ? null : third);
  });

  on("a waiting reader wakes for an append, also one from before it waited", async (under) => {
    const stream = await under.open();
    const reader = await under.openReader();
    await reader.read(0, START_POSITION, everything);
    await reader.read(1, START_POSITION, everything);
    await stream.append(1, block(1));
    await reader.waitForAppend(60_000);
    const last = (await reader.read(1, START_POSITION, everything)).at(-1)?.position ?? "";
    const woken = reader.waitForAppend(60_000);
    await stream.append(0, block(2));
    await woken;
    assert.deepEqual(await reader.read(1, last, everything), []);
    await reader.waitForAppend(1);
  });

  on("a closed handle answers STREAM_CLOSED", async (under) => {
    const stream = await under.open();
    const reader = await under.openReader();
    const position = await stream.append(0, block(1));
    for (const handle of [reader, stream]) {
      await handle.close();
      await handle.close();
      await assert.rejects(handle.append(0, block(1)), isCode("STREAM_CLOSED"));
      await assert.rejects(handle.read(0, START_POSITION, everything), isCode("STREAM_CLOSED"));
      await assert.rejects(handle.trim(0, position), isCode("STREAM_CLOSED"));
      await assert.rejects(handle.partitionState(0), isCode("STREAM_CLOSED"));
      await assert.rejects(handle.waitForAppend(1), isCode("STREAM_CLOSED"));
    }
  });

  on("an unknown partition is refused", async (under) => {
    const stream = await under.open();
    await assert.rejects(stream.append(2, block(1)), RangeError);
    // It may be one that the stream has forgotten.
    const refusal = isKeptByTime ? isCode("STREAM_GAP") : RangeError;
    await assert.rejects(stream.read(2, START_POSITION, everything), refusal);
  });

  on("any interleaving reads what was appended and not trimmed", async (under) => {
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
        await stream.trim(partition, held.appended[held.trimmed - 1] ?? START_POSITION);
      } else {
        await stream.close();
        stream = await under.open();
      }
      const after = held.appended[held.trimmed - 1] ?? START_POSITION;
      const expected = held.appended.slice(held.trimmed);
      const entries = await readAll(stream, partition, after, expected.length);
      assert.deepEqual(
        entries.map((entry) => entry.position),
        expected,
      );
    }
  });
}
