import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { deviceNumber } from "../../../../../bridge/lake/consumer/ids/id-facts.ts";
import type { DedupWindow } from "../../../../../bridge/lake/window/dedup-window.ts";
import { planForgetting } from "../../../../../bridge/lake/window/memory/forgetting-plan.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { windowColumns } from "../../../../../bridge/lake/window/window-columns.ts";
import { ShortWindow } from "../../../../support/short-window.ts";

const maxBytes = 32 * 1024;
/** 20 bytes a slot, of which seven in ten are used. */
const capacity = (maxBytes / 20) * 0.7;

interface Known {
  readonly id: string;
  readonly partition: number;
  readonly device: string;
  readonly second: number;
  readonly expiresAt: number;
}

const windowsSeconds = [30, 600];
const deviceNames = Array.from({ length: 40 }, (_, index) => `d${index}`);
const stepArbitrary = fc.record({
  partition: fc.nat(2),
  count: fc.oneof(fc.nat(100), fc.nat(500)),
  elapsed: fc.oneof(fc.nat(3), fc.nat(40)),
  windowSeconds: fc.constantFrom(...windowsSeconds),
  /** One of them, or each its share. */
  device: fc.option(fc.constantFrom(...deviceNames), { freq: 3 }),
});

type Step = typeof stepArbitrary extends fc.Arbitrary<infer T> ? T : never;

/**
 * Compares the window with all messages so far. Partitions are idle while others get messages, but partition
 * 2 is not if it lags: then its messages are older by `lagSeconds`.
 */
async function checkForgetting(opened: DedupWindow, steps: readonly Step[], lagSeconds = 0): Promise<void> {
  const window = new ShortWindow(opened);
  for (const partition of [0, 1, 2]) await window.start(partition, partition === 2 ? -lagSeconds : 0);
  const all: Known[] = [];
  const heardAt: number[] = [];
  const idle = lagSeconds > 0 ? [0, 1] : [0, 1, 2];
  let clock = 0;
  /** Of each partition: the oldest second that its next message may have. */
  const zero = [0, 0, -lagSeconds];
  let promisedSince = Number.NEGATIVE_INFINITY;
  let longestMs = 0;
  for (const [number, step] of steps.entries()) {
    clock += step.elapsed;
    const { partition, windowSeconds } = step;
    const second = partition === 2 ? clock - lagSeconds : clock;
    const deviceOf = (id: string) => step.device ?? (deviceNames[Number(id.split("-")[1]) % 40] as string);
    const ids = Array.from({ length: step.count }, (_, index) => `${number}-${index}`);
    // The consumer looks every second which partitions are idle.
    for (const each of idle) if (each !== partition) window.idle(each, clock);
    await window.apply(partition, ids, { second, deviceOf, windowSeconds });
    if (idle.includes(partition)) window.idle(partition, clock);
    for (const each of idle) zero[each] = clock;
    zero[partition] = second;
    const expiresAt = second + windowSeconds;
    for (const id of ids) all.push({ id, partition, device: deviceOf(id), second, expiresAt });
    const status = await window.status();
    assert.ok(status.bytes <= maxBytes, `${status.bytes} bytes`);
    heardAt[partition] = second;
    // An idle partition expires nothing.
    const living = all.filter((known) => known.expiresAt > (heardAt[known.partition] ?? 0));
    const over = new Set(status.devicesOverShare);
    const inShare = living.filter(({ device }) => !over.has(deviceNumber(device)));
    const since = clock - status.spanMs / 1000;
    const sinceOf = (known: Known) => (zero[known.partition] ?? 0) - status.spanMs / 1000;
    const missing = await window.missingOf(inShare);
    for (const known of missing) {
      const isPromised = status.spanMs > 0 && known.second >= sinceOf(known);
      assert.ok(status.isShort && !isPromised, `${JSON.stringify(known)}, known since ${sinceOf(known)}`);
    }
    longestMs = Math.max(longestMs, windowSeconds * 1000);
    // Ids of a partition to which nothing comes may be older than any window: no span promises those.
    if (lagSeconds === 0 && missing.length > 0 && since > promisedSince && status.spanMs < longestMs) {
      assert.ok(status.ids > 0.8 * capacity, `${status.ids} ids are held`);
      const promised = living.filter((known) => known.second >= sinceOf(known) - 1).length;
      assert.ok(promised > 0.5 * capacity, `${promised} of ${living.length} ids are promised`);
    }
    promisedSince = Math.max(promisedSince, since);
  }
}

const openWindow = () => createMemoryWindow({ maxBytes, partitionCount: 3 });

test("whatever comes: the window keeps its bytes, knows all ids of the span, and forgets only for lack of room", async () => {
  const steps = fc.array(stepArbitrary, { minLength: 5, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom(0, 50, 5000), (some, lag) =>
      checkForgetting(openWindow(), some, lag),
    ),
    { numRuns: Number(process.env["RUNS"] ?? 40), endOnFailure: true, includeErrorInReport: true },
  );
});

const filling: readonly Step[] = Array.from({ length: 20 }, (_, turn) => ({
  partition: turn % 3,
  count: 300,
  elapsed: 2,
  windowSeconds: 600,
  device: null,
}));

