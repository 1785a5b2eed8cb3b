import { GatewayError } from "../errors.ts";

const stuckCodes = { consumer: "CONSUMER_STUCK", upkeep: "UPKEEP_STUCK" } as const;

/** A role that made no progress for `limitMs`, with its open calls, oldest first. The process ends by it. */
export function stuckError(
  role: keyof typeof stuckCodes,
  limitMs: number,
  doing: readonly string[],
): GatewayError {
  const calls = doing.length > 0 ? doing.join(", ") : "none";
  return new GatewayError(
    stuckCodes[role],
    `The ${role} made no progress for ${Math.round(limitMs / 1000)} s and is restarted. Open calls: ${calls}`,
    { retryable: true },
  );
}
