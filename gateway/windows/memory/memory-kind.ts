import type { KindTarget } from "../../../bridge/config.ts";
import type { WindowKind } from "../window-kind.ts";

interface MemoryTarget extends KindTarget {
  readonly kind: "memory";
}

/** In the memory of each consumer, rebuilt from the lake if it is missing. */
export const memoryKind: WindowKind<MemoryTarget> = {
  name: "memory",
  label: "memory",
  schemes: ["memory:"],
  urlForm: "memory:",
  sections: {},
  readUrl: (url) => (url === "memory:" ? { kind: "memory" } : "write memory: with nothing after it"),
  placeOf: () => null,
  open: async ({ config }, { stream }) => {
    const { createMemoryWindow } = await import("../../../bridge/lake/window/index.ts");
    const { maxBytes } = config.window;
    return createMemoryWindow({ maxBytes, partitionCount: stream.partitions.all.length });
  },
};
