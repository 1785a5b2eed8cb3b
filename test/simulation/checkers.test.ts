import assert from "node:assert/strict";
import { test } from "node:test";
import { brokenClocks } from "./broken-clocks.ts";
import { brokenDivisions } from "./broken-divisions.ts";
import { brokenVariants } from "./broken-variants.ts";
import { runSimulation } from "./run-simulation.ts";

const variantRunsMax = 800;
const first = Number(process.env["FIRST"] ?? Math.floor(Math.random() * 1e9));

for (const variant of [...brokenVariants, ...brokenDivisions, ...brokenClocks]) {
  test(`the checkers find out: ${variant.name}`, async (context) => {
    for (let seed = first; seed < first + variantRunsMax; seed++) {
      const { violations } = await runSimulation({ ...variant.options, seed });
      const caught = violations.find(({ rule }) => variant.breaks.includes(rule));
      if (!caught) continue;
      context.diagnostic(`${seed - first + 1} runs, then: ${caught.rule}: ${caught.detail}`);
      return;
    }
    assert.fail(`${variantRunsMax} runs from seed ${first} did not show ${variant.breaks.join(" or ")}`);
  });
}
