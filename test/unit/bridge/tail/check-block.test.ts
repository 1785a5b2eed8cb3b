import assert from "node:assert/strict";
import { test } from "node:test";
import type { BlockHeader } from "../../../../bridge/block/block-format.ts";
import {
  checkBlock,
  inheritedMarks,
  livingMarks,
  markAfterBlock,
  markKey,
  markOfClaim,
  producerForgottenAfterMs,
} from "../../../../bridge/tail/check-block.ts";
import type { PartitionClock } from "../../../../bridge/tail/partition-clock.ts";
import { appendClock, newClock } from "../../../../bridge/tail/stream-time.ts";

function header(changes: Partial<BlockHeader>): BlockHeader {
  return {
    version: 1,
    streamId: "s",
    producerId: "p",
    partition: 0,
    sequence: 5,
    lastAcknowledgedSequence: 4,
    acknowledgedMessages: 40,
    messageCount: 10,
    time: null,
    ...changes,
  };
}

/** A partition and its ancestors. */
const at = (partition: number, ...ancestors: number[]) => ({
  partition,
  ancestors: new Set(ancestors),
  mayHaveForgotten: () => false,
});

const mark = (lastSequence: number, ackedMessages: number) => ({ lastSequence, ackedMessages, seenAtMs: 0 });

test("the next block of a producer is fresh, even if it skips sequences that were never acknowledged", () => {
  assert.equal(checkBlock(header({}), mark(4, 40), at(0)).kind, "fresh");
  assert.equal(checkBlock(header({ sequence: 9 }), mark(4, 40), at(0)).kind, "fresh");
  assert.equal(
    checkBlock(header({ sequence: 1, lastAcknowledgedSequence: 0 }), undefined, at(0)).kind,
    "fresh",
  );
});

test("a sequence that was seen is resent, in any partition and with any claim", () => {
  for (const sequence of [4, 5])
    assert.equal(checkBlock(header({ sequence }), mark(5, 50), at(0)).kind, "resent");
  assert.equal(checkBlock(header({ lastAcknowledgedSequence: 9 }), mark(5, 50), at(0)).kind, "resent");
  assert.equal(checkBlock(header({}), mark(5, 50), at(1)).kind, "resent");
});

test("a block for another partition is misrouted, and its claim is ignored", () => {
  assert.equal(checkBlock(header({}), undefined, at(1)).kind, "misrouted");
  assert.equal(checkBlock(header({}), mark(4, 40), at(1)).kind, "misrouted");
  assert.equal(markKey(header({}), 0), "p");
  assert.equal(markKey(header({}), 1), "p@0");
});

test("an acknowledged block that was never seen is a gap of at least the messages that are not accounted for", () => {
  assert.deepEqual(checkBlock(header({}), mark(3, 30), at(0)), { kind: "gap", lostMessages: 10 });
  assert.deepEqual(checkBlock(header({}), undefined, at(0)), { kind: "gap", lostMessages: 40 });
  // Block 3 was read but never acknowledged: the lost one held at least what the claim exceeds it by.
  assert.deepEqual(checkBlock(header({ acknowledgedMessages: 32 }), mark(3, 40), at(0)), {
    kind: "gap",
    lostMessages: 0,
  });
});

test("a block for an ancestor is misrouted, and what it claims of the ancestor must have been read there", () => {
  assert.equal(checkBlock(header({}), mark(4, 40), at(1, 0)).kind, "misrouted");
  assert.equal(checkBlock(header({}), mark(5, 50), at(1, 0)).kind, "resent");
  assert.deepEqual(checkBlock(header({}), mark(3, 30), at(1, 0)), { kind: "gap", lostMessages: 10 });
  assert.deepEqual(checkBlock(header({}), undefined, at(1, 0)), { kind: "gap", lostMessages: 40 });
});

test("marks of an ancestor continue by the clock of the partition that replaced it", () => {
  const clock = appendClock(1000);
  const producers = { p: { ...mark(4, 40), block: 3 }, "q@7": mark(2, 20) };
  const inherited = (start: { streamTimeMs: number; clock: PartitionClock }) =>
    Object.fromEntries(inheritedMarks(0, { producers, streamTimeMs: 1000, clock }, start));
  assert.deepEqual(inherited({ streamTimeMs: 1000, clock }), {
    "p@0": { ...mark(4, 40), block: 3 },
    "q@7": mark(2, 20),
  });
  assert.deepEqual(
    inherited({ streamTimeMs: 1500, clock: newClock }),
    { "p@0": { ...mark(4, 40), seenAtMs: 500 }, "q@7": { ...mark(2, 20), seenAtMs: 500 } },
    "numbers of another clock mean nothing",
  );
});

test("a claim of unseen blocks is a gap, unless the producer's mark may have been forgotten", () => {
  const late = { ...at(0), mayHaveForgotten: () => true };
  assert.equal(checkBlock(header({}), undefined, at(0)).kind, "gap");
  assert.equal(checkBlock(header({}), undefined, late).kind, "forgotten");
  assert.equal(
    checkBlock(header({}), undefined, { ...at(1, 0), mayHaveForgotten: () => true }).kind,
    "misrouted",
  );
  assert.equal(checkBlock(header({}), mark(3, 30), late).kind, "gap", "it is still known");
});

test("marks follow the blocks that were read, or the claim", () => {
  assert.deepEqual(markAfterBlock(header({}), { streamTimeMs: 7, block: 2 }), {
    lastSequence: 5,
    ackedMessages: 50,
    seenAtMs: 7,
    block: 2,
  });
  assert.deepEqual(markOfClaim(header({}), 7), { lastSequence: 4, ackedMessages: 40, seenAtMs: 7 });
  assert.equal(checkBlock(header({}), markOfClaim(header({}), 7), at(0)).kind, "fresh");
});

test("a producer is forgotten 24 h of stream time after it was last seen", () => {
  const marks = new Map([
    ["old", { ...mark(1, 1), seenAtMs: 999 }],
    ["new", { ...mark(1, 1), seenAtMs: 1000 }],
  ]);
  assert.deepEqual(Object.keys(livingMarks(marks, 1000 + producerForgottenAfterMs)), ["new"]);
});
