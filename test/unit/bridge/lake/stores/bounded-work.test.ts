import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BoundedWork } from "../../../../../bridge/lake/stores/bounded-work.ts";

/** Lets every promise settle that can. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("no more tasks than the bound run at once, and results come in the order of the calls", () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.nat(3), { maxLength: 12 }),
      async (max, turns) => {
        let underWay = 0;
        let most = 0;
        const work = new BoundedWork<number>(max);
        for (const [index, count] of turns.entries())
          await work.add(async () => {
            most = Math.max(most, ++underWay);
            for (let waited = 0; waited < count; waited++) await turn();
            underWay--;
            return index;
          });
        assert.deepEqual(await work.results(), [...turns.keys()]);
        assert.equal(underWay, 0);
        assert.ok(most <= max);
      },
    ),
  ));

test("after a failure no more tasks start, and all started tasks have ended when the failure is reported", async () => {
  const work = new BoundedWork<string>(2);
  let hasEnded = false;
  await work.add(async () => {
    await turn();
    throw new Error("no room");
  });
  await work.add(async () => {
    for (let waited = 0; waited < 5; waited++) await turn();
    hasEnded = true;
    return "fine";
  });
  assert.equal(await work.add(async () => assert.fail("begun after a failure")), false);
  await assert.rejects(work.results(), /no room/);
  assert.equal(hasEnded, true);
});
