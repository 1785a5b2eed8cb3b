import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { producersRememberedMax } from "../../../../../bridge/tail/check-block.ts";
import { ConsumerHarness, json, startMs } from "../../../../support/consumer-harness.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const another = "00000000000000c7";
const anotherProducer = "00000000000000c7";

/** The blocks of another gateway. */
const elsewhere = { bootId: another, producerId: anotherProducer };

/** The window is lost: its ids come back from the files. */
function loseWindow(harness: ConsumerHarness): void {
  harness.window = createMemoryWindow({ maxBytes: 1024 * 1024, partitionCount: 1 });
}

async function pass(harness: ConsumerHarness, ms: number, ports: { now?: () => number } = {}): Promise<void> {
  await harness.drain(ports);
  harness.clock.nowMs += ms;
}

/** Files are in the order of their hours. */
function byPosition(left: { readonly position: string }, right: { readonly position: string }): number {
  return left.position < right.position ? -1 : 1;
}

describe("the gateway's wall clock", () => {
  for (const [what, stepMs] of [
    ["forward by 2 h", 2 * hourMs],
    ["back by 2 h", -2 * hourMs],
    ["forward by 40 d", 40 * dayMs],
  ] as const)
    test(`steps ${what}: a resend 3 s later is a duplicate, also after a restart of the consumer`, async () => {
      const harness = new ConsumerHarness();
      // On the same machine.
      const ports = { now: () => harness.clock.nowMs + harness.wallOffMs };
      harness.append([json("a")]);
      await pass(harness, 1500, ports);
      harness.append([]);
      harness.wallOffMs = stepMs;
      await pass(harness, 1500, ports);
      harness.append([json("a")]);
      await harness.drain(ports);
      loseWindow(harness);
      harness.append([json("a"), json("b")]);
      await harness.drain(ports);
      assert.deepEqual(harness.ids(), ["a", "b"]);
    });

  test("is 10 days ahead for 3 s: only messages of that time have its times, and ids expire as before", async () => {
    const harness = new ConsumerHarness();
    const send = (id: string) => {
      harness.append([json(id, { ts: harness.clock.nowMs })]);
      harness.clock.nowMs += 1000;
      harness.append([]);
      harness.clock.nowMs += 2000;
    };
    send("before");
    harness.wallOffMs = 10 * dayMs;
    send("meanwhile");
    harness.wallOffMs = 0;
    send("after");
    await harness.drain();
    const rows = harness.rows().toSorted(byPosition);
    const [, meanwhile, after] = rows;
    assert.equal(meanwhile?.ingestTimeMs, startMs + 3000 + 10 * dayMs);
    assert.equal(meanwhile?.eventTimeOutside, true);
    assert.equal(after?.ingestTimeMs, startMs + 6000, "right again as soon as the clock is");
    assert.equal(after?.eventTimeOutside, false);
    const times = rows.map(({ streamTimeMs }) => streamTimeMs - startMs);
    assert.deepEqual(times, [0, 3000, 6000]);
    harness.clock.nowMs += hourMs;
    send("after");
    await harness.drain();
    assert.equal(harness.ids().filter((id) => id === "after").length, 2, "its window is over");
  });

  test("may have any time at the first block: times continue from there", async () => {
    for (const offMs of [-startMs, -startMs - 5000, 500 * 365 * dayMs]) {
      const harness = new ConsumerHarness();
      harness.wallOffMs = offMs;
      harness.append([json("a")]);
      harness.append([]);
      harness.wallOffMs = 0;
      harness.clock.nowMs += 30 * minuteMs;
      harness.append([json("a"), json("b")]);
      await harness.drain();
      assert.deepEqual(harness.ids().toSorted(), ["a", "b"]);
      const streamTimeMs = harness.lastMove()?.streamTimeMs ?? 0;
      assert.ok(streamTimeMs > 0 && streamTimeMs / 1000 < 2 ** 32, `${streamTimeMs}`);
    }
  });
});

test("steps of the stream's own clock change neither ingest time nor stream time", async () => {
  const harness = new ConsumerHarness();
  for (const appendOffMs of [0, 2 * hourMs, -5 * dayMs, 0]) {
    harness.appendOffMs = appendOffMs;
    harness.append([json("a"), json(`m${harness.stream.stored()}`)]);
    harness.append([]);
    harness.clock.nowMs += minuteMs;
  }
  await harness.drain();
  assert.deepEqual(harness.ids(), ["a", "m0", "m2", "m4", "m6"]);
  const times = harness.rows().map(({ ingestTimeMs, streamTimeMs }) => [ingestTimeMs, streamTimeMs]);
  assert.deepEqual(
    times,
    [0, 0, 1, 2, 3].map((minutes) => [startMs + minutes * minuteMs, startMs + minutes * minuteMs]),
  );
});

