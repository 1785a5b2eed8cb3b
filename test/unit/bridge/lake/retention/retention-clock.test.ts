import assert from "node:assert/strict";
import { test } from "node:test";
import { RetentionClock } from "../../../../../bridge/lake/retention/retention-clock.ts";
import { ManualClock } from "../../../../support/manual-clock.ts";
import { dayMs, hourMs } from "../../../../support/retained-lake.ts";

/** A clock of retention on a machine and a store whose clocks a test moves. */
function clocks() {
  const machine = new ManualClock();
  const beganMs = machine.now();
  const store = { aheadMs: 0 };
  const clock = new RetentionClock({
    store: { now: async () => machine.now() + store.aheadMs },
    now: machine.now,
    elapsedMs: machine.elapsedMs,
    apartMs: hourMs / 6,
  });
  /** What a look says is over, relative to the beginning; null = it is too soon. */
  const look = async () => {
    const { overMs } = await clock.look();
    return overMs === null ? null : overMs - beganMs;
  };
  const pass = (ms: number) => machine.advance(ms);
  return { machine, store, look, pass };
}

test("the first look decides nothing, a later one says the present time", async () => {
  const { look, pass } = clocks();
  assert.equal(await look(), null);
  await pass(hourMs / 6 - 1);
  assert.equal(await look(), null);
  await pass(1);
  assert.equal(await look(), hourMs / 6);
  await pass(3 * dayMs);
  assert.equal(await look(), hourMs / 6 + 3 * dayMs);
});

test("an hour is over only by both clocks; if they differ by more than an hour, nothing is decided", async () => {
  const { store, look, pass } = clocks();
  await look();
  store.aheadMs = hourMs;
  await pass(hourMs);
  assert.equal(await look(), hourMs, "the machine's clock is behind");
  store.aheadMs = -hourMs;
  assert.equal(await look(), 0, "the store's clock is behind");
  for (const aheadMs of [-hourMs - 1, hourMs + 1, 400 * dayMs, -400 * dayMs]) {
    store.aheadMs = aheadMs;
    await assert.rejects(look(), { code: "CLOCKS_DIFFER", retryable: true });
  }
});

test("if both clocks jump ahead together, for a moment or at the first look, no hour is over by it", async () => {
  const { machine, look, pass } = clocks();
  machine.step(400 * dayMs);
  await look();
  machine.step(-400 * dayMs);
  await pass(hourMs);
  assert.equal(await look(), hourMs);
  machine.step(400 * dayMs);
  await pass(hourMs);
  assert.equal(await look(), 2 * hourMs);
  machine.step(-400 * dayMs);
  await pass(hourMs);
  assert.equal(await look(), 3 * hourMs);
});

test("clocks that were set forward count after a day; set back, at once", async () => {
  const { machine, look, pass } = clocks();
  await look();
  await pass(hourMs);
  await look();
  machine.step(30 * dayMs);
  for (let hour = 2; hour <= 25; hour++) {
    await pass(hourMs);
    assert.equal(await look(), hour * hourMs);
  }
  await pass(2 * hourMs);
  assert.equal(await look(), 30 * dayMs + 27 * hourMs);
  machine.step(-40 * dayMs);
  assert.equal(await look(), 27 * hourMs - 10 * dayMs);
});

test("a lower look of the last day counts, however often the clocks are looked at", async () => {
  const { machine, look, pass } = clocks();
  await look();
  for (let minute = 1; minute <= 23 * 60; minute++) {
    if (minute === 5) machine.step(-dayMs);
    await pass(60_000);
    await look();
    if (minute === 5) machine.step(dayMs);
  }
  assert.equal(await look(), 23 * hourMs - dayMs);
  await pass(2 * hourMs);
  assert.equal(await look(), 25 * hourMs);
});

test("a machine that jumps while the store answers decides nothing", async () => {
  const machine = new ManualClock();
  const now = async () => {
    const storeMs = machine.now();
    machine.step(2 * hourMs);
    return storeMs;
  };
  const { elapsedMs } = machine;
  const clock = new RetentionClock({ store: { now }, now: machine.now, elapsedMs, apartMs: 0 });
  assert.ok(((await clock.look()).overMs ?? 0) < machine.now() - hourMs);
  machine.step(-4 * hourMs);
  const back = new RetentionClock({
    store: { now: async () => machine.now() },
    now: (() => {
      let calls = 0;
      return () => machine.now() - (calls++ === 0 ? 0 : 2 * hourMs);
    })(),
    elapsedMs,
    apartMs: 0,
  });
  await assert.rejects(back.look(), { code: "CLOCKS_DIFFER" });
});
