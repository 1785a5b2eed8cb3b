/**
 * Why the broker refuses a packet or a connection, without looking into any payload. MQTT 3.1.1 has no reason in an answer to PUBLISH:
 * the connection is closed. Each reason is a label of `tidegate_broker_refused_total`.
 */
export const refusalReasons = [
  /** No topic object's filter matches the topic name. */
  "unknown-topic",
  /** The topic name is empty, too deep, or holds a wildcard, U+0000 or broken UTF-8. */
  "topic-name-invalid",
  /** The identity may not publish here. */
  "not-authorized",
  /** The `{device}` level is not the device's own name. */
  "device-mismatch",
  /** The topic does not allow this QoS. */
  "qos-not-allowed",
  /** The payload is larger than the topic's limit. */
  "payload-too-large",
  /** More messages per second than the topic allows a connection. */
  "rate-exceeded",
  /** Too many QoS 2 messages without PUBREL. */
  "unreleased",
  /** The declared length is larger than packets may be. */
  "packet-too-large",
  /** Against the MQTT standard in another way. */
  "malformed",
  /** CONNECT: client id missing, too long, or with characters that are not allowed. */
  "client-id-invalid",
  /** CONNECT: the client id belongs to another identity. */
  "client-id-foreign",
  /** CONNECT: MQTT 5 or another version that is not spoken. */
  "protocol-version",
  /** CONNECT: no user name where one is needed, or a wrong one, or a wrong secret. */
  "credentials",
  /** CONNECT: the check took too long or too many wait. */
  "authentication-busy",
  /** CONNECT: the client hung up while its secret waited for a slow check, which was not run. */
  "authentication-abandoned",
  /** CONNECT: the sink is so full that nobody more is let in. */
  "no-room",
  /** No complete CONNECT in time. */
  "connect-timeout",
  /** More connections, or faster, than configured. */
  "connection-limit",
  /** A message was not durable in time. */
  "not-durable",
  /** A client did not read what was sent to it, messages or acknowledgements. */
  "slow-subscriber",
  /** A subscription that the identity may not make (answered with SUBACK 0x80). */
  "subscription",
  /** More, longer or deeper filters than a client may have, or more sessions than are kept (answered with SUBACK 0x80). */
  "subscription-limit",
] as const;

export type RefusalReason = (typeof refusalReasons)[number];