test("steps of the consumer's clock change no filed row", async () => {
  const harness = new ConsumerHarness();
  let offMs = 0;
  const now = () => harness.clock.nowMs + offMs;
  for (const stepMs of [0, 3 * hourMs, -9 * dayMs, 0]) {
    offMs = stepMs;
    harness.append([json("a"), json(`m${harness.stream.stored()}`)]);
    harness.append([]);
    harness.clock.nowMs += minuteMs;
    await harness.drain({ now });
  }
  assert.deepEqual(harness.ids(), ["a", "m0", "m2", "m4", "m6"]);
});

describe("elapsed time", () => {
  test("continues over a restart of the gateway on the same boot", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    harness.append([]);
    await pass(harness, 61 * minuteMs);
    harness.append([json("a")], { producerId: "00000000000000ee" });
    await harness.drain();
    assert.equal(harness.ids().length, 2, "the window is over");
  });

  test("counts zero if nothing proves it: the machine booted again, or another one took over", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    harness.append([]);
    await pass(harness, 3 * hourMs);
    harness.append([json("a"), json("b")], elsewhere);
    harness.append([], elsewhere);
    await pass(harness, 59 * minuteMs);
    harness.append([json("b")], elsewhere);
    await harness.drain();
    assert.deepEqual(harness.ids(), ["a", "b"]);
    // Stream time advances, but slower than the clocks.
    await pass(harness, 3 * minuteMs);
    harness.append([json("b")], elsewhere);
    await harness.drain();
    assert.deepEqual(harness.ids(), ["a", "b", "b"]);
  });

  test("of a silent gateway does not count for messages that another one filed meanwhile", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")]);
    harness.append([]);
    await pass(harness, 2 * hourMs);
    harness.append([json("b")], elsewhere);
    await pass(harness, 1000);
    // The first gateway is back, and resends a message that the other one took a second ago.
    harness.append([json("b")]);
    harness.append([json("b")]);
    await harness.drain();
    assert.deepEqual(harness.ids(), ["a", "b"]);
  });

  test("advances while several gateways write", async () => {
    const harness = new ConsumerHarness();
    for (let second = 0; second < 3700; second++) {
      harness.append(second === 0 ? [json("a")] : []);
      harness.append([], elsewhere);
      harness.clock.nowMs += 1000;
    }
    await harness.drain();
    const lostMs = harness.clock.nowMs - startMs - ((harness.lastMove()?.streamTimeMs ?? 0) - startMs);
    assert.ok(lostMs <= 2000, `${lostMs} ms`);
    harness.append([json("a")], elsewhere);
    await harness.drain();
    assert.equal(harness.ids().length, 2);
  });
});

describe("a partition that begins after others", () => {
  const device = (id: string) => ({ ...json(id), deviceId: "d1" });

  test("knows the messages that a parent filed, although its time is far behind the other parent's", async () => {
    const harness = new ConsumerHarness({ partitionCount: 2, isDivisible: true });
    const [own, other] = harness.stream.partitions.takes(0, "d1") ? [0, 1] : [1, 0];
    harness.append([device("old")], { partition: own });
    harness.append([], { partition: own });
    harness.clock.nowMs += 5 * hourMs;
    harness.append([], { partition: other });
    harness.append([], { partition: other });
    // Nothing proves to its partition that the hours have passed.
    harness.append([device("new")], { partition: own, ...elsewhere });
    harness.stream.merge(0, 1);
    await harness.drain();
    harness.append([device("new")], { partition: 2 });
    loseWindow(harness);
    await harness.drain();
    loseWindow(harness);
    harness.append([device("new")], { partition: 2 });
    await harness.drain();
    assert.deepEqual(harness.ids(), ["old", "new"]);
  });

  test("of a new stream knows the messages of the old stream, although its time was far behind", async () => {
    const old = new ConsumerHarness();
    old.append([json("a")]);
    old.append([]);
    await pass(old, 5 * hourMs);
    old.append([json("b")], elsewhere);
    await pass(old, 1000);
    const fresh = new ConsumerHarness({
      partitionCount: 2,
      streamId: "cd".repeat(16),
      objects: old.store.objects,
    });
    fresh.clock.nowMs = old.clock.nowMs;
    for (const partition of [0, 1]) fresh.append([json("b")], { partition, ...elsewhere });
    await fresh.drain();
    const partition = fresh.stream.partitions.takes(0, "d1") ? 0 : 1;
    assert.equal(
      fresh.rows().filter((row) => row.partition === partition && row.streamId !== old.stream.streamId)
        .length,
      0,
    );
  });
});

