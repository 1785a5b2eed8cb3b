/**
 * What a refusal means, whether the same message or connection may succeed later, and what the owner must do.
 */
export interface RefusalMeaning {
  readonly meaning: string;
  readonly retryable: boolean;
  readonly remedy: string;
}

/**
 * Why the ingest core refuses a message or a client, without reading any payload. Each code is a label of
 * `tidegate_broker_refused_total`. docs/reference/errors.md is made from these entries.
 */
export const refusals = {
  "unknown-topic": {
    meaning: "No topic's filter matches the topic name.",
    retryable: false,
    remedy: "Create a topic with `tidegate topics create`, or correct the name on the device.",
  },
  "not-telemetry": {
    meaning: "The topic name belongs to ordinary publish/subscribe, which this front end does not offer.",
    retryable: false,
    remedy: "Publish such messages with MQTT.",
  },
  "topic-name-invalid": {
    meaning: "The topic name is empty, deeper than 100 levels, or holds a wildcard, U+0000 or broken UTF-8.",
    retryable: false,
    remedy: "Correct the topic name on the device.",
  },
  "not-authorized": {
    meaning: "The identity may not publish on this topic name.",
    retryable: false,
    remedy: "Let it publish: `--publishers` of the topic, `--prefix` of an edge, or `mqtt.plainPublishers`.",
  },
  "device-mismatch": {
    meaning: "The `{device}` level of the topic name is not the device's own name.",
    retryable: false,
    remedy: "Publish under the device's own name, or use an identity with `--role edge`.",
  },
  "qos-not-allowed": {
    meaning: "The topic does not allow this quality of service.",
    retryable: false,
    remedy: "Publish with an allowed QoS, or change `--qos` of the topic.",
  },
  "payload-too-large": {
    meaning: "The payload is larger than the topic allows.",
    retryable: false,
    remedy: "Send less, or raise `--max-payload-bytes` of the topic.",
  },
  "rate-exceeded": {
    meaning: "The connection sends more messages per second than the topic allows.",
    retryable: true,
    remedy: "Slow the device down, or raise `--rate` of the topic.",
  },
  "in-flight-limit": {
    meaning: "Too many messages of this client wait to become durable.",
    retryable: true,
    remedy: "Wait for acknowledgements before sending more, or raise `mqtt.inFlightMax`.",
  },
  "not-durable": {
    meaning: "The stream did not store a message within `mqtt.holdMaxMs` or `producer.deadlineMs`.",
    retryable: true,
    remedy: "Repair the stream: `/readyz` names the reason. Devices resend by themselves.",
  },
  credentials: {
    meaning: "The user name or the key is missing or wrong.",
    retryable: false,
    remedy: "Give the device its key. `tidegate devices list` shows the identities.",
  },
  "client-id-foreign": {
    meaning: "The client id belongs to another identity.",
    retryable: false,
    remedy: "Connect with a client id of the identity's own.",
  },
  "authentication-busy": {
    meaning: "Checking the key took too long, or too many checks wait.",
    retryable: true,
    remedy: "Nothing: the client may retry later. If this persists, find the address that sends wrong keys.",
  },
  "authentication-abandoned": {
    meaning: "The client disconnected while its key waited for a slow check. The check was not run.",
    retryable: true,
    remedy: "Nothing, for single cases. Otherwise raise the client's connect time-out.",
  },
  "no-room": {
    meaning: "The stream is so full that no further client may connect.",
    retryable: true,
    remedy: "Find in `tidegate status` why the consumer does not file, or make room in the stream.",
  },
} as const satisfies Record<string, RefusalMeaning>;

export type RefusalCode = keyof typeof refusals;

/**
 * `limit` and `actual` have the unit of the setting that is the limit. `bound` names the setting if the code
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
  const { meaning: reason, retryable } = refusals[code];
  return { code, reason, retryable, fields };
}
