const dayMs = 86_400_000;

/**
 * How long rows stay in their table after the end of their hour. Shorter times would remove rows that clients
 * may still resend, and that readers of yesterday expect.
 */
export const retentionLimits = { minMs: dayMs, maxMs: 36_500 * dayMs } as const;
