import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DecodedBlock } from "../../../../bridge/block/decode-block.ts";
import { BridgeError, type BridgeErrorCode } from "../../../../bridge/errors.ts";
import { checkBlock, markAfterBlock } from "../../../../bridge/tail/check-block.ts";
import type { ProducerMark } from "../../../../bridge/tail/producer-mark.ts";
import { numbersIn, producerBench } from "../../../support/producer-bench.ts";

const alone = { partition: 0, ancestors: new Set<number>(), mayHaveForgotten: () => false };

/**
 * Reads a partition as the consumer does. Returns the numbers filed, and whether the chain of G8 had a gap.
 */
function consume(blocks: readonly DecodedBlock[]): { filed: number[]; isGap: boolean } {
  const marks = new Map<string, ProducerMark>();
  const filed: number[] = [];
  for (const block of blocks) {
    const verdict = checkBlock(block.header, marks.get(block.header.producerId), alone);
    if (verdict.kind === "resent") continue;
    if (verdict.kind === "gap") return { filed, isGap: true };
    marks.set(block.header.producerId, markAfterBlock(block.header, { streamTimeMs: 0, block: 0 }));
    filed.push(...numbersIn(block));
  }
  return { filed, isGap: false };
}

/**
 * How an append goes wrong: not stored, stored but unanswered, or not stored and not worth another attempt.
 */
const codes = ["STREAM_FULL", "STREAM_TIMEOUT", "STREAM_CLOSED"] as const satisfies BridgeErrorCode[];

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ publish: fc.nat(3) }) },
  { weight: 5, arbitrary: fc.record({ waitMs: fc.constantFrom(1, 5, 5, 5, 50, 400, 1100) }) },
  { weight: 2, arbitrary: fc.record({ fail: fc.array(fc.constantFrom(...codes), { maxLength: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ hold: fc.constantFrom(...codes) }) },
  { weight: 1, arbitrary: fc.record({ mend: fc.constant(true) }) },
);

test("whatever fails: acknowledged messages are stored in order, and a lost block always breaks the chain", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, stream, producer, publish, settled, blocks } = producerBench({ deadlineMs: 300 });
      const plan: BridgeErrorCode[] = [];
      let held: BridgeErrorCode | undefined;
      const fail = (isStored: boolean): void => {
        const next = plan[0] ?? held;
        if (!next || (next === "STREAM_TIMEOUT") !== isStored) return;
        plan.shift();
        throw new BridgeError(next, "injected", { retryable: next !== "STREAM_CLOSED" });
      };
      const mend = (): void => {
        plan.length = 0;
        held = undefined;
      };
      stream.faults.beforeAppend = () => fail(false);
      stream.faults.afterAppend = () => fail(true);
      let published = 0;
      for (const each of steps) {
        if ("publish" in each) for (let index = 0; index < each.publish; index++) publish(published++);
        else if ("waitMs" in each) await clock.advance(each.waitMs);
        else if ("fail" in each) plan.push(...each.fail);
        else if ("hold" in each) held = each.hold;
        else mend();
      }
      mend();
      const closed = producer.close();
      await clock.advance(60_000);
      await closed;

      assert.deepEqual(
        settled.map((line) => Number.parseInt(line, 10)),
        Array.from({ length: published }, (_, number) => number),
        "settled in the order of acceptance",
      );
      const acknowledged = settled.map(Number).filter((number) => !Number.isNaN(number));
      const { filed, isGap } = consume(blocks());
      assert.equal(isGap, false);
      assert.deepEqual(
        filed,
        [...filed].sort((left, right) => left - right),
        "in the order of acceptance",
      );
      const stored = new Set(filed);
      assert.deepEqual(
        acknowledged.filter((number) => !stored.has(number)),
        [],
      );
      for (const lost of new Set(blocks().map((block) => block.header.sequence))) {
        const isLost = (block: DecodedBlock): boolean => block.header.sequence === lost;
        const wereAcknowledged = blocks().some(
          (block) => isLost(block) && numbersIn(block).some((number) => acknowledged.includes(number)),
        );
        if (wereAcknowledged)
          assert.equal(consume(blocks().filter((block) => !isLost(block))).isGap, true, `block ${lost}`);
      }
    }),
    { numRuns: 400 },
  );
});
