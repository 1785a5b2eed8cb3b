import type { KindTarget } from "../../bridge/config.ts";
import { kindOf } from "../settings/kind-of.ts";
import { memoryKind } from "./memory/memory-kind.ts";
import { redisWindowKind } from "./redis/redis-window-kind.ts";
import type { WindowKind } from "./window-kind.ts";

/** All kinds of dedupe windows, in the order in which texts name them. */
// biome-ignore format: a line for each kind
export const windowKinds: readonly WindowKind[] = [
  memoryKind,
  redisWindowKind,
];

/** For a stream that does not hold a window. */
export const defaultWindow = { url: "memory:", target: { kind: "memory" } as KindTarget } as const;

export function windowKind(target: KindTarget): WindowKind {
  return kindOf(windowKinds, target);
}
