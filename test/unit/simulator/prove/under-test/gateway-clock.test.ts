import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { GatewayClock } from "../../../../../simulator/prove/under-test/gateway-clock.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-clock-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const hourMs = 3_600_000;

/** Answers each line with what its clocks say. */
const clockProgram = `
class Stamp extends Date {}
require("node:readline").createInterface({ input: process.stdin }).on("line", () => {
  const made = new Date(0);
  console.log(JSON.stringify({
    now: Date.now(),
    date: new Date().getTime(),
    text: Date.parse(Date()),
    subclass: new Stamp().getTime(),
    fixed: [made.getTime(), new Date(2026, 0, 2).getDate(), Date.UTC(1970, 0, 1), new Date("1970-01-01T00:00:01Z").getTime()],
    kind: [made instanceof Date, made.constructor === Date, new Stamp() instanceof Stamp],
    monotonicMs: performance.now(),
  }));
});
`;

test("a process under such a clock sees its steps in every way to ask for the time, and monotonic clocks go on", async () => {
  const clock = new GatewayClock(join(folder, "clock"));
  const child = spawn(process.execPath, [...process.execArgv, ...clock.execArgv, "-e", clockProgram], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...clock.environment },
  });
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    let lastMs = 0;
    const offsets = async () => {
      child.stdin.write("\n");
      const said = JSON.parse((await lines.next()).value);
      const atMs = Date.now();
      assert.deepEqual(
        [said.fixed, said.kind],
        [
          [0, 2, 0, 1000],
          [true, true, true],
        ],
      );
      assert.ok(said.monotonicMs > lastMs && said.monotonicMs < lastMs + hourMs);
      lastMs = said.monotonicMs;
      return [said.now, said.date, said.text, said.subclass].map(
        (ms) => Math.round((ms - atMs) / 60_000) + 0,
      );
    };
    assert.deepEqual(await offsets(), [0, 0, 0, 0]);
    await clock.set(2 * hourMs);
    while ((await offsets())[0] === 0);
    assert.deepEqual(await offsets(), [120, 120, 120, 120]);
    await clock.set(-24 * hourMs);
    while ((await offsets())[0] === 120);
    assert.deepEqual(await offsets(), [-1440, -1440, -1440, -1440]);
  } finally {
    child.kill();
  }
});

test("steps last until the next one, a spike ends by itself, and the clock knows when it was wrong", async () => {
  const clock = new GatewayClock(join(folder, "steps"));
  const strike = { amount: 0.5, pauseMs: 1 };
  await clock.strike({ ...strike, fault: "step-forward" });
  assert.equal(clock.offsetMs, 2 * hourMs);
  const spike = await clock.strike({ ...strike, fault: "spike" });
  assert.equal(clock.offsetMs, 2 * hourMs);
  assert.match(spike.detail ?? "", /^-10 d for 1501 ms$/);
  assert.equal(clock.wrong.length, 1);
  assert.equal(clock.wrong[0]?.toMs, null);
  await clock.strike({ ...strike, amount: 0, fault: "step-back" });
  assert.equal(clock.offsetMs, 90_000);
  await clock.strike({ ...strike, amount: 0, fault: "step-back" });
  assert.equal(clock.offsetMs, 0);
  const [wrong] = clock.wrong;
  assert.ok(wrong?.toMs && wrong.toMs >= wrong.fromMs + 1_500);
  // Every step goes somewhere, further if it must.
  for (const [fault, amount] of [
    ["step-forward", 0],
    ["step-forward", 0.99],
    ["step-back", 0.99],
    ["step-back", 0.5],
    ["step-back", 0],
  ] as const) {
    const before = clock.offsetMs;
    await clock.strike({ ...strike, fault, amount });
    assert.ok(fault === "step-forward" ? clock.offsetMs > before : clock.offsetMs < before);
  }
  assert.equal(clock.offsetMs, -2 * hourMs - 180_000);
});
