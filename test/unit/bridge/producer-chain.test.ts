import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DecodedBlock } from "../../../bridge/block/decode-block.ts";
import { checkBlock, markAfterBlock } from "../../../bridge/consumer/check-block.ts";
import { BridgeError, type BridgeErrorCode } from "../../../bridge/errors.ts";
import type { ProducerMark } from "../../../bridge/storage/commit-log.ts";
import { numbersIn, producerBench } from "../../support/producer-bench.ts";

/** Reads a partition as the consumer does. Answers the numbers filed and whether the chain of G8 had a hole. */
function consume(blocks: readonly DecodedBlock[]): { filed: number[]; isGap: boolean } {
  const marks = new Map<string, ProducerMark>();
  const filed: number[] = [];
  for (const block of blocks) {
    const verdict = checkBlock(block.header, marks.get(block.header.producerId), 0);
    if (verdict.kind === "resent") continue;
    if (verdict.kind === "gap") return { filed, isGap: true };
    marks.set(block.header.producerId, markAfterBlock(block.header, 0));
    filed.push(...numbersIn(block));
  }
  return { filed, isGap: false };
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("publish" as const), amount: fc.nat(4) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      amount: fc.constantFrom(1, 5, 50, 900, 1100, 4000, 31_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("refuse" as const, "loseAnswer" as const, "break" as const),
      amount: fc.nat(4),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("mend" as const), amount: fc.constant(0) }) },
);

test("whatever fails: acknowledged messages are stored in order, and a lost block always breaks the chain", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { clock, stream, producer, publish, settled, blocks } = producerBench({ deadlineMs: 3000 });
      const plan: BridgeErrorCode[] = [];
      const fail = (isStored: boolean): void => {
        const next = plan[0];
        if (!next || (next === "STREAM_TIMEOUT") !== isStored) return;
        plan.shift();
        throw new BridgeError(next, "injected", { retryable: next !== "STREAM_CLOSED" });
      };
      stream.faults.beforeAppend = () => fail(false);
      stream.faults.afterAppend = () => fail(true);
      let published = 0;
      for (const { kind, amount } of steps) {
        if (kind === "publish") for (let index = 0; index < amount; index++) publish(published++);
        else if (kind === "wait") await clock.advance(amount);
        else if (kind === "mend") plan.length = 0;
        else {
          const code = {
            refuse: "STREAM_FULL",
            loseAnswer: "STREAM_TIMEOUT",
            break: "STREAM_CLOSED",
          } as const;
          plan.push(...Array<BridgeErrorCode>(amount * 3).fill(code[kind]));
        }
      }
      plan.length = 0;
      const closed = producer.close();
      await clock.advance(60_000);
      await closed;

      assert.equal(settled.length, published);
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
    { numRuns: 150 },
  );
});
