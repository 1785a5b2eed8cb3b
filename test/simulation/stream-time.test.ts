import assert from "node:assert/strict";
import { test } from "node:test";
import { promptAcknowledgementMs } from "../../bridge/block/block-format.ts";
import {
  type BlockMoment,
  beginAt,
  type PlacedBlock,
  placeBlock,
  rowLeadMaxMs,
  type StreamMoment,
} from "../../bridge/tail/stream-time.ts";
import { livesOfBoots, type ModelBlock } from "./boot-lives.ts";
import { SeededRandom } from "./seeded-random.ts";

const runs = Number(process.env["RUNS"] ?? 3000);
const first = Number(process.env["FIRST"] ?? Math.floor(Math.random() * 1e9));
const deadlineMs = 31_000;
const startMs = 1_700_000_000_000;

type Place = (at: StreamMoment, moment: BlockMoment, block: ModelBlock) => PlacedBlock;

interface Read {
  readonly block: ModelBlock;
  readonly streamTimeMs: number;
  readonly rowTimeMs: number;
}

/** Places blocks as the consumer does, with a mark for each producer. */
function read(blocks: readonly ModelBlock[], place: Place): Read[] {
  const marks = new Map<number, { sequence: number; streamTimeMs: number; block: number }>();
  let at = beginAt(startMs);
  return blocks.map((block) => {
    const mark = marks.get(block.producer);
    const isKnown = block.acknowledgedAtMs > 0 && mark?.sequence === block.lastAcknowledged;
    const acknowledged =
      mark && isKnown
        ? { stampMs: block.acknowledgedAtMs, streamTimeMs: mark.streamTimeMs, block: mark.block }
        : null;
    const placed = place(at, { boot: block.boot, stampMs: block.stampMs, acknowledged }, block);
    at = placed;
    const { streamTimeMs, clock } = placed;
    if (block.sequence > (mark?.sequence ?? 0))
      marks.set(block.producer, { sequence: block.sequence, streamTimeMs, block: clock.blocks });
    return { block, streamTimeMs, rowTimeMs: placed.rowTimeMs };
  });
}

/**
 * How many ms a row's window may end too early: stream time since the row − true time since it was sealed.
 */
function fastestMs(reads: readonly Read[]): number {
  let leastMs = Number.POSITIVE_INFINITY;
  let worstMs = Number.NEGATIVE_INFINITY;
  for (const { block, streamTimeMs, rowTimeMs } of reads) {
    worstMs = Math.max(worstMs, streamTimeMs - block.trueAppendMs - leastMs);
    leastMs = Math.min(leastMs, rowTimeMs - block.trueSealMs);
  }
  return worstMs;
}

function drawn(seed: number, limits = { promptMs: promptAcknowledgementMs, deadlineMs }): ModelBlock[] {
  const random = new SeededRandom(seed);
  const gateways = 1 + random.below(4);
  return livesOfBoots(random, { gateways, events: 20 + random.below(200), ...limits });
}

test(`no window ends early, for any boots, silences and late blocks (${runs} runs from seed ${first})`, () => {
  for (let seed = first; seed < first + runs; seed++) {
    const fastMs = fastestMs(read(drawn(seed), placeBlock));
    assert.ok(fastMs <= 0, `seed ${seed}: a window ends ${fastMs} ms early`);
  }
});

/** Rules that look equally good, but let windows end too early, by more than this. */
const noticedMs = 60_000;

/**
 * The largest stamp + offset. The first block of a boot sets its offset, so that the boot begins late by the
 * time of its delivery.
 */
const largestOfOffsets: Place = (at, { boot, stampMs }) => {
  const offsetMs = at.clock.boots[boot]?.offsetMs ?? at.streamTimeMs - deadlineMs - stampMs;
  const streamTimeMs = Math.max(at.streamTimeMs, stampMs + offsetMs);
  const line = { offsetMs, provenAtMs: streamTimeMs, provenBlock: 0, seenAtMs: streamTimeMs };
  const clock = { ...at.clock, boots: { ...at.clock.boots, [boot]: line } };
  return { streamTimeMs, clock, rowTimeMs: streamTimeMs };
};

const brokenRules: { readonly name: string; readonly place: Place }[] = [
  { name: "the largest of stamp + offset, offsets set by first blocks", place: largestOfOffsets },
  {
    name: "a new boot's offset set fast",
    place: (at, moment, block) => {
      if (block.boot === "boot-0" || at.clock.boots[block.boot]) return placeBlock(at, moment);
      const { streamTimeMs, clock } = at;
      const acknowledged = { stampMs: moment.stampMs - 3_600_000, streamTimeMs, block: clock.blocks };
      return placeBlock(at, { ...moment, acknowledged });
    },
  },
  {
    name: "a boot that was silent while others wrote proves its silence",
    place: (at, moment) => {
      const acknowledged = moment.acknowledged && { ...moment.acknowledged, block: at.clock.blocks };
      return placeBlock(at, { ...moment, acknowledged });
    },
  },
  {
    name: "by the clock that appends",
    place: ({ streamTimeMs: beforeMs, clock }, _, block) => {
      const stepMs = block.sequence % 7 === 6 ? 7_200_000 : 0;
      const streamTimeMs = Math.max(beforeMs, startMs + block.trueAppendMs + stepMs);
      return { streamTimeMs, clock, rowTimeMs: streamTimeMs };
    },
  },
];

for (const { name, place } of brokenRules) {
  test(`the model detects: ${name}`, (context) => {
    for (let seed = first; seed < first + runs; seed++) {
      const fastMs = fastestMs(read(drawn(seed), place));
      if (fastMs <= noticedMs) continue;
      context.diagnostic(`${seed - first + 1} runs, then a window ends ${fastMs} ms early`);
      return;
    }
    assert.fail(`${runs} runs from seed ${first} did not show it`);
  });
}

test("the model detects: acknowledgements that are told although they came late", () => {
  const limits = { promptMs: 300_000, deadlineMs: 300_000 };
  for (let seed = first; seed < first + runs; seed++)
    if (fastestMs(read(drawn(seed, limits), placeBlock)) > 0) return;
  assert.fail(`${runs} runs from seed ${first} did not show it`);
});

test("rows are no further ahead than another boot may still catch up", () => {
  for (let seed = first; seed < first + 100; seed++)
    for (const { streamTimeMs, rowTimeMs } of read(drawn(seed), placeBlock))
      assert.ok(rowTimeMs >= streamTimeMs && rowTimeMs <= streamTimeMs + rowLeadMaxMs);
});
