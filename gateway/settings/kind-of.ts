import type { KindDescriptor, KindTarget } from "../../bridge/config.ts";

/** The kind that has read the target's URL. */
export function kindOf<Kind extends KindDescriptor>(kinds: readonly Kind[], target: KindTarget): Kind {
  const kind = kinds.find(({ name }) => name === target.kind);
  if (!kind) throw new TypeError(`unknown kind ${target.kind}`);
  return kind;
}
