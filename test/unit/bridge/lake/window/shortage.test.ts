import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { deviceNumber } from "../../../../../bridge/lake/consumer/ids/id-facts.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { ConsumerHarness, json } from "../../../../support/consumer-harness.ts";
import { ShortWindow } from "../../../../support/short-window.ts";

const mib = 1024 * 1024;
const names = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

describe("a window in memory that is too small forgets the oldest ids of all partitions, and no more than it must", () => {
  test("one partition becomes four: the last minute's 60,000 ids are known if 70,000 fit", async () => {
    const window = new ShortWindow(createMemoryWindow({ maxBytes: 2 * mib, partitionCount: 1 }));
    await window.start(0);
    for (let second = 0; second < 150; second++) await window.apply(0, names(`a${second}`, 1000), { second });
    const { ids } = await window.status();
    assert.ok(ids > 60_000 && ids < 80_000, `${ids} ids are held`);
    for (const partition of [1, 2, 3]) await window.start(partition);
    for (let second = 150; second < 210; second++)
      for (const partition of [0, 1, 2, 3])
        await window.apply(partition, names(`b${second}-${partition}`, 250), { second });
    let missing = 0;
    for (let second = 150; second < 210; second++)
      for (const partition of [0, 1, 2, 3])
        missing += await window.missing(partition, names(`b${second}-${partition}`, 250));
    assert.equal(missing, 0, "ids of the last minute");
    const { spanMs, isShort, bytes } = await window.status();
    assert.ok(bytes <= 2 * mib);
    assert.ok(isShort && spanMs >= 60_000, `a span of ${spanMs} ms`);
  });

  test("devices in exact mode join 70,000 ids: they take their room, and no more, from the oldest ids", async () => {
    const window = new ShortWindow(createMemoryWindow({ maxBytes: 2 * mib, partitionCount: 1 }));
    await window.start(0);
    for (let second = 0; second < 100; second++) await window.apply(0, names(`a${second}`, 1000), { second });
    for (let turn = 0; turn < 20; turn++)
      await window.apply(0, [], { second: 100, exactDevices: names(`exact${turn}`, 100) });
    let missing = 0;
    for (let second = 50; second < 100; second++)
      missing += await window.missing(0, names(`a${second}`, 1000));
    assert.equal(missing, 0, "ids of the last 50 seconds");
    assert.ok((await window.status()).spanMs >= 50_000);
  });
});

test("a partition whose blocks are hours old is not forgotten for that, and an idle one ages with the others", async () => {
  const window = new ShortWindow(createMemoryWindow({ maxBytes: mib, partitionCount: 3 }));
  for (const partition of [0, 1, 2]) await window.start(partition);
  await window.apply(1, names("first", 10), { second: 0 });
  for (let second = 0; second < 5; second++) await window.apply(2, names(`idle${second}`, 1000), { second });
  window.idle(2, 4);
  for (let second = 7000; second < 7060; second++) {
    await window.apply(0, names(`now${second}`, 1000), { second });
    window.idle(2, second);
  }
  // The second one is read on where it was, two hours before the others.
  for (let second = 0; second < 60; second++) {
    await window.apply(1, names(`late${second}`, 500), { second: 100 + second });
    await window.apply(0, names(`then${second}`, 500), { second: 7060 + second });
  }
  const { spanMs, isShort } = await window.status();
  const span = spanMs / 1000;
  assert.ok(isShort && span > 20 && span < 60, `a span of ${span} s`);
  for (let second = 60 - Math.floor(span); second < 60; second++) {
    assert.equal(await window.missing(1, names(`late${second}`, 500)), 0, `late, second ${second}`);
    assert.equal(await window.missing(0, names(`then${second}`, 500)), 0, `then, second ${second}`);
  }
  const idle = await Promise.all(
    [0, 1, 2, 3, 4].map((second) => window.missing(2, names(`idle${second}`, 1000))),
  );
  assert.deepEqual(idle, [1000, 1000, 1000, 1000, 1000]);
});

