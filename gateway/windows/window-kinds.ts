import type { KindTarget } from "../../bridge/config.ts";
import { kindOf } from "../kind-of.ts";
import { memoryKind } from "./memory/memory-kind.ts";
import { redisWindowKind } from "./redis/redis-window-kind.ts";
import type { WindowKind } from "./window-kind.ts";

/** Every kind of dedupe window, in the order in which people read of them. */
// biome-ignore format: a line for each kind
export const windowKinds: readonly WindowKind[] = [
  memoryKind,
  redisWindowKind,
];

/** Beside a stream that brings no window along. */
export const defaultWindow = { url: "memory:", target: { kind: "memory" } as KindTarget } as const;

export function windowKind(target: KindTarget): WindowKind {
  return kindOf(windowKinds, target);
}
