import type { RefusalCode, RefusalMeaning } from "../ingest/index.ts";

/**
 * Why MQTT refuses a packet or a connection, in addition to the refusals of the ingest core. An answer to
 * PUBLISH in MQTT 3.1.1 has no reason: the connection is closed.
 */
export const mqttRefusals = {
  unreleased: {
    meaning: "Too many QoS 2 messages of the connection wait for PUBREL.",
    retryable: true,
    remedy: "Answer PUBREC with PUBREL: the client does not complete QoS 2.",
  },
  "packet-too-large": {
    meaning: "The packet declares more bytes than packets of its kind may have.",
    retryable: false,
    remedy:
      "Send less, or raise `mqtt.packetMaxBytes`, `mqtt.connectPacketMaxBytes` or `mqtt.subscribePacketMaxBytes`.",
  },
  malformed: {
    meaning: "The packet breaks the MQTT standard.",
    retryable: false,
    remedy: "Fix or replace the client. The log names the fault.",
  },
  "client-id-invalid": {
    meaning: "The client id is missing, too long, or holds characters that are not allowed.",
    retryable: false,
    remedy: "Correct the client id. `mqtt.clientIdMaxBytes` is its longest length.",
  },
  "protocol-version": {
    meaning: "The client speaks MQTT 5 or another version that the broker does not speak.",
    retryable: false,
    remedy: "Set the client to MQTT 3.1.1.",
  },
  "connect-timeout": {
    meaning: "No complete CONNECT came within `mqtt.connectTimeoutMs`.",
    retryable: true,
    remedy: "Check the network, or which other program connects to the port.",
  },
  "connection-limit": {
    meaning: "More connections, or faster, than `mqtt.maxConnections` and `mqtt.acceptPerSecond` allow.",
    retryable: true,
    remedy: "Raise the limit if the machine has room, or spread the reconnects of the fleet.",
  },
  "slow-subscriber": {
    meaning: "The client does not read messages or acknowledgements that are sent to it.",
    retryable: true,
    remedy: "Make the client read faster, or subscribe to less.",
  },
  subscription: {
    meaning: "The identity may not make this subscription.",
    retryable: false,
    remedy:
      "Name the identity in `--subscribers` of every topic that the filter can match. Below a plain filter such as `cmd/#`, an identity may subscribe to `cmd/NAME` only.",
  },
  "subscription-limit": {
    meaning:
      "The client has too many filters, or one that is too long or too deep. Or all clients together have too many filters or kept sessions.",
    retryable: false,
    remedy: "Subscribe to less, or raise the setting that `bound` in the log names.",
  },
} as const satisfies Record<string, RefusalMeaning>;

export type MqttRefusalCode = RefusalCode | keyof typeof mqttRefusals;

const closed = "connection closed, no acknowledgement";

/** What a client sees of each refusal by MQTT. */
export const mqttAnswers: Readonly<Record<string, string>> = {
  "unknown-topic": closed,
  "topic-name-invalid": closed,
  "not-authorized": closed,
  "device-mismatch": closed,
  "qos-not-allowed": closed,
  "payload-too-large": closed,
  "rate-exceeded": closed,
  unreleased: closed,
  "packet-too-large": closed,
  malformed: closed,
  "client-id-invalid": "CONNACK 2, then closed",
  "client-id-foreign": "CONNACK 2, then closed",
  "protocol-version": "CONNACK 1 (MQTT 5: 0x84), then closed",
  credentials: "CONNACK 5, then closed",
  "authentication-busy": "CONNACK 3, then closed",
  "authentication-abandoned": "none: the client has left",
  "no-room": "CONNACK 3, then closed",
  "connect-timeout": "connection closed",
  "connection-limit": "connection closed before CONNACK",
  "not-durable": closed,
  "slow-subscriber": "connection closed",
  subscription: "SUBACK 0x80",
  "subscription-limit": "SUBACK 0x80",
} satisfies Partial<Record<MqttRefusalCode, string>>;
