import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChildStatus } from "../../../../gateway/status/child-status.ts";
import type { UpkeepProcessStatus } from "../../../../gateway/status/gateway-status.ts";
import { UpkeepWatch } from "../../../../gateway/supervisor/upkeep-watch.ts";

const waiting: UpkeepProcessStatus = {
  ...{ state: "waiting", doing: null, last: null, failure: null, leftAlone: [], lease: null },
  next: { work: "vacuum", atMs: 9 },
};
const ready = { role: "upkeep", state: "ready", refusal: null, lastExit: null, restarts: 0 };
const failure = { work: "vacuum", code: "STORE_DENIED", message: "no rights", sinceMs: 1, attempts: 2 };

function watched() {
  const system = {
    nowMs: 0,
    child: ready as unknown as ChildStatus | null,
    status: waiting as UpkeepProcessStatus | null,
  };
  const watch = new UpkeepWatch({
    child: () => system.child,
    ask: async () => system.status,
    stuckAfterMs: 60_000,
    elapsedMs: () => system.nowMs,
  });
  /** Calls `look` every five seconds. */
  const pass = async (seconds: number) => {
    for (const endMs = system.nowMs + seconds * 1_000; system.nowMs < endMs; system.nowMs += 5_000)
      await watch.look();
    await watch.look();
  };
  const be = (changes: object) => {
    system.child = { ...ready, ...changes } as unknown as ChildStatus;
  };
  const told = () => watch.degraded().map((reason) => reason.replace(/ \(for \d+ s\)$/, ""));
  return { system, watch, pass, be, told };
}

test("a failing vacuum and a lease that can't be renewed are degraded after a minute, each by itself; a success ends it", async () => {
  const { system, watch, pass, told } = watched();
  await pass(600);
  assert.deepEqual(told(), []);
  const away = { code: "REDIS_UNAVAILABLE", message: "no answer" };
  system.status = { ...waiting, failure, lease: { processName: "a", owner: null, failure: away } };
  await pass(55);
  assert.deepEqual(told(), []);
  await pass(10);
  assert.deepEqual(told(), [
    "upkeep: the vacuum of the lake fails: STORE_DENIED: no rights",
    "upkeep: its lease can't be renewed: REDIS_UNAVAILABLE: no answer",
  ]);
  assert.match(watch.degraded().join(), /\(for 6\d s\)/);
  system.status = { ...waiting, failure };
  await pass(5);
  assert.deepEqual(told(), ["upkeep: the vacuum of the lake fails: STORE_DENIED: no rights"]);
  watch.saw(waiting);
  assert.deepEqual(told(), []);
});

test("tables from which retention removes no rows are degraded after a minute, with their way out; what a gateway saw before it stood by is not", async () => {
  const { system, watch, pass, told } = watched();
  const left = (table: string) => ({
    ...{ table, code: "TABLE_APPEND_ONLY", reason: "it forbids it", sinceMs: 1 },
    wayOut: `free ${table}`,
  });
  system.status = { ...waiting, leftAlone: [left("pumps"), left("_quarantine")] };
  await pass(55);
  assert.deepEqual(told(), []);
  await pass(10);
  assert.deepEqual(told(), [
    "retention: no rows of table pumps are removed: it forbids it. Way out: free pumps",
    "retention: no rows of table _quarantine are removed: it forbids it. Way out: free _quarantine",
  ]);
  watch.saw({ ...waiting, leftAlone: [left("pumps")] });
  assert.equal(told().length, 1);
  watch.saw({ ...waiting, leftAlone: [left("pumps")], failure, state: "standing-by", next: null });
  assert.deepEqual(told(), []);
});

test("an upkeep that does not answer or can't start is degraded after a minute; one that has to end, or waits for broker and consumer, is not", async () => {
  const { system, pass, be, told } = watched();
  system.status = null;
  await pass(65);
  assert.deepEqual(told(), ["upkeep: the process is ready: the process does not answer"]);
  be({ state: "waiting", refusal: { code: "LAKE_VERSION", message: "upgrade", retryable: false } });
  await pass(5);
  assert.deepEqual(told(), ["upkeep: the process is waiting: LAKE_VERSION: upgrade"]);
  for (const state of ["stopping", "stopped"]) {
    be({ state });
    await pass(65);
    assert.deepEqual(told(), []);
  }
  system.child = null;
  await pass(65);
  assert.deepEqual(told(), []);
});

test("work that ends its process each time is degraded, although the process answers in between; one crash is not", async () => {
  const { system, pass, be, told } = watched();
  const lastExit = { code: null, signal: "SIGSEGV", atMs: 1 };
  be({ restarts: 2, lastExit });
  await pass(600);
  assert.deepEqual(told(), []);
  be({ restarts: 3, lastExit });
  await pass(65);
  assert.deepEqual(told(), [
    "upkeep: the process has ended 3 times (last with SIGSEGV) and finished no work meanwhile",
  ]);
  system.status = { ...waiting, last: { work: "vacuum", endedAtMs: 5, tookMs: 1 } };
  await pass(5);
  assert.deepEqual(told(), []);
  be({ restarts: 5, lastExit });
  system.status = waiting;
  await pass(65);
  assert.deepEqual(told(), []);
});