describe("a partition that is read behind the others keeps its newest ids", () => {
  const fill = async (window: ShortWindow, partition: number, from: number) => {
    for (let second = from; second < from + 60; second++)
      await window.apply(partition, names(`${partition}-${second}`, 500), { second });
  };
  const checkSpan = async (window: ShortWindow, newest: Readonly<Record<number, number>>) => {
    const { spanMs, isShort, ids } = await window.status();
    const span = spanMs / 1000;
    assert.ok(isShort && span > 20 && span < 60, `a span of ${span} s with ${ids} ids`);
    for (const [partition, last] of Object.entries(newest))
      for (let second = last - Math.floor(span) + 1; second <= last; second++) {
        const missing = await window.missing(Number(partition), names(`${partition}-${second}`, 500));
        assert.equal(missing, 0, `partition ${partition}, second ${second}`);
      }
  };

  test("while the others are read on", async () => {
    const window = new ShortWindow(createMemoryWindow({ maxBytes: mib, partitionCount: 2 }));
    for (const partition of [0, 1]) await window.start(partition);
    await fill(window, 0, 0);
    await fill(window, 1, 300);
    await checkSpan(window, { 0: 59, 1: 359 });
  });

  test("if reading continues at its place after an idle time", async () => {
    const window = new ShortWindow(createMemoryWindow({ maxBytes: mib, partitionCount: 2 }));
    for (const partition of [0, 1]) await window.start(partition);
    await window.apply(0, names("before", 500), { second: 0 });
    window.idle(0, 0);
    await window.apply(1, names("before", 500), { second: 0 });
    window.idle(0, 10);
    await fill(window, 0, 1);
    await fill(window, 1, 301);
    await checkSpan(window, { 0: 60, 1: 360 });
  });
});

describe("a device that floods the window forgets its own ids first", () => {
  test("20,000 ids of one device in 1 MiB: the ids of a thousand others stay, in every partition", async () => {
    const window = new ShortWindow(createMemoryWindow({ maxBytes: mib, partitionCount: 4 }));
    for (const partition of [0, 1, 2, 3]) await window.start(partition);
    const others = names("other", 1000);
    for (let second = 0; second < 20; second++) {
      for (const partition of [0, 1, 2, 3]) {
        const devices = others.filter((_, index) => index % 4 === partition);
        await window.apply(
          partition,
          devices.map((device) => `${device}/${second}`),
          { second, deviceOf: (id) => id.split("/")[0] ?? "" },
        );
      }
      await window.apply(0, names(`flood${second}`, 1000), { second, deviceOf: () => "flooder" });
    }
    let missing = 0;
    for (let second = 0; second < 20; second++)
      for (const [index, device] of others.entries())
        missing += await window.missing(index % 4, [`${device}/${second}`]);
    assert.equal(missing, 0, "ids of others");
    const { isShort, bytes, devicesOverShare } = await window.status();
    assert.deepEqual(devicesOverShare, [deviceNumber("flooder")]);
    assert.equal(isShort, false, "the span of others is whole");
    assert.ok(bytes <= mib);
  });
});

test("the consumer names a device that floods the window, in its log and its status", async () => {
  const harness = new ConsumerHarness();
  harness.window = createMemoryWindow({ maxBytes: 100_000, partitionCount: 1 });
  for (let block = 0; block < 8; block++)
    harness.append([
      ...Array.from({ length: 1000 }, (_, index) => ({ ...json(`${block}-${index}`), deviceId: "press-7" })),
      ...Array.from({ length: 100 }, (_, index) => ({ ...json(`${block}`), deviceId: `other-${index}` })),
    ]);
  const consumer = await harness.drain({ config: { readMaxEntries: 1, maxBatchBytes: 1 } });
  const { window } = consumer.status();
  assert.deepEqual(window?.namesOverShare, ["press-7"]);
  assert.equal(window?.isShort, false);
  const told = harness.log.filter(({ event }) => event === "window.short");
  assert.deepEqual(told.at(-1)?.["names"], ["press-7"]);
  assert.ok(told.length <= 2, "once with its number, and once its name is known");
  harness.append(Array.from({ length: 100 }, (_, index) => ({ ...json("0"), deviceId: `other-${index}` })));
  const rows = harness.rows().length;
  await harness.drain();
  assert.equal(harness.rows().length, rows, "resends of others are duplicates");
});

test("the consumer tells the window which partitions are idle, and not one with blocks that it can't read", async () => {
  const harness = new ConsumerHarness({ partitionCount: 2 });
  const window = createMemoryWindow({ maxBytes: mib, partitionCount: 2 });
  const idle: number[] = [];
  harness.window = Object.assign(window, { idle: (partition: number) => idle.push(partition) });
  harness.append([json("a")], { partition: 0 });
  harness.append([{ ...json("b"), topicVersion: 9 }], { partition: 1 });
  const consumer = harness.consumer();
  const run = consumer.run();
  try {
    for (let turns = 0; idle.length < 3; turns++) {
      assert.ok(turns < 20_000, "the window was never told of an idle partition");
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual([...new Set(idle)], [0]);
  } finally {
    await consumer.stop({ drain: false });
    await run;
  }
});
