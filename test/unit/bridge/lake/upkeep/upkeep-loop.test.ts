import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import pino from "pino";
import { Registry } from "prom-client";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { UpkeepLoop, type UpkeepWork } from "../../../../../bridge/lake/upkeep/upkeep-loop.ts";
import { UpkeepMetrics } from "../../../../../bridge/lake/upkeep/upkeep-metrics.ts";
import { ManualClock } from "../../../../support/manual-clock.ts";

interface Run {
  readonly work: string;
  readonly atMs: number;
}

interface Plan {
  readonly everyMs: number;
  readonly act?: UpkeepWork["run"];
  readonly retryMaxMs?: number;
}

/** A work that is due each `everyMs`, and does what `act` says. */
function workOf(name: string, plan: Plan, clock: ManualClock, runs: Run[]): UpkeepWork {
  const { everyMs, act = async () => {}, retryMaxMs } = plan;
  let dueAtMs = clock.elapsedMs() + everyMs;
  const beganMs = clock.elapsedMs();
  return {
    name,
    ...(retryMaxMs !== undefined && { retryMaxMs }),
    dueAtMs: () => dueAtMs,
    run: async (signal: AbortSignal) => {
      runs.push({ work: name, atMs: clock.elapsedMs() - beganMs });
      await act(signal);
      dueAtMs = clock.elapsedMs() + everyMs;
    },
  };
}

function loopOf(context: TestContext, plan: Readonly<Record<string, Plan>>) {
  const clock = new ManualClock();
  const runs: Run[] = [];
  const lines: { event: string; work?: string }[] = [];
  const registry = new Registry();
  const lease = { isOurs: true };
  const works = Object.entries(plan).map(([name, each]) => workOf(name, each, clock, runs));
  const loop = new UpkeepLoop({
    works,
    isOurs: () => lease.isOurs,
    logger: pino({ level: "info" }, { write: (line: string) => lines.push(JSON.parse(line)) }),
    metrics: new UpkeepMetrics(registry),
    now: clock.now,
    elapsedMs: clock.elapsedMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const abort = () => {
          cancel();
          resolve();
        };
        const cancel = clock.after(ms, () => {
          signal.removeEventListener("abort", abort);
          resolve();
        });
        signal.addEventListener("abort", abort);
      }),
  });
  loop.start();
  context.after(() => loop.stop());
  /** Second by second, so that the loop sees each of them. */
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) await clock.advance(1_000);
  };
  const metric = async (name: string) => (await registry.getSingleMetric(name)?.get())?.values ?? [];
  return { clock, loop, runs, lines, lease, pass, metric };
}

test("each work is done when it is due, one at a time, and the status says what was done and what is next", async (context) => {
  const { clock, loop, runs, pass, metric } = loopOf(context, {
    settle: { everyMs: 10_000 },
    vacuum: { everyMs: 25_000 },
  });
  const beganMs = clock.now();
  assert.deepEqual(loop.status(), {
    ...{ state: "waiting", doing: null, last: null, failure: null },
    next: { work: "settle", atMs: beganMs + 10_000 },
  });
  await pass(31);
  assert.deepEqual(runs, [
    { work: "settle", atMs: 10_000 },
    { work: "settle", atMs: 20_000 },
    { work: "vacuum", atMs: 25_000 },
    { work: "settle", atMs: 30_000 },
  ]);
  const { last, next } = loop.status();
  assert.deepEqual(last, { work: "settle", endedAtMs: beganMs + 30_000, tookMs: 0 });
  assert.deepEqual(next, { work: "settle", atMs: beganMs + 40_000 });
  assert.deepEqual(
    (await metric("tidegate_upkeep_runs_total")).map(({ labels, value }) => [labels, value]),
    [
      [{ work: "settle", outcome: "done" }, 3],
      [{ work: "vacuum", outcome: "done" }, 1],
    ],
  );
});

test("of several works that are due, the most important one is done first; the others wait for its end", async (context) => {
  let end: () => void = () => {};
  const { loop, runs, pass } = loopOf(context, {
    settle: {
      everyMs: 5_000,
      act: () =>
        new Promise((resolve) => {
          end = resolve;
        }),
    },
    vacuum: { everyMs: 5_000 },
  });
  await pass(60);
  assert.deepEqual(
    runs.map(({ work }) => work),
    ["settle"],
  );
  assert.equal(loop.status().state, "working");
  assert.equal(loop.status().doing?.work, "settle");
  end();
  await pass(1);
  assert.deepEqual(
    runs.map(({ work }) => work),
    ["settle", "vacuum"],
  );
});

