import { brokenClocks } from "./broken-clocks.ts";
import { brokenDivisions } from "./broken-divisions.ts";
import { brokenExactMode } from "./broken-exact-mode.ts";
import { brokenFollowers } from "./broken-followers.ts";
import { brokenLakes } from "./broken-lakes.ts";
import { brokenLanding } from "./broken-landing.ts";
import { brokenOrdinals } from "./broken-ordinals.ts";
import { brokenPast } from "./broken-past.ts";
import { brokenQuarantine } from "./broken-quarantine.ts";
import { brokenSettling } from "./broken-settling.ts";
import { brokenTables } from "./broken-tables.ts";
import { type BrokenVariant, brokenVariants } from "./broken-variants.ts";

/** All broken variants that the checkers must detect. Their names are unique. */
export const brokenProtocols: readonly BrokenVariant[] = [
  ...brokenVariants,
  ...brokenExactMode,
  ...brokenQuarantine,
  ...brokenDivisions,
  ...brokenPast,
  ...brokenClocks,
  ...brokenLakes,
  ...brokenTables,
  ...brokenOrdinals,
  ...brokenFollowers,
  ...brokenSettling,
  ...brokenLanding,
];
