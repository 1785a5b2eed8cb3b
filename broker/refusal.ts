/** What a refusal means, what the client sees of it, and what its owner does about it. */
interface RefusalEntry {
  readonly meaning: string;
  readonly answer: string;
  readonly remedy: string;
}

const closed = "connection closed, no acknowledgement";

/**
 * Why the broker refuses a packet or a connection, without looking into any payload. MQTT 3.1.1 has no reason in an answer to PUBLISH:
 * the connection is closed. Each reason is a label of `tidegate_broker_refused_total`. docs/reference/errors.md is made from these entries.
 */
export const refusals = {
  "unknown-topic": {
    meaning: "No topic's filter matches the topic name.",
    answer: closed,
    remedy: "Create a topic with `tidegate topics create`, or correct the name on the device.",
  },
  "topic-name-invalid": {
    meaning: "The topic name is empty, deeper than 100 levels, or holds a wildcard, U+0000 or broken UTF-8.",
    answer: closed,
    remedy: "Correct the topic name on the device.",
  },
  "not-authorized": {
    meaning: "The identity may not publish on this topic name.",
    answer: closed,
    remedy: "Let it publish: `--publishers` of the topic, `--prefix` of an edge, or `mqtt.plainPublishers`.",
  },
  "device-mismatch": {
    meaning: "The `{device}` level of the topic name is not the device's own name.",
    answer: closed,
    remedy: "Publish under the device's own name, or use an identity with `--role edge`.",
  },
  "qos-not-allowed": {
    meaning: "The topic does not allow this quality of service.",
    answer: closed,
    remedy: "Publish with an allowed QoS, or change `--qos` of the topic.",
  },
  "payload-too-large": {
    meaning: "The payload is larger than the topic allows.",
    answer: closed,
    remedy: "Send less, or raise `--max-payload-bytes` of the topic.",
  },
  "rate-exceeded": {
    meaning: "The connection sends more messages per second than the topic allows.",
    answer: closed,
    remedy: "Slow the device down, or raise `--rate` of the topic.",
  },
  unreleased: {
    meaning: "Too many QoS 2 messages of the connection wait for PUBREL.",
    answer: closed,
    remedy: "Answer PUBREC with PUBREL: the client does not complete QoS 2.",
  },
  "packet-too-large": {
    meaning: "The packet declares more bytes than packets of its kind may have.",
    answer: closed,
    remedy:
      "Send less, or raise `mqtt.packetMaxBytes`, `mqtt.connectPacketMaxBytes` or `mqtt.subscribePacketMaxBytes`.",
  },
  malformed: {
    meaning: "The packet breaks the MQTT standard.",
    answer: closed,
    remedy: "Mend or replace the client. The log names the fault.",
  },
  "client-id-invalid": {
    meaning: "The client id is missing, too long, or holds characters that are not allowed.",
    answer: "CONNACK 2, then closed",
    remedy: "Correct the client id. `mqtt.clientIdMaxBytes` is its longest length.",
  },
  "client-id-foreign": {
    meaning: "The client id belongs to another identity.",
    answer: "CONNACK 2, then closed",
    remedy: "Connect with a client id of the identity's own.",
  },
  "protocol-version": {
    meaning: "The client speaks MQTT 5 or another version that the broker does not speak.",
    answer: "CONNACK 1 (MQTT 5: 0x84), then closed",
    remedy: "Set the client to MQTT 3.1.1.",
  },
  credentials: {
    meaning: "The user name or the key is missing or wrong.",
    answer: "CONNACK 5, then closed",
    remedy: "Give the device its key. `tidegate devices list` shows the identities.",
  },
  "authentication-busy": {
    meaning: "Checking the key took too long, or too many checks wait.",
    answer: "CONNACK 3, then closed",
    remedy: "Nothing: the client may come back later. If it lasts, see which address sends wrong keys.",
  },
  "authentication-abandoned": {
    meaning: "The client hung up while its key waited for a slow check. The check was not run.",
    answer: "none: the client has gone",
    remedy: "Nothing, for single cases. Otherwise lengthen the client's time to connect.",
  },
  "no-room": {
    meaning: "The stream is so full that no further client is let in.",
    answer: "CONNACK 3, then closed",
    remedy: "See in `tidegate status` why the consumer does not file; make room in the stream.",
  },
  "connect-timeout": {
    meaning: "No complete CONNECT came within `mqtt.connectTimeoutMs`.",
    answer: "connection closed",
    remedy: "Check the network, or what else connects to the port.",
  },
  "connection-limit": {
    meaning: "More connections, or faster, than `mqtt.maxConnections` and `mqtt.acceptPerSecond` allow.",
    answer: "connection closed before CONNACK",
    remedy: "Raise the limit if the machine has room, or spread the reconnects of the fleet.",
  },
  "not-durable": {
    meaning: "The stream did not store a message within `mqtt.holdMaxMs` or `producer.deadlineMs`.",
    answer: closed,
    remedy: "Bring the stream back: `/readyz` names the reason. Devices resend by themselves.",
  },
  "slow-subscriber": {
    meaning: "The client does not read what is sent to it: messages or acknowledgements.",
    answer: "connection closed",
    remedy: "Let the client read faster, or subscribe to less.",
  },
  subscription: {
    meaning: "The identity may not make this subscription.",
    answer: "SUBACK 0x80",
    remedy:
      "Name it in `--subscribers` of every topic that the filter can match. Below a plain filter such as `cmd/#` it may hear `cmd/NAME` only.",
  },
  "subscription-limit": {
    meaning:
      "The client has too many filters, or one that is too long or too deep, or too many sessions are kept.",
    answer: "SUBACK 0x80",
    remedy: "Subscribe to less, or raise the setting that `bound` in the log names.",
  },
} as const satisfies Record<string, RefusalEntry>;

export type RefusalReason = keyof typeof refusals;

export const refusalReasons = Object.keys(refusals) as readonly RefusalReason[];
