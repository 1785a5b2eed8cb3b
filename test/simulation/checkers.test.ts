import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { brokenProtocols } from "./broken-protocols.ts";
import type { BrokenVariant } from "./broken-variants.ts";
import { catchingSeeds } from "./catching-seeds.ts";
import { SimulationProcess } from "./simulation-process.ts";
import type { Violation } from "./violation.ts";

// A change of the simulation changes the draws of each seed. SEEDS=write finds and writes the catching seeds
// again.
const isWriting = process.env["SEEDS"] === "write";
const seedsFile = "test/simulation/catching-seeds.ts";
const variantRunsMax = 800;
const found: Record<string, number> = {};
const simulations = new SimulationProcess();

async function catchWith(variant: BrokenVariant, seed: number): Promise<Violation | undefined> {
  const { violations } = await simulations.run({ seed, variant: variant.name });
  return violations.find(({ rule }) => variant.breaks.includes(rule));
}

for (const variant of brokenProtocols) {
  test(`the checkers detect: ${variant.name}`, async (context) => {
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

after(async () => {
  await simulations[Symbol.asyncDispose]();
  if (!isWriting) return;
  const lines = Object.entries(found).map(([name, seed]) => `  ${JSON.stringify(name)}: ${seed},\n`);
  const head =
    "/** For each variant, a seed whose run shows its fault. Written by `checkers.test.ts` with SEEDS=write. */\n";
  const body = `export const catchingSeeds: Readonly<Record<string, number>> = {\n${lines.join("")}};\n`;
  writeFileSync(seedsFile, head + body);
});
