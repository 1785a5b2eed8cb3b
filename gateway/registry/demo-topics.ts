import type { TopicInput } from "./topic-definition.ts";

/** Topics of a new gateway, so that a first message can be published at once. */
export const demoTopics: readonly TopicInput[] = [
  {
    name: "telemetry",
    filter: "fleet/{device}/telemetry",
    format: "json",
    idPath: "id",
    timePath: "ts",
    schema: { type: "object", properties: { temperature: { type: ["number", "null"] } } },
  },
  { name: "telemetry_envelope", filter: "fleet/{device}/envelope", format: "envelope" },
];
