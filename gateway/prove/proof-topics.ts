import type { TopicInput } from "../registry/topic-definition.ts";

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

/** Topics that come, change and go; each takes names of one that stands for the whole run. */
export const specificTopics: readonly TopicInput[] = [
  { name: "proof_kind", filter: "prove/{device}/kind-0", format: "json", dedupeWindowMs },
];

/** Of the fleet's topics and the specific ones; those that do not exist are passed over. */
export const provedTables: readonly string[] = [
  "sim_json",
  "sim_typed",
  "sim_envelope",
  "sim_raw",
  ...specificTopics.map(({ name }) => name),
  "_quarantine",
];
