import assert from "node:assert/strict";
import { test } from "node:test";
import { type CommitEntry, LAKE_FORMAT, type Move, noCounters } from "../../../bridge/storage/commit-log.ts";
import { encodeJson } from "../../../bridge/storage/lake-format.ts";
import { applyEntry, emptyLakeState, snapshotOfState } from "../../../bridge/storage/lake-state.ts";
import { PAST_AFTER_MS } from "../../../bridge/storage/past-moves.ts";
import { END_POSITION } from "../../../bridge/streams/stream-log.ts";

const hourMs = 3_600_000;
const boot = { offsetMs: 1, provenAtMs: 1, provenBlock: 1, seenAtMs: 1 };

/** The last move of a partition that `producers` brokers wrote to from `boots` machines. */
function moveAt(streamTimeMs: number, changes: Partial<Move> = {}, producers = 100): Move {
  const mark = { lastSequence: 123_456, ackedMessages: 9_999_999, seenAtMs: streamTimeMs, block: 99_999 };
  const names = (count: number, of: string) =>
    Array.from({ length: count }, (_, index) => `${of}${String(index).padStart(12, "0")}`);
  return {
    from: "49680662370556107858008194624949560336248997385248702466",
    to: END_POSITION,
    streamTimeMs,
    clock: {
      blocks: 99_999,
      aloneSince: 1,
      boot: "b000000000000",
      rowTimeMs: streamTimeMs,
      boots: Object.fromEntries(names(producers / 100, "b").map((name) => [name, boot])),
    },
    shifts: {},
    producers: Object.fromEntries(names(producers, "p").map((name) => [name, mark])),
    counters: { ...noCounters, read: 9_999_999, filed: 9_999_999 },
    ...changes,
  };
}

function after(moves: readonly (readonly [string, Move])[]) {
  return moves.reduce((state, [key, move]) => {
    const number = state.number + 1;
    const entry: CommitEntry = {
      format: LAKE_FORMAT,
      number,
      commitId: `c${number}`,
      committedAtMs: 0,
      moves: { [key]: { ...move, commit: number } },
      tables: {},
    };
    return applyEntry(state, entry);
  }, emptyLakeState);
}

test("partitions that ended long ago take some 500 bytes of a snapshot each, however many producers they had", () => {
  const divisions = 500;
  const moves = Array.from({ length: divisions }, (_, n) => [`s/${n}`, moveAt(n * 12 * hourMs)] as const);
  const state = after(moves);
  const late = moves.filter(
    ([, { streamTimeMs }]) => streamTimeMs > (divisions - 1) * 12 * hourMs - PAST_AFTER_MS,
  );
  const bytes = (kept: typeof state) => encodeJson(snapshotOfState(kept)).length;
  const past = { ...state, moves: new Map([...state.moves].slice(0, -late.length)) };
  assert.equal(past.moves.size, divisions - 16);
  assert.ok(bytes(past) < past.moves.size * 550, `${bytes(past) / past.moves.size} bytes each`);
  for (const [key, move] of late) assert.deepEqual(state.moves.get(key)?.producers, move.producers);
});

test("what a partition that ended long ago is still asked for stays: where it ended, its time, its books and its way back in the log", () => {
  const ended = moveAt(hourMs, { shifts: { "s/0": 7 }, previousCommit: 5 });
  const kept = after([
    ["s/1", ended],
    ["s/2", moveAt(hourMs + PAST_AFTER_MS, { to: "7" })],
  ]).moves.get("s/1");
  assert.deepEqual(kept, { ...ended, commit: 1, producers: {} });
});

test("producers stay where blocks may still come of them: of a partition that is behind, and of a stream that was just replaced", () => {
  const behind = moveAt(hourMs, { to: "7" });
  const state = after([
    ["old/0", moveAt(2 * hourMs, { to: "9" })],
    ["older/0", moveAt(0, { to: "9" })],
    ["new/0", behind],
    ["new/1", moveAt(hourMs + PAST_AFTER_MS, { to: "8" })],
  ]);
  const producersOf = (key: string) => Object.keys(state.moves.get(key)?.producers ?? {}).length;
  assert.deepEqual(["older/0", "old/0", "new/0", "new/1"].map(producersOf), [0, 100, 100, 100]);
});
