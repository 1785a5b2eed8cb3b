import type { KindTarget } from "../../kind-descriptor.ts";
import { type StreamDescriptor, soundStream } from "../stream-descriptor.ts";
import type { SpaceStatus } from "./space-budget.ts";

export type { SpaceStatus };

export interface EmbeddedTarget extends KindTarget {
  readonly kind: "embedded";
}

/** The settings of this kind are in the section `stream`, not in one of its own, for historical reasons. */
export const embeddedDescriptor: StreamDescriptor<EmbeddedTarget, SpaceStatus> = {
  name: "embedded",
  label: "the embedded stream",
  schemes: ["embedded:"],
  urlForm: "embedded:",
  sections: {},
  readUrl: (url) => (url === "embedded:" ? { kind: "embedded" } : "write embedded: with nothing after it"),
  placeOf: () => null,
  condition: () => soundStream,
  summary: ({ retainedBytes, maxBytes }) => [
    `Stream: ${retainedBytes} of ${maxBytes} bytes wait for the lake or for trimming`,
  ],
};