describe("a producer's mark", () => {
  const silent = "00000000000000aa";
  const paused = { producerId: silent, bootId: "00000000000000d1" };
  const isStopped = (harness: ConsumerHarness) => harness.log.some(({ code }) => code === "STREAM_GAP");

  async function forgottenProducers(harness: ConsumerHarness): Promise<number> {
    const metrics = await harness.registry.metrics();
    return Number(/^tidegate_consumer_forgotten_producers_total (\d+)/m.exec(metrics)?.[1]);
  }

  test("survives steps of any wall clock, however large", async () => {
    const harness = new ConsumerHarness();
    let offMs = 0;
    const now = () => harness.clock.nowMs + offMs;
    harness.append([json("a")], { producerId: silent });
    harness.append([], { producerId: silent });
    for (const stepMs of [30 * dayMs, -30 * dayMs, 0]) {
      offMs = stepMs;
      harness.wallOffMs = stepMs;
      harness.appendOffMs = stepMs;
      harness.append([json(`b${harness.stream.stored()}`)]);
      harness.clock.nowMs += minuteMs;
      await harness.drain({ now });
    }
    assert.ok(silent in (harness.lastMove()?.producers ?? {}));
    harness.append([json("c")], { producerId: silent });
    await harness.drain({ now });
    assert.equal(isStopped(harness), false);
    assert.equal(harness.ids().at(-1), "c");
  });

  test("is gone after its virtual machine stood still: its next block is filed and logged, and stops nothing", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")], paused);
    harness.append([], paused);
    for (let second = 0; second < 3; second++) {
      harness.append([json(`b${second}`)]);
      await pass(harness, second === 0 ? 1000 : 25 * hourMs);
    }
    assert.equal(silent in (harness.lastMove()?.producers ?? {}), false, "it was forgotten");
    harness.append([json("c")], { ...paused, stoodStillMs: harness.clock.nowMs - startMs - 1000 });
    await harness.drain();
    assert.equal(isStopped(harness), false);
    assert.equal(harness.ids().at(-1), "c");
    assert.equal(await forgottenProducers(harness), 1);
  });

  test("is gone after its machine stood still, although its clock had proved nothing: the next block stops nothing", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")], paused);
    harness.append([json("b0")]);
    harness.append([json("b1")]);
    await pass(harness, 10 * minuteMs);
    harness.append([json("b2")]);
    // Too far ahead, because others wrote meanwhile. No later block of it proves its clock again.
    harness.append([json("a1")], paused);
    const days = 3;
    for (let day = 0; day < days; day++) {
      harness.append([json(`c${day}`)]);
      harness.append([]);
      await pass(harness, 25 * hourMs);
    }
    harness.append([]);
    await harness.drain();
    assert.equal(silent in (harness.lastMove()?.producers ?? {}), false, "it was forgotten");
    harness.append([json("d")], { ...paused, stoodStillMs: days * 25 * hourMs });
    await harness.drain();
    assert.equal(isStopped(harness), false);
    assert.equal(harness.ids().at(-1), "d");
  });

  test("is gone after a thousand others came: its next block is filed and logged, and stops nothing", async () => {
    const harness = new ConsumerHarness();
    harness.append([json("a")], { producerId: silent });
    for (let producer = 0; producer < producersRememberedMax; producer++)
      harness.append([], { producerId: (producer + 4096).toString(16).padStart(16, "0") });
    await harness.drain();
    assert.equal(Object.keys(harness.lastMove()?.producers ?? {}).length, producersRememberedMax);
    harness.append([json("c")], { producerId: silent });
    await harness.drain();
    assert.equal(isStopped(harness), false);
    assert.deepEqual(harness.ids(), ["a", "c"]);
    assert.equal(await forgottenProducers(harness), 1);
  });
});
