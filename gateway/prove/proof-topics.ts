import type { ProofTopics } from "./system-under-test.ts";

/**
 * Longer than a resend can come late: a server that is away, a gateway that starts again, a copy that the fleet publishes later. Shorter
 * than a proof, so that ids are forgotten and commits are pruned.
 */
export const dedupeWindowMs = 240_000;

const json = { format: "json", dedupeWindowMs } as const;

/** The filter that the fleet publishes on: its other level is `kind-0`. */
export const fleetFilter = "prove/{kind}/{device}";

export const proofTopics: ProofTopics = {
  standing: [{ name: "proof", filter: fleetFilter, ...json }],
  specific: [{ name: "proof_kind", filter: "prove/kind-0/{device}", ...json }],
};
