import assert from "node:assert/strict";
import { test } from "node:test";
import { noCounters } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { LakeCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import { rowsWantedMs } from "../../../../../bridge/lake/commit-log/past-partitions.ts";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { partitionKey } from "../../../../../bridge/streams/partition-key.ts";
import { endPosition } from "../../../../../bridge/streams/stream-log.ts";
import { encodeMessageId } from "../../../../../devices/protocol/message-id.ts";
import { encodeEnvelope } from "../../../../../devices/protocol/telemetry-envelope.ts";
import { type ConsumerHarness, startMs } from "../../../../support/consumer-harness.ts";
import { devicesOf, divisible, from } from "../../../../support/divisible-stream.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

function logOf({ store }: ConsumerHarness): LakeCommitLog {
  return new LakeCommitLog(store, "lake", { create: false });
}

async function pastOf(harness: ConsumerHarness) {
  return (await logOf(harness).load()).past.get(harness.stream.streamId);
}

function loseWindow(harness: ConsumerHarness): void {
  harness.window = createMemoryWindow({ maxBytes: 2 ** 26, partitionCount: 1 });
}

/**
 * Partition 0 filed a message of two devices, was split, and is past. A device of each half has sent one
 * more.
 */
async function splitHarness(): Promise<{ harness: ConsumerHarness; left: string; right: string }> {
  const harness = divisible();
  await harness.drain();
  harness.stream.split(0);
  const [left = "", right = ""] = devicesOf(harness, [1, 2]);
  harness.append([from(left, "a"), from(right, "b")]);
  harness.append([]);
  harness.append([from(left, "c")], { partition: 1 });
  harness.append([from(right, "d")], { partition: 2 });
  await harness.drain();
  return { harness, left, right };
}

test("the entry that records partitions names their parents, and so do their later moves", async () => {
  const harness = divisible(2);
  await harness.drain();
  harness.stream.merge(0, 1);
  const [device = ""] = devicesOf(harness, [2]);
  harness.append([from(device, "a")], { partition: 2 });
  await harness.drain();
  const key = partitionKey(harness.stream.streamId, 2);
  const moves = harness.commits().flatMap(({ moves: { [key]: move } }) => (move ? [move] : []));
  assert.deepEqual(
    moves.map(({ to, parents }) => [to === "", parents]),
    [
      [true, [0, 1]],
      [false, [0, 1]],
    ],
  );
});

test("the books sum up past partitions, and list those that wait for a child", async () => {
  const { harness, left } = await splitHarness();
  const status = (await harness.drain()).status();
  assert.deepEqual(status.finished, []);
  assert.deepEqual(status.past, { partitions: 1, counters: { ...noCounters, read: 2, filed: 2 } });
  harness.stream.split(1);
  const [child = 0] = [3, 4].filter((partition) => harness.stream.partitions.takes(partition, left));
  harness.append([from(left, "e")], { partition: child });
  const waiting = (await harness.drain()).status();
  assert.deepEqual(
    waiting.finished.map(({ partition, counters }) => [partition, counters.filed]),
    [[1, 1]],
  );
  assert.equal(waiting.past.partitions, 1);
});

test("a resend of a past partition's message is a duplicate, also after the window was lost", async () => {
  const { harness, left, right } = await splitHarness();
  assert.deepEqual((await pastOf(harness))?.ranges, [[0, 0]]);
  loseWindow(harness);
  harness.append([from(left, "a")], { partition: 1 });
  harness.append([from(right, "b")], { partition: 2 });
  await harness.drain();
  assert.deepEqual(harness.ids().toSorted(), ["a", "b", "c", "d"]);
});

test("a successor of partitions with past parents knows the parents' messages", async () => {
  const { harness, left } = await splitHarness();
  harness.stream.merge(1, 2);
  loseWindow(harness);
  harness.append([from(left, "a"), from(left, "e")], { partition: 3 });
  await harness.drain();
  assert.deepEqual((await pastOf(harness))?.ranges, [[0, 2]]);
  assert.deepEqual(harness.ids().toSorted(), ["a", "b", "c", "d", "e"]);
  const { shifts } = harness.lastMove(3) ?? {};
  assert.deepEqual(
    Object.keys(shifts ?? {}).toSorted(),
    [0, 1, 2].map((partition) => partitionKey(harness.stream.streamId, partition)),
  );
});

test("a process that lists a past partition as open reads nothing of it, and drops its window", async () => {
  const { harness } = await splitHarness();
  const outdated = harness.stream.open();
  const { all } = outdated.partitions;
  const before = { ...outdated.partitions, all: [{ partition: 0, parents: [], isOpen: true }] };
  const forgotten: number[] = [];
  Object.defineProperty(outdated, "partitions", { get: () => before, set: () => {} });
  const { window } = harness;
  harness.window = Object.assign(Object.create(window) as typeof window, {
    forget: async (partition: number) => void forgotten.push(partition),
    status: () => window.status(),
    close: () => window.close(),
  });
  const commits = harness.commits().length;
  const stream = Object.assign(outdated, {
    retentionMs: 1,
    refreshPartitions: async () => {},
    waitForAppend: async () => {
      harness.clock.nowMs += 50;
    },
  });
  const status = (await harness.drain({ stream })).status();
  assert.equal(all.length, 3);
  assert.deepEqual(status.partitions, []);
  assert.equal(harness.commits().length, commits);
  assert.ok(forgotten.includes(0));
});

test("the log accepts no move of a past partition, wherever it starts", async () => {
  const { harness } = await splitHarness();
  const log = logOf(harness);
  const key = partitionKey(harness.stream.streamId, 0);
  for (const start of ["", "1"]) {
    const { number } = await log.load();
    const move = { from: start, to: "2", streamTimeMs: 1, producers: {}, counters: noCounters };
    const entry = { format: 4, number: number + 1, commitId: "late", committedAtMs: 0, tables: {} } as const;
    assert.deepEqual(await log.append({ ...entry, moves: { [key]: move } }), { outcome: "conflict" });
  }
  assert.equal(harness.lastMove(0)?.to, endPosition);
});

/** As written by a version before, which recorded no parents. */
function asFormat3(harness: ConsumerHarness): void {
  for (const { moves, ...entry } of harness.commits()) {
    const older = Object.entries(moves).map(([key, { parents: _, ...move }]) => [key, move]);
    const written = JSON.stringify({ ...entry, format: 3, moves: Object.fromEntries(older) });
    const path = `_commits/${String(entry.number).padStart(20, "0")}.json`;
    const { modifiedAtMs } = harness.store.objects.get(path) ?? assert.fail();
    harness.store.objects.set(path, { bytes: Buffer.from(written), modifiedAtMs });
  }
}

test("a lake of the version before continues: old ended partitions stay, later ones become past", async () => {
  const { harness, left, right } = await splitHarness();
  asFormat3(harness);
  loseWindow(harness);
  harness.append([from(left, "a")], { partition: 1 });
  harness.append([from(right, "b")], { partition: 2 });
  const before = (await harness.drain()).status();
  assert.deepEqual([before.finished.map(({ partition }) => partition), before.past.partitions], [[0], 0]);
  harness.stream.merge(1, 2);
  harness.append([from(left, "a"), from(right, "d"), from(right, "e")], { partition: 3 });
  const { finished, past, partitions } = (await harness.drain()).status();
  assert.deepEqual([finished.map(({ partition }) => partition), past.partitions], [[0], 2]);
  assert.deepEqual(
    partitions.map(({ partition, halt, counters }) => [partition, halt, counters.duplicates]),
    [[3, null, 2]],
  );
  assert.deepEqual(harness.ids().toSorted(), ["a", "b", "c", "d", "e"]);
});

test("an exact topic knows past partitions' messages when no other window needs their rows any more", async () => {
  const harness = divisible();
  const envelopes = { format: "envelope", idPath: "", timePath: "", dedupeWindowMs: 1000 } as const;
  harness.define(topicVersion({ ...envelopes, dedupe: "exact" }));
  const sdk = (deviceId: string, sequence: number) => {
    const messageId = encodeMessageId({ epoch: Buffer.alloc(8, 7), sequence });
    const facts = { messageId, sequence, eventTimeMs: startMs, contentType: "", payload: Buffer.from("x") };
    return { deviceId, payload: Buffer.from(encodeEnvelope(facts)) };
  };
  await harness.drain();
  harness.stream.split(0);
  const devices = devicesOf(harness, [1, 2]);
  harness.append(devices.map((device) => sdk(device, 1)));
  harness.append([]);
  // Stream time certainly covers everything since the acknowledgement.
  for (let round = 0; round < 3; round++) {
    for (const [index, device] of devices.entries())
      harness.append([sdk(device, 2 + round)], { partition: 1 + index });
    await harness.drain();
    harness.clock.nowMs += rowsWantedMs;
  }
  const past = await pastOf(harness);
  assert.deepEqual([past?.ranges, past?.rows], [[[0, 0]], {}]);
  loseWindow(harness);
  for (const [index, device] of devices.entries()) harness.append([sdk(device, 1)], { partition: 1 + index });
  const { partitions } = (await harness.drain()).status();
  assert.deepEqual(
    partitions.map(({ counters }) => [counters.filed, counters.duplicates]),
    [
      [3, 1],
      [3, 1],
    ],
  );
});
