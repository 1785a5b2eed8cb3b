import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChildStatus } from "../../../../gateway/status/child-status.ts";
import type { ConsumerProcessStatus } from "../../../../gateway/status/gateway-status.ts";
import { ConsumerWatch } from "../../../../gateway/supervisor/consumer-watch.ts";

const partition = { partition: 0, halt: null, openMessages: 0, lagBytes: 0, lagMs: 0, committed: "1" };
const idle = {
  ...{ state: "running", recovery: null, lastFailure: null },
  lastCommit: { number: 1, atMs: 0 },
  partitions: [partition],
};
const ready = { role: "consumer", state: "ready", refusal: null };

function watched() {
  const system = {
    nowMs: 0,
    asked: 0,
    child: ready as unknown as ChildStatus | null,
    status: idle as unknown,
  };
  const watch = new ConsumerWatch({
    child: () => system.child,
    ask: async () => {
      system.asked += 1;
      return system.status as ConsumerProcessStatus | null;
    },
    stuckAfterMs: 60_000,
    elapsedMs: () => system.nowMs,
  });
  /** Calls `look` every five seconds. */
  const pass = async (seconds: number) => {
    for (const endMs = system.nowMs + seconds * 1_000; system.nowMs < endMs; system.nowMs += 5_000)
      await watch.look();
    await watch.look();
  };
  const become = (...changes: object[]) => {
    system.status = Object.assign({}, idle, ...changes);
  };
  return { system, watch, pass, become };
}

const inPartition = (changes: object) => ({ partitions: [{ ...partition, ...changes }] });

test("a recovering consumer reports its progress, without a request by the monitor", async () => {
  const { system, watch, become } = watched();
  const seeding = { files: 1, filesTotal: 9, ids: 5 };
  become({ recovery: { step: "seeding", forMs: 2_000, seeding } });
  assert.deepEqual(watch.progress(), []);
  await watch.look();
  for (let monitor = 0; monitor < 3; monitor++)
    assert.deepEqual(watch.progress(), [
      "the consumer has been filling the dedupe window from the lake for 2 s: 1 of 9 files read, 5 ids found",
    ]);
  become({});
  await watch.look();
  assert.deepEqual([watch.progress(), system.asked], [[], 2]);
});

test("messages that wait for a minute without progress are degraded, with the last failure; progress ends it", async () => {
  const { watch, pass, become } = watched();
  await pass(600);
  assert.deepEqual(watch.degraded(), [], "no message waits");
  const lastFailure = { code: "PARQUET_FAILED", message: "a file is missing", atMs: 5 };
  become(inPartition({ lagBytes: 80 }), { lastFailure });
  await pass(55);
  assert.deepEqual(watch.degraded(), []);
  await pass(10);
  assert.match(
    watch.degraded().join(),
    /^filing: messages wait and none was filed: PARQUET_FAILED: a file is missing \(for \d+ s\)$/,
  );
  become(inPartition({ lagBytes: 80, committed: "2" }), { lastFailure });
  await pass(5);
  assert.deepEqual(watch.degraded(), []);
});

test("messages that wait while others are filed are not stuck, nor is a long seeding with progress", async () => {
  const { watch, pass, become } = watched();
  for (let commit = 2; commit < 20; commit++) {
    become(inPartition({ openMessages: 3, committed: String(commit) }));
    await pass(30);
    assert.deepEqual(watch.degraded(), []);
  }
  const seeding = (files: number) => ({
    recovery: { step: "seeding", forMs: 1, seeding: { files, filesTotal: 90, ids: 1 } },
  });
  for (let files = 0; files < 10; files++) {
    become(seeding(files));
    await pass(50);
    assert.deepEqual(watch.degraded(), []);
  }
  await pass(65);
  assert.match(
    watch.degraded().join(),
    /^filing: the consumer has been filling the dedupe window .*9 of 90 files/,
  );
});

test("a consumer that does not answer, or crashes again and again, is degraded with its last failure", async () => {
  const { system, watch, pass } = watched();
  await pass(10);
  system.status = null;
  await pass(65);
  assert.match(watch.degraded().join(), /^filing: the consumer is ready: the process does not answer/);
  const refusal = { code: "LAKE_DAMAGED", message: "restore it", retryable: false };
  system.child = { ...ready, state: "waiting", refusal } as unknown as ChildStatus;
  await pass(5);
  assert.match(watch.degraded().join(), /^filing: the consumer is waiting: LAKE_DAMAGED: restore it/);
  const lastExit = { code: null, signal: "SIGKILL", atMs: 1 };
  system.child = { ...ready, state: "waiting", lastExit } as unknown as ChildStatus;
  await pass(5);
  assert.match(watch.degraded().join(), /^filing: the consumer is waiting: the process ended with SIGKILL/);
  system.child = null;
  await pass(65);
  system.child = { ...ready, state: "stopping" } as unknown as ChildStatus;
  await pass(65);
});

test("a halted partition, a parked table and a growing log are degraded, each by itself", async () => {
  const { watch, pass, become } = watched();
  const halt = { code: "STREAM_GAP", message: "lost blocks.", resume: "tidegate stream accept-gap 0" };
  become(inPartition({ halt }), {
    tables: {
      parked: [{ table: "engine", reason: "CDF.", wayOut: "turn it off" }],
      unkempt: [{ table: "other", reason: "no memory" }],
    },
  });
  await pass(55);
  assert.deepEqual(watch.degraded(), []);
  await pass(10);
  assert.deepEqual(
    watch.degraded().map((reason) => reason.replace(/ \(for \d+ s\)$/, "")),
    [
      "filing: partition 0 is not read: STREAM_GAP: lost blocks. Resume: tidegate stream accept-gap 0",
      "publishing: table engine does not show all commits: CDF. Way out: turn it off",
      "the log of table other has no new checkpoint and grows: no memory",
    ],
  );
  become({});
  await pass(5);
  assert.deepEqual(watch.degraded(), []);
});

test("the reason names the current state of the process, not the one of the last look", async () => {
  const { system, watch, pass } = watched();
  system.child = { ...ready, state: "starting" } as unknown as ChildStatus;
  system.status = null;
  await pass(65);
  assert.match(watch.degraded().join(), /^filing: the consumer is starting: the process does not answer/);
  system.child = ready as unknown as ChildStatus;
  assert.match(watch.degraded().join(), /^filing: the consumer is ready: the process does not answer/);
});

test("a status that another caller requested counts: work that was seen to be done is not stuck", async () => {
  const { system, watch, pass, become } = watched();
  become(inPartition({ lagBytes: 80 }));
  await pass(65);
  assert.equal(watch.degraded().length, 1);
  watch.saw(idle as unknown as ConsumerProcessStatus);
  assert.deepEqual(watch.degraded(), []);
  system.status = null;
  await pass(65);
  assert.match(watch.degraded().join(), /^filing: the consumer is ready: the process does not answer/);
});

test("one that was asked and does not answer is silent, whatever it said before", async () => {
  const { system, watch, pass, become } = watched();
  become(inPartition({ lagBytes: 80 }));
  await pass(65);
  assert.match(watch.degraded().join(), /^filing: messages wait/);
  let answer: (status: null) => void = () => {};
  system.status = new Promise((resolve) => {
    answer = resolve;
  });
  const look = watch.look();
  assert.match(watch.degraded().join(), /^filing: messages wait/);
  system.nowMs += 600;
  assert.match(watch.degraded().join(), /^filing: the consumer is ready: the process does not answer/);
  answer(null);
  await look;
});
