import type { TopicDefinition } from "../topics/topic-api.ts";

/**
 * Longer than a resend can come late: a server that is away, a gateway that starts again, a copy that the
 * fleet publishes a minute later. Shorter than a proof, so that ids are forgotten and commits are pruned.
 */
export const dedupeWindowMs = 240_000;

/**
 * The filter that the fleet publishes on: its other level is `kind-0`. The fleet creates this topic and those
 * beside it.
 */
export const fleetFilter = "prove/{device}/{kind}";

/** Topics that are created, changed and deleted. Each takes names from a permanent topic. */
export const specificTopics: readonly TopicDefinition[] = [
  { name: "proof_kind", filter: "prove/{device}/kind-0", format: "json", dedupeWindowMs },
];

/**
 * Takes hostile messages only. Its schema refers to itself, makes a backtracking matcher backtrack, and
 * compares items with each other.
 */
export const hostileTopic: TopicDefinition = {
  name: "proof_hostile",
  filter: "hostile/{device}/{message}",
  format: "json",
  dedupeWindowMs,
  schema: {
    type: "object",
    properties: {
      s: { type: "string", pattern: "^(a+)+$" },
      v: { type: "number" },
      n: { type: "integer" },
      list: { type: "array", uniqueItems: true },
      c: { $ref: "#" },
    },
  },
};

/** Topic names of hostile messages, by the topic that takes them. */
export const hostileNames = {
  own: (device: string) => `hostile/${device}/x`,
  json: (device: string) => `prove/${device}/kind-0`,
  typed: (device: string) => `prove/${device}/typed`,
  envelope: (device: string) => `prove/${device}/envelope`,
  raw: (device: string) => `prove/${device}/raw`,
} as const;

/** How the name of every hostile device begins; no device of a fleet is called so. */
export const hostileDevices = "hostile-";

/** Of topics of the fleet that get rows all the time: no other topic ever takes names from them. */
export const busyTables: readonly string[] = ["sim_typed", "sim_envelope", "sim_raw"];

/** Of the fleet's topics, the specific and the hostile ones; those that do not exist are passed over. */
export const provedTables: readonly string[] = [
  "sim_json",
  ...busyTables,
  ...specificTopics.map(({ name }) => name),
  hostileTopic.name,
  "_quarantine",
];