test("a second without room shortens the span to zero, and earlier ones less", async () => {
  const step = { elapsed: 0, windowSeconds: 30, device: "d0" };
  const counts = [315, 496, 335, 0, 0];
  await checkForgetting(
    openWindow(),
    counts.map((count, turn) => ({ ...step, partition: turn === 2 ? 1 : 0, count })),
  );
  const window = new ShortWindow(openWindow());
  await window.start(0);
  const ids = Array.from({ length: 2000 }, (_, index) => `${index}`);
  await window.apply(0, ids, { second: 5, deviceOf: () => "d0", windowSeconds: 30 });
  const { isShort, spanMs } = await window.status();
  assert.deepEqual([isShort, spanMs], [true, 0]);
});

test("a partition that stood still for longer than any window is forgotten first, and the span stays whole", async () => {
  const sent = [
    [0, 496, 27],
    [0, 171, 2],
    [2, 480, 22],
    [2, 46, 14],
  ] as const;
  await checkForgetting(
    openWindow(),
    sent.map(([partition, count, elapsed], turn) => ({
      ...{ partition, count, elapsed },
      ...{ windowSeconds: 30, device: `d${turn}` },
    })),
  );
});

test("the check accepts a window that is filled three times over", () =>
  checkForgetting(openWindow(), filling));

function withApply(window: DedupWindow, apply: DedupWindow["apply"]): DedupWindow {
  return {
    applied: (...args) => window.applied(...args),
    lookup: (...args) => window.lookup(...args),
    apply,
    beginSeed: (...args) => window.beginSeed(...args),
    seed: (...args) => window.seed(...args),
    endSeed: (...args) => window.endSeed(...args),
    forget: (...args) => window.forget(...args),
    status: () => window.status(),
    close: () => window.close(),
  };
}

describe("the check detects", () => {
  test("a full window that forgets the newest ids", async () => {
    const window = openWindow();
    const nothing = { length: 0, ...windowColumns(0) };
    const forgetful = withApply(window, async (partition, step, entries) => {
      const isFull = (await window.status()).ids + entries.length > capacity;
      return window.apply(partition, step, isFull ? nothing : entries);
    });
    await assert.rejects(checkForgetting(forgetful, filling), /known since/);
  });

  test("a full window that collapses, even if it says so", async () => {
    const window = openWindow();
    let hasCollapsed = false;
    const collapsing = withApply(window, async (partition, step, entries) => {
      if ((await window.status()).ids + entries.length > capacity) {
        hasCollapsed = true;
        const { from: applied, streamTimeMs } = step;
        await window.beginSeed(partition, "t");
        await window.endSeed(partition, "t", { chunks: 0, applied, streamTimeMs });
      }
      return window.apply(partition, step, entries);
    });
    const status = async () => ({
      ...(await window.status()),
      ...(hasCollapsed && { isShort: true, spanMs: 0 }),
    });
    await assert.rejects(checkForgetting({ ...collapsing, status }, filling), /ids are (held|promised)/);
  });
});

describe("the plan forgets", () => {
  const sampleOf = (counts: Readonly<Record<number, number>>) => {
    const devices = Object.entries(counts).flatMap(([device, count]) =>
      Array<number>(count).fill(Number(device)),
    );
    return { devices, ages: devices.map((_, index) => (index * 7919) % 4001) };
  };

  test("the oldest sixteenth of all ids, if all devices have equally many", () => {
    const samples = sampleOf(Object.fromEntries(Array.from({ length: 16 }, (_, device) => [device, 100])));
    const { age, deviceAges } = planForgetting(samples);
    assert.equal(deviceAges.size, 0);
    assert.equal(samples.ages.filter((each) => each >= age).length, 100);
  });

  test("the oldest ids of a device with many more than others, and no ids of others", () => {
    const samples = sampleOf({ 0: 2000, 1: 300, 2: 300, 3: 300 });
    const { age, deviceAges } = planForgetting(samples);
    assert.equal(age, Number.POSITIVE_INFINITY);
    assert.deepEqual([...deviceAges.keys()], [0]);
    const ofFlooder = samples.ages.slice(0, 2000).filter((each) => each >= (deviceAges.get(0) ?? 0));
    assert.equal(ofFlooder.length, Math.ceil(2900 / 16));
  });

  test("of a device over its share only down to that share, and then the oldest ids of all", () => {
    const { age, deviceAges } = planForgetting(sampleOf({ 0: 1210, 1: 300, 2: 300, 3: 300 }));
    assert.deepEqual([...deviceAges.keys()], [0]);
    assert.ok(age < Number.POSITIVE_INFINITY);
  });

  test("ids of devices over their share in proportion to their excess", () => {
    const small = Object.fromEntries(Array.from({ length: 30 }, (_, device) => [device + 10, 20]));
    const samples = sampleOf({ 0: 1000, 1: 500, ...small });
    const { deviceAges } = planForgetting(samples);
    const gone = [0, 1].map(
      (device) =>
        samples.ages.filter(
          (age, index) => samples.devices[index] === device && age >= (deviceAges.get(device) ?? Infinity),
        ).length,
    );
    assert.ok((gone[0] ?? 0) > 1.5 * (gone[1] ?? 0) && (gone[1] ?? 0) > 0, `${gone}`);
  });

  test("nothing of an empty window, and the only id of a window with one", () => {
    assert.equal(planForgetting({ ages: [], devices: [] }).age, Number.POSITIVE_INFINITY);
    assert.equal(planForgetting({ ages: [5], devices: [1] }).age, 5);
  });
});
