import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { brokenClocks } from "./broken-clocks.ts";
import { brokenDivisions } from "./broken-divisions.ts";
import { brokenExactMode } from "./broken-exact-mode.ts";
import { brokenLakes } from "./broken-lakes.ts";
import { type BrokenVariant, brokenVariants } from "./broken-variants.ts";
import { catchingSeeds } from "./catching-seeds.ts";
import { runSimulation } from "./run-simulation.ts";
import type { Violation } from "./violation.ts";

// A change of the simulation changes what each seed draws. SEEDS=write finds the catching seeds again and writes them down.
const isWriting = process.env["SEEDS"] === "write";
const seedsFile = "test/simulation/catching-seeds.ts";
const variantRunsMax = 800;
const found: Record<string, number> = {};

async function catchWith(variant: BrokenVariant, seed: number): Promise<Violation | undefined> {
  const { violations } = await runSimulation({ ...variant.options, seed });
  return violations.find(({ rule }) => variant.breaks.includes(rule));
}

for (const variant of [
  ...brokenVariants,
  ...brokenExactMode,
  ...brokenDivisions,
  ...brokenClocks,
  ...brokenLakes,
]) {
  test(`the checkers find out: ${variant.name}`, async (context) => {
    const known = isWriting ? undefined : catchingSeeds[variant.name];
    const first = known ?? 1;
    for (let seed = first; seed < first + variantRunsMax; seed++) {
      const caught = await catchWith(variant, seed);
      if (!caught) continue;
      found[variant.name] = seed;
      context.diagnostic(`seed ${seed}: ${caught.rule}: ${caught.detail}`);
      if (seed !== known) context.diagnostic(`${seedsFile} is out of date: SEEDS=write writes it`);
      return;
    }
    assert.fail(`${variantRunsMax} runs from seed ${first} did not show ${variant.breaks.join(" or ")}`);
  });
}

after(() => {
  if (!isWriting) return;
  const lines = Object.entries(found).map(([name, seed]) => `  ${JSON.stringify(name)}: ${seed},\n`);
  const head =
    "/** By variant, a seed whose run shows its fault. Written by `checkers.test.ts` with SEEDS=write. */\n";
  const body = `export const catchingSeeds: Readonly<Record<string, number>> = {\n${lines.join("")}};\n`;
  writeFileSync(seedsFile, head + body);
});
