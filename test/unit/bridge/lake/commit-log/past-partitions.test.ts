import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CommitEntry,
  type LakeState,
  lakeFormat,
  type Move,
  noCounters,
} from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { encodeJson, parseSnapshot } from "../../../../../bridge/lake/commit-log/lake-format.ts";
import {
  applyEntry,
  emptyLakeState,
  snapshotOfState,
  stateOfSnapshot,
} from "../../../../../bridge/lake/commit-log/lake-state.ts";
import { moveOf, pastBooks, rowsWantedMs } from "../../../../../bridge/lake/commit-log/past-partitions.ts";
import { storedEntry } from "../../../../../bridge/lake/commit-log/stored-entry.ts";
import { partitionKey } from "../../../../../bridge/streams/partition-key.ts";
import { endPosition } from "../../../../../bridge/streams/stream-log.ts";

const dayMs = 86_400_000;

/** A log of one stream. Partitions have their numbers as names. */
class Log {
  state: LakeState;
  readonly #streamId: string;

  constructor(state = emptyLakeState, streamId = "s") {
    this.state = state;
    this.#streamId = streamId;
  }

  key(partition: number): string {
    return partitionKey(this.#streamId, partition);
  }

  append(moves: Readonly<Record<number, Partial<Move>>>, format: CommitEntry["format"] = lakeFormat): void {
    const number = this.state.number + 1;
    const whole = Object.entries(moves).map(([partition, changes]): [string, Move] => {
      const key = this.key(Number(partition));
      const { to: from = "", ...before } = this.state.moves.get(key) ?? {};
      const unread = { streamTimeMs: 0, producers: {}, counters: noCounters };
      return [key, { ...unread, ...before, from, to: from, ...changes }];
    });
    const entry = { format, number, commitId: `c${number}`, committedAtMs: 0, tables: {} };
    this.state = applyEntry(
      this.state,
      storedEntry(this.state, { ...entry, moves: Object.fromEntries(whole) }),
    );
  }

  /** The state of a process that begins with a snapshot. */
  restart(): void {
    const snapshot = encodeJson(snapshotOfState(this.state));
    this.state = stateOfSnapshot(parseSnapshot(this.state.number, snapshot));
  }

  /** Numbers of the partitions whose moves are kept. */
  kept(): number[] {
    return [...this.state.moves.keys()].map((key) => Number(key.split("/")[1]));
  }

  past() {
    return this.state.past.get(this.#streamId);
  }
}

const filed = (count: number) => ({ counters: { ...noCounters, read: count, filed: count } });
const ended = (streamTimeMs: number, rows = 1): Partial<Move> => ({
  to: endPosition,
  streamTimeMs,
  shifts: {},
  ...filed(rows),
});
const begun = (streamTimeMs: number, shifts: Record<string, number> = {}): Partial<Move> => ({
  to: "1",
  streamTimeMs,
  shifts,
  ...filed(1),
});

/** Partition 0 was split. One half replaced partition 1, together with its own other half. */
function split(): Log {
  const log = new Log();
  log.append({ 0: { parents: [] } });
  log.append({ 0: { to: "5", streamTimeMs: dayMs, shifts: {}, ...filed(4) } });
  log.append({ 1: { parents: [0] }, 2: { parents: [0] } });
  log.append({ 0: ended(dayMs, 7) });
  return log;
}

test("a partition is past once all of its successors have begun, whatever happens to them in between", () => {
  const log = split();
  assert.deepEqual(log.kept(), [0, 1, 2]);
  log.append({ 1: begun(dayMs, { "s/0": 0 }) });
  log.append({ 1: { to: "900", streamTimeMs: 99 * dayMs } });
  assert.deepEqual(log.kept(), [0, 1, 2], "2 has not begun: it goes on from 0");
  assert.deepEqual(log.state.moves.get("s/0")?.counters.filed, 7);
  log.append({ 2: begun(dayMs, { "s/0": 0 }) });
  assert.deepEqual(log.kept(), [1, 2]);
  assert.deepEqual(log.past()?.ranges, [[0, 0]]);
  assert.equal(moveOf(log.state, "s/0")?.to, endPosition);
  assert.equal(moveOf(log.state, "s/3"), undefined);
  assert.deepEqual(pastBooks(log.state, "s"), {
    partitions: 1,
    counters: { ...noCounters, read: 7, filed: 7 },
  });
  assert.deepEqual(pastBooks(log.state, "other"), { partitions: 0, counters: noCounters });
});

test("merged partitions are past together, once their successor has begun", () => {
  const log = new Log();
  log.append({ 0: { parents: [] }, 1: { parents: [] } });
  log.append({ 0: ended(dayMs), 2: { parents: [0, 1] } });
  log.append({ 1: ended(dayMs, 2) });
  assert.deepEqual(log.kept(), [0, 1, 2]);
  log.append({ 2: begun(dayMs, { "s/0": 0, "s/1": 0 }) });
  assert.deepEqual([log.kept(), log.past()?.ranges, log.past()?.counters.filed], [[2], [[0, 1]], 3]);
});

test("reading a snapshot and reading entry by entry lead to the same state", () => {
  const [whole, restarted] = [split(), split()];
  restarted.restart();
  for (const log of [whole, restarted]) {
    log.append({ 2: begun(dayMs, { "s/0": 0 }) });
    if (log === restarted) log.restart();
    log.append({ 1: begun(dayMs, { "s/0": 0 }), 3: { parents: [1] } });
    if (log === restarted) log.restart();
    log.append({ 1: ended(2 * dayMs) });
    log.append({ 3: begun(2 * dayMs, { "s/1": 0, "s/0": 0 }) });
  }
  assert.deepEqual(whole.past()?.ranges, [[0, 1]]);
  assert.deepEqual(snapshotOfState(restarted.state), snapshotOfState(whole.state));
});

test("the rows of a past partition are known for as long as a successor's window may need them", () => {
  const log = split();
  log.append({ 1: begun(dayMs, { "s/0": 5 }) });
  log.append({ 2: begun(dayMs, { "s/0": 0 }) });
  const at = { "0": { streamTimeMs: dayMs, commit: 4 } };
  assert.deepEqual(log.past()?.rows, at);
  log.append({ 2: { to: "2", streamTimeMs: dayMs + rowsWantedMs + 1 } });
  assert.deepEqual(log.past()?.rows, at, "the window of 1 wants them");
  log.append({ 1: { to: "2", streamTimeMs: dayMs + rowsWantedMs + 5 } });
  assert.deepEqual(log.past()?.rows, at, "its time is 5 ms ahead");
  log.append({ 1: { to: "3", streamTimeMs: dayMs + rowsWantedMs + 6 } });
  assert.deepEqual(log.past()?.rows, {});
  assert.equal(moveOf(log.state, "s/0")?.to, endPosition);
});

test("rows are known for partitions that will replace one whose window needs them", () => {
  const log = split();
  log.append({ 1: begun(dayMs, { "s/0": 0 }), 2: begun(20 * dayMs) });
  log.append({ 1: { ...ended(dayMs), shifts: { "s/0": 0 } }, 3: { parents: [1] }, 4: { parents: [1] } });
  log.append({ 3: begun(20 * dayMs) });
  assert.deepEqual(Object.keys(log.past()?.rows ?? {}), ["0"], "4 will have them by way of 1");
  log.append({ 4: begun(20 * dayMs) });
  assert.deepEqual([log.kept(), log.past()?.rows], [[2, 3, 4], {}]);
});

test("a partition that ended without rows has no rows to ask for", () => {
  const log = split();
  log.append({ 0: ended(dayMs, 0), 1: begun(dayMs, { "s/0": 0 }), 2: begun(dayMs, { "s/0": 0 }) });
  assert.deepEqual([log.past()?.ranges, log.past()?.rows], [[[0, 0]], {}]);
});

test("partitions recorded by an older version stay, newer ones go, and windows begun by 0.1.0 still find rows", () => {
  const log = new Log();
  log.append({ 0: { to: "5", streamTimeMs: dayMs, ...filed(1) }, 1: { to: "5", streamTimeMs: dayMs } }, 1);
  log.append({ 0: ended(dayMs), 2: {}, 3: {} }, 3);
  log.append({ 2: { to: "1", streamTimeMs: dayMs, ...filed(1) }, 3: begun(dayMs) }, 3);
  log.restart();
  assert.deepEqual(
    [log.kept(), log.past()],
    [[0, 1, 2, 3], undefined],
    "nobody knows whose place 2 and 3 took",
  );
  log.append({ 1: ended(dayMs), 4: { parents: [1] } });
  log.append({ 4: begun(dayMs) });
  assert.deepEqual(log.kept(), [0, 2, 3, 4]);
  assert.deepEqual(Object.keys(log.past()?.rows ?? {}), ["1"], "2 does not say what it must know");
  log.append({ 2: { to: "9", streamTimeMs: 10 * dayMs } });
  assert.deepEqual(log.past()?.rows, {});
});

test("a snapshot of format 3 has no past partitions", () => {
  const { past: _, ...snapshot } = snapshotOfState(split().state);
  const state = stateOfSnapshot(parseSnapshot(4, encodeJson({ ...snapshot, format: 3 })));
  assert.equal(state.past.size, 0);
  assert.throws(() => parseSnapshot(4, encodeJson({ ...snapshot, format: 2 })), { code: "LAKE_VERSION" });
});

test("later moves of a partition keep its recorded parents, whatever they say", () => {
  const log = split();
  log.append({ 1: { ...begun(dayMs), parents: [9] } });
  assert.deepEqual(log.state.moves.get("s/1")?.parents, [0]);
});

test("numbers of past partitions are kept as runs", () => {
  const log = new Log();
  for (const partition of [0, 2, 4, 1, 3]) {
    log.append({ [partition]: ended(dayMs), [partition + 10]: { parents: [partition] } });
    log.append({ [partition + 10]: begun(dayMs) });
    if (partition === 4)
      assert.deepEqual(log.past()?.ranges, [
        [0, 0],
        [2, 2],
        [4, 4],
      ]);
    if (partition === 1)
      assert.deepEqual(log.past()?.ranges, [
        [0, 2],
        [4, 4],
      ]);
  }
  assert.deepEqual(log.past()?.ranges, [[0, 4]]);
});
