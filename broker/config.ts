import { type Static, Type } from "@sinclair/typebox";

/** What Aedes' matchers can take. */
const FILTER_LEVELS_MAX = 100;

const count = (defaultValue: number, maximum: number, description: string) =>
  Type.Integer({ default: defaultValue, minimum: 1, maximum, description });
const bytes = (defaultValue: number, maximum: number, description: string) =>
  Type.Integer({ default: defaultValue, minimum: 128, maximum, unit: "bytes", description });
const milliseconds = (defaultValue: number, maximum: number, description: string) =>
  Type.Integer({ default: defaultValue, minimum: 1, maximum, unit: "ms", description });

export const brokerConfigSchema = Type.Object({
  host: Type.String({ default: "127.0.0.1", minLength: 1, description: "Address that MQTT listens on" }),
  port: Type.Integer({
    default: 1883,
    minimum: 0,
    maximum: 65_535,
    description: "Port that MQTT listens on; 0 lets the system choose",
  }),
  anonymous: Type.Boolean({
    default: true,
    description:
      "Lets clients without user name connect, on a loopback address only; off loopback every client needs a device key",
  }),
  maxConnections: count(
    100_000,
    10_000_000,
    "Connections at the same time; more are closed when they arrive",
  ),
  acceptPerSecond: count(5_000, 1_000_000, "New connections per second; more are closed when they arrive"),
  connectTimeoutMs: milliseconds(
    10_000,
    120_000,
    "A connection without a complete CONNECT after this is closed",
  ),
  authenticationTimeoutMs: milliseconds(5_000, 60_000, "Longest check of a user name and secret"),
  authenticationsMax: count(64, 10_000, "Checks of user names and secrets at the same time"),
  authenticationsWaitingMax: count(
    10_000,
    1_000_000,
    "Checks that may wait; more are told to come back later",
  ),
  slowChecksMax: count(
    2,
    64,
    "Checks of passwords and wrong secrets at the same time, within authenticationsMax; each takes a core for about 40 ms",
  ),
  slowChecksWaitingMax: count(
    256,
    100_000,
    "Checks of passwords and wrong secrets that may wait; more are told to come back later",
  ),
  slowChecksPerAddressMax: count(
    32,
    100_000,
    "Checks of passwords and wrong secrets of one address (IPv6: of one /64), running and waiting; more are told to come back later",
  ),
  connectPacketMaxBytes: bytes(8_192, 65_536, "Largest CONNECT, by the length that it declares"),
  packetMaxBytes: bytes(
    1_048_576,
    8_388_608,
    "Largest packet of any other kind, by the length that it declares; the largest topic payload fits with room for its name",
  ),
  subscribePacketMaxBytes: bytes(
    65_536,
    8_388_608,
    "Largest SUBSCRIBE and UNSUBSCRIBE, by the length that they declare",
  ),
  subscriptionsMax: count(1_000, 100_000, "Topic filters of one client; further ones get 0x80 in SUBACK"),
  filterMaxBytes: bytes(1_024, 65_535, "Longest topic filter of a client; a longer one gets 0x80 in SUBACK"),
  filterLevelsMax: count(
    32,
    FILTER_LEVELS_MAX,
    "Levels of a topic filter; one with more gets 0x80 in SUBACK",
  ),
  clientIdMaxBytes: bytes(256, 65_535, "Longest client id"),
  inFlightMax: count(1_024, 65_535, "Unacknowledged messages of one connection before it is read no further"),
  inFlightMaxBytes: bytes(
    1_048_576,
    268_435_456,
    "Payload bytes of these unacknowledged messages before the connection is read no further",
  ),
  holdMaxMs: milliseconds(
    35_000,
    600_000,
    "A message that is not durable after this closes its connection unacknowledged; half the keep alive where that is less",
  ),
  closesPerSecond: count(2_000, 1_000_000, "Pace at which connections are closed when the stream fails"),
  plainFilters: Type.Array(Type.String({ minLength: 1 }), {
    default: ["cmd/#"],
    description:
      "MQTT filters of ordinary publish/subscribe beside the topics, such as commands to devices; where filters overlap, the more specific one has the names, and the topic if neither is",
  }),
  plainPublishers: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    description: "Identities (names, or prefixes ending in *) that may publish on plainFilters",
  }),
  subscriberMaxBytes: bytes(
    4_194_304,
    1_073_741_824,
    "Unsent bytes at which a subscriber that does not read is cut",
  ),
  drainTimeoutMs: milliseconds(5_000, 120_000, "A subscriber that reads nothing for this long is cut"),
  sessionQueueMax: count(
    1_000,
    1_000_000,
    "Messages kept for one persistent session; more are dropped and counted",
  ),
  sessionsQueueMaxBytes: bytes(67_108_864, 4_294_967_296, "Payload bytes kept for all persistent sessions"),
  stopTimeoutMs: milliseconds(
    10_000,
    120_000,
    "How long a stopping broker waits for held messages to settle",
  ),
});

type Settings = Static<typeof brokerConfigSchema>;

export type BrokerConfig = {
  readonly [Name in keyof Settings]: Settings[Name] extends (infer Item)[] ? readonly Item[] : Settings[Name];
};
