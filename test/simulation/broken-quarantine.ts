import type { SeedSource } from "../../bridge/lake/seed-source.ts";
import type { BrokenVariant } from "./broken-variants.ts";
import type { BreakPorts } from "./run-simulation.ts";

function withSeeds(breakSeeds: (seeds: SeedSource) => Partial<SeedSource>): BreakPorts {
  return (ports) => {
    const { seeds } = ports;
    const whole = { rows: seeds.rows.bind(seeds), filed: seeds.filed.bind(seeds) };
    return { ...ports, seeds: { ...whole, ...breakSeeds(seeds) } };
  };
}

/** Windows are seeded as if all rows were in quarantine, or none. */
function seedingRowsAs(isQuarantined: boolean): BreakPorts {
  return withSeeds((seeds) => ({
    rows: async function* (query) {
      for await (const rows of seeds.rows(query)) yield { ...rows, isQuarantined };
    },
  }));
}

const takingQuarantinedForFiled = withSeeds((seeds) => ({
  filed: async (query) =>
    (await seeds.filed(query))?.map((rows) => ({ ...rows, isQuarantined: false })) ?? null,
}));

/** Variants in which quarantined rows keep an id from its table, or filed rows do not. */
export const brokenQuarantine: readonly BrokenVariant[] = [
  {
    name: "seeding what is in quarantine as if a table held it",
    breaks: ["lost"],
    options: { windowFaults: () => ({}), breakPorts: seedingRowsAs(false) },
  },
  {
    name: "seeding what a table holds as if it were in quarantine",
    breaks: ["doubled"],
    options: { windowFaults: () => ({}), breakPorts: seedingRowsAs(true) },
  },
  {
    name: "mended messages of exact topics taken for resends",
    breaks: ["lost"],
    options: { breakPorts: takingQuarantinedForFiled },
  },
];
