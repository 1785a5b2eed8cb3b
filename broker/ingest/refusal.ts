/** What a refusal means and whether the same message or connection may succeed later. */
export interface RefusalMeaning {
  readonly means: string;
  readonly retryable: boolean;
}

/**
 * Why the ingest core refuses a message or a client, without looking into any payload. Each code is a label
 * of `tidegate_broker_refused_total`.
 */
export const refusals = {
  "unknown-topic": { means: "No topic has this name.", retryable: false },
  "not-telemetry": {
    means: "The name belongs to ordinary publish/subscribe, which this way in does not offer.",
    retryable: false,
  },
  "topic-name-invalid": {
    means: "The topic name is empty, too deep, or holds a wildcard, U+0000 or broken UTF-8.",
    retryable: false,
  },
  "not-authorized": { means: "The identity may not publish here.", retryable: false },
  "device-mismatch": { means: "The {device} level is not the device's own name.", retryable: false },
  "qos-not-allowed": { means: "The topic does not allow this QoS.", retryable: false },
  "payload-too-large": { means: "The payload is larger than the topic's limit.", retryable: false },
  "rate-exceeded": {
    means: "More messages per second than the topic allows a connection.",
    retryable: true,
  },
  "in-flight-limit": {
    means: "Too many messages of this client wait to become durable.",
    retryable: true,
  },
  "not-durable": { means: "The message did not become durable in time.", retryable: true },
  credentials: {
    means: "No user name where one is needed, or a wrong one, or a wrong secret.",
    retryable: false,
  },
  "client-id-foreign": { means: "The client id belongs to another identity.", retryable: false },
  "authentication-busy": { means: "The check took too long, or too many wait.", retryable: true },
  "authentication-abandoned": {
    means: "The client hung up while its secret waited for a slow check, which was not run.",
    retryable: true,
  },
  "no-room": { means: "The stream has no room for more.", retryable: true },
} as const satisfies Record<string, RefusalMeaning>;

export type RefusalCode = keyof typeof refusals;

/**
 * `limit` and `actual` have one unit, that of the setting that is the limit; `bound` names it if the code
 * does not.
 */
export type RefusalFields = Readonly<Record<string, unknown>> & {
  readonly bound?: string;
  readonly limit?: unknown;
  readonly actual?: unknown;
};

export interface Refusal {
  readonly code: RefusalCode;
  /** In words. */
  readonly reason: string;
  /** Whether the same may succeed later. */
  readonly retryable: boolean;
  readonly fields: RefusalFields;
}

export function refusalOf(code: RefusalCode, fields: RefusalFields = {}): Refusal {
  const { means, retryable } = refusals[code];
  return { code, reason: means, retryable, fields };
}
