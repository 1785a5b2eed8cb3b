import type { RefusalCode, RefusalMeaning } from "../ingest/index.ts";

/**
 * Why MQTT refuses a packet or a connection, beside the refusals of the ingest core. MQTT 3.1.1 has no reason
 * in an answer to PUBLISH: the connection is closed.
 */
export const mqttRefusals = {
  unreleased: { means: "Too many QoS 2 messages without PUBREL.", retryable: true },
  "packet-too-large": { means: "The declared length is larger than packets may be.", retryable: false },
  malformed: { means: "Against the MQTT standard in another way.", retryable: false },
  "client-id-invalid": {
    means: "CONNECT: client id missing, too long, or with characters that are not allowed.",
    retryable: false,
  },
  "protocol-version": {
    means: "CONNECT: MQTT 5 or another version that is not spoken.",
    retryable: false,
  },
  "connect-timeout": { means: "No complete CONNECT in time.", retryable: true },
  "connection-limit": { means: "More connections, or faster, than configured.", retryable: true },
  "slow-subscriber": {
    means: "A client did not read what was sent to it, messages or acknowledgements.",
    retryable: true,
  },
  subscription: {
    means: "A subscription that the identity may not make (answered with SUBACK 0x80).",
    retryable: false,
  },
  "subscription-limit": {
    means:
      "More, longer or deeper filters than a client may have, or more sessions than are kept (answered with SUBACK 0x80).",
    retryable: false,
  },
} as const satisfies Record<string, RefusalMeaning>;

export type MqttRefusalCode = RefusalCode | keyof typeof mqttRefusals;
