import { Type } from "@sinclair/typebox";

/**
 * Every limit of a client, in one file: the settings with their defaults, then the fixed limits. `config.ts`
 * puts the settings into the section `[mqtt]`. Limits of a topic (payload, QoS, rate) belong to the topic:
 * `ingest/topic-registry.ts`.
 */

const count = (defaultValue: number, maximum: number, description: string) =>
  Type.Integer({ default: defaultValue, minimum: 1, maximum, description });
const bytes = (defaultValue: number, maximum: number, description: string) =>
  Type.Integer({ default: defaultValue, minimum: 128, maximum, unit: "bytes", description });
const milliseconds = (defaultValue: number, maximum: number, description: string) =>
  Type.Integer({ default: defaultValue, minimum: 1, maximum, unit: "ms", description });

/** The largest name that the matchers of Aedes and of topics can handle. */
export const topicLevelsMax = 100;

/** Limits of connections: how many, how fast, and how long they may take to identify themselves. */
export const connectionLimits = {
  maxConnections: count(
    100_000,
    10_000_000,
    "Connections at the same time; more are closed when they arrive",
  ),
  acceptPerSecond: count(5_000, 1_000_000, "New connections per second; more are closed when they arrive"),
  connectTimeoutMs: milliseconds(
    10_000,
    120_000,
    "A connection without a complete CONNECT after this time is closed",
  ),
  authenticationTimeoutMs: milliseconds(5_000, 60_000, "Longest time for checking a user name and secret"),
  authenticationsMax: count(64, 10_000, "Checks of user names and secrets at the same time"),
  authenticationsWaitingMax: count(
    10_000,
    1_000_000,
    "Checks that may wait; further clients are told to retry later",
  ),
  slowChecksMax: count(
    2,
    64,
    "Checks of passwords and wrong secrets at the same time, within authenticationsMax; each takes about 40 ms of a core, on a thread of low priority",
  ),
  slowChecksWaitingMax: count(
    256,
    100_000,
    "Checks of passwords and wrong secrets that may wait; further clients are told to retry later",
  ),
  slowChecksPerAddressMax: count(
    32,
    100_000,
    "Checks of passwords and wrong secrets of one address (IPv6: one /64), running and waiting; further clients are told to retry later",
  ),
};

/** Limits of packets, names and filters. */
export const packetLimits = {
  connectPacketMaxBytes: bytes(8_192, 65_536, "Largest CONNECT, by its declared length"),
  packetMaxBytes: bytes(
    1_048_576,
    8_388_608,
    "Largest packet of any other kind, by its declared length; the largest topic payload fits with its topic name",
  ),
  subscribePacketMaxBytes: bytes(
    65_536,
    8_388_608,
    "Largest SUBSCRIBE and UNSUBSCRIBE, by their declared length",
  ),
  subscriptionsMax: count(1_000, 100_000, "Topic filters of one client; further ones get 0x80 in SUBACK"),
  subscriptionsOfAllMax: count(
    250_000,
    100_000_000,
    "Topic filters of all clients and kept sessions together, each about 2 KB of memory; further ones get 0x80 in SUBACK",
  ),
  filterMaxBytes: bytes(1_024, 65_535, "Longest topic filter of a client; a longer one gets 0x80 in SUBACK"),
  filterLevelsMax: count(32, topicLevelsMax, "Levels of a topic filter; one with more gets 0x80 in SUBACK"),
  clientIdMaxBytes: bytes(256, 65_535, "Longest client id"),
};

/** Limits of messages between their arrival and their acknowledgement. */
export const publishLimits = {
  inFlightMax: count(
    1_024,
    65_535,
    "Unacknowledged messages of one connection; at this number, the broker stops reading from it",
  ),
  inFlightMaxBytes: bytes(
    1_048_576,
    268_435_456,
    "Payload bytes of these unacknowledged messages; at this number, the broker stops reading from the connection",
  ),
  holdMaxMs: milliseconds(
    35_000,
    600_000,
    "A message that is not durable after this time closes its connection unacknowledged; half the keep alive if that is less",
  ),
  closesPerSecond: count(2_000, 1_000_000, "Pace at which connections are closed when the stream fails"),
};

/** Limits of data that is sent to a client, or kept for it. */
export const deliveryLimits = {
  subscriberMaxBytes: bytes(
    4_194_304,
    1_073_741_824,
    "Unsent bytes at which a subscriber that does not read is disconnected",
  ),
  drainTimeoutMs: milliseconds(
    5_000,
    120_000,
    "A subscriber that reads nothing for this long is disconnected",
  ),
  sessionQueueMax: count(
    1_000,
    1_000_000,
    "Messages kept for one persistent session; more are dropped and counted",
  ),
  sessionsQueueMaxBytes: bytes(67_108_864, 4_294_967_296, "Payload bytes kept for all persistent sessions"),
};

/**
 * Verdicts that a session remembers by topic name. A device publishes on a few names; a field gateway's names
 * are judged each time.
 */
export const rememberedNamesMax = 32;
/**
 * QoS 2 messages of a session between PUBLISH and PUBREL. A client that never sends PUBREL would accumulate
 * them.
 */
export const unreleasedMax = 8_192;
/**
 * Acknowledgements and messages that wait in the socket because the client does not read. Above this limit,
 * the broker does not read from the client.
 */
export const unreadMaxBytes = 65_536;
/** Data of one connection that is read before it can be handled. */
export const readAheadBytes = 16_384;
/** Topic names with a retained message; only plain publish/subscribe has them. */
export const retainedMax = 10_000;