test("work that fails is retried after 10 s, then after twice as long each time; other work goes on; a success ends it", async (context) => {
  let error: Error | null = new BridgeError("STORE_UNAVAILABLE", "no rights", { retryable: true });
  const { loop, runs, lines, pass, metric } = loopOf(context, {
    vacuum: {
      everyMs: 10_000,
      act: async () => {
        if (error) throw error;
      },
    },
    other: { everyMs: 30_000 },
  });
  await pass(81);
  assert.deepEqual(runs, [
    { work: "vacuum", atMs: 10_000 },
    { work: "vacuum", atMs: 20_000 },
    { work: "other", atMs: 30_000 },
    { work: "vacuum", atMs: 40_000 },
    { work: "other", atMs: 60_000 },
    { work: "vacuum", atMs: 80_000 },
  ]);
  const { failure } = loop.status();
  assert.deepEqual(
    [failure?.work, failure?.code, failure?.message],
    ["vacuum", "STORE_UNAVAILABLE", "no rights"],
  );
  assert.equal(failure?.attempts, 4);
  assert.deepEqual(
    (await metric("tidegate_upkeep_failing")).map(({ labels, value }) => [labels["work"], value]),
    [
      ["vacuum", 1],
      ["other", 0],
    ],
  );
  error = null;
  await pass(80);
  assert.equal(loop.status().failure, null);
  assert.equal((await metric("tidegate_upkeep_failing"))[0]?.value, 0);
  const told = lines.filter(({ work }) => work === "vacuum").map(({ event }) => event);
  assert.deepEqual(told, [...Array<string>(4).fill("upkeep.failed"), "upkeep.recovered"]);
});

test("the delay between attempts is an hour at most, or what the work says", async (context) => {
  const act = async () => {
    throw new Error("never works");
  };
  const { clock, runs } = loopOf(context, {
    settle: { everyMs: 10_000, act, retryMaxMs: 60_000 },
    vacuum: { everyMs: 10_000, act },
  });
  for (let minute = 0; minute < 400; minute++) await clock.sleep(60_000);
  const delayOf = (name: string) => {
    const [before, last] = runs.filter(({ work }) => work === name).slice(-2);
    return (last?.atMs ?? 0) - (before?.atMs ?? 0);
  };
  assert.deepEqual([delayOf("settle"), delayOf("vacuum")], [60_000, 3_600_000]);
});

test("while another process does the upkeep, this one stands by; what is due then is done as soon as it is its turn", async (context) => {
  const { loop, runs, lines, lease, pass, metric } = loopOf(context, { vacuum: { everyMs: 10_000 } });
  lease.isOurs = false;
  await pass(60);
  assert.deepEqual(runs, []);
  assert.deepEqual([loop.status().state, loop.status().next], ["standing-by", null]);
  assert.equal((await metric("tidegate_upkeep_active"))[0]?.value, 0);
  lease.isOurs = true;
  await pass(2);
  assert.equal(runs.length, 1);
  assert.equal((await metric("tidegate_upkeep_active"))[0]?.value, 1);
  assert.deepEqual(
    lines.map(({ event }) => event),
    ["upkeep.taken", "upkeep.standing-by", "upkeep.taken"],
  );
});

test("a stop aborts the work and waits for its end; that is no failure, and nothing is done afterwards", async (context) => {
  const { loop, runs, lines, pass, metric } = loopOf(context, {
    vacuum: {
      everyMs: 1_000,
      act: (signal) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    },
  });
  await pass(2);
  assert.equal(loop.status().state, "working");
  await loop.stop();
  assert.deepEqual([loop.status().state, loop.status().failure], ["stopped", null]);
  await pass(10);
  assert.equal(runs.length, 1);
  assert.deepEqual(
    (await metric("tidegate_upkeep_runs_total")).map(({ labels }) => labels["outcome"]),
    ["aborted"],
  );
  assert.ok(!lines.some(({ event }) => event === "upkeep.failed"));
});
