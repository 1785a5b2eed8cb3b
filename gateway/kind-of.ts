import type { KindDescriptor, KindTarget } from "../bridge/config.ts";

/** Of a registry of kinds the one that has read the target's URL. */
export function kindOf<Kind extends KindDescriptor>(kinds: readonly Kind[], target: KindTarget): Kind {
  const kind = kinds.find(({ name }) => name === target.kind);
  if (!kind) throw new TypeError(`there is no kind ${target.kind}`);
  return kind;
}
