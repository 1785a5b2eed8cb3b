import { type Static, Type } from "@sinclair/typebox";
import { faultNames } from "./scenario/faults.ts";
import { mixNames } from "./scenario/mix.ts";

/**
 * Options of `simulate`. Each has a description, a default and an example. An option without a default is
 * required, or its text says what applies instead.
 */
export const simulateSchema = Type.Object(
  {
    devices: Type.Integer({
      minimum: 1,
      maximum: 10_000_000,
      default: 1000,
      examples: [10000],
      description: "devices in the fleet",
    }),
    connections: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 60_000,
        examples: [1000],
        description:
          "MQTT connections that the devices share (default: 100, or one for each device if there are fewer devices)",
      }),
    ),
    burst: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 1,
      examples: [10],
      description: "messages that one connection publishes back to back",
    }),
    rate: Type.Number({
      exclusiveMinimum: 0,
      maximum: 10_000_000,
      default: 1000,
      examples: [16700],
      description: "messages per second of the whole fleet",
    }),
    duration: Type.Number({
      exclusiveMinimum: 0,
      maximum: 31_536_000,
      default: 60,
      examples: [60],
      description: "seconds to publish",
    }),
    payloadBytes: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 100,
      examples: [100],
      description: "bytes of each payload: the whole JSON document, or the payload in the envelope",
    }),
    qos: Type.Integer({
      minimum: 0,
      maximum: 2,
      default: 1,
      examples: [1],
      description: "quality of service: 0, 1 or 2",
    }),
    seed: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 4_294_967_295,
        examples: [1],
        description: "seed of devices, times, readings and faults (default: a random one, printed)",
      }),
    ),
    ledger: Type.String({
      minLength: 1,
      examples: ["ledger"],
      description: "folder for the ledger of every message sent, acknowledged and given up",
    }),
    append: Type.Boolean({
      default: false,
      description: "add this run to a ledger folder that holds others",
    }),
    mqtt: Type.String({
      default: "mqtt://127.0.0.1:1883",
      examples: ["mqtt://127.0.0.1:1883"],
      description:
        "address of the gateway; several with commas between them: a connection that ends is opened again at the next address",
    }),
    topic: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ["fleet/{device}/telemetry"],
        description:
          "topic filter to publish on; {device} is the device (default: fleet/{device}/telemetry; with --format envelope: fleet/{device}/envelope)",
      }),
    ),
    format: Type.Union([Type.Literal("json"), Type.Literal("envelope")], {
      default: "json",
      examples: ["json"],
      description: "json or envelope, the same as the topic's format",
    }),
    username: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ["gateway-1"],
        description: "one edge identity for all connections (default: anonymous)",
      }),
    ),
    passwordFile: Type.Optional(
      Type.String({ minLength: 1, examples: ["key.txt"], description: "file that holds the identity's key" }),
    ),
    faults: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ["disconnect,poison=0.01"],
        description: `intentional faults, with shares: ${faultNames.join(", ")}, or all (see below)`,
      }),
    ),
    mix: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ["qos2,typed=0.5"],
        description: `other kinds of messages and connections, with shares: ${mixNames.join(", ")}, or all (see below)`,
      }),
    ),
    api: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ["http://127.0.0.1:8080"],
        description: "the gateway's HTTP API, for creating missing topics that the mix needs",
      }),
    ),
    tokenFile: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ["data/api-token"],
        description: "file that holds the token of the HTTP API",
      }),
    ),
    topicWindow: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 604_800,
        examples: [3600],
        description: "dedupe window, in seconds, of created topics (default: the gateway's)",
      }),
    ),
    window: Type.Integer({
      minimum: 1,
      maximum: 65_535,
      default: 20,
      examples: [20],
      description: "unacknowledged messages of one connection",
    }),
    connectRate: Type.Number({
      exclusiveMinimum: 0,
      maximum: 100_000,
      default: 1000,
      examples: [1000],
      description: "new connections per second",
    }),
    connectWait: Type.Number({
      minimum: 0,
      maximum: 86_400,
      default: 30,
      examples: [30],
      description: "seconds to wait for the first connection",
    }),
    ackTimeout: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 45,
      examples: [45],
      description: "seconds without an acknowledgement after which a connection is opened again",
    }),
    drain: Type.Number({
      minimum: 0,
      maximum: 86_400,
      default: 90,
      examples: [90],
      description: "seconds to wait for acknowledgements after the last message was due",
    }),
    json: Type.Boolean({ default: false, description: "print one JSON object as the last line" }),
  },
  { additionalProperties: false },
);

export type SimulateConfig = Static<typeof simulateSchema>;

/** Options of `audit`. */
export const auditSchema = Type.Object(
  {
    ledger: Type.String({
      minLength: 1,
      examples: ["ledger"],
      description: "folder that was given to simulate --ledger",
    }),
    lake: Type.String({
      minLength: 1,
      examples: ["file:data/lake"],
      description: "place of the tables: file:DIR or s3://BUCKET/PREFIX",
    }),
    wait: Type.Number({
      minimum: 0,
      maximum: 86_400,
      default: 120,
      examples: [120],
      description: "seconds to wait for acknowledged messages to be filed",
    }),
    settle: Type.Number({
      minimum: 0,
      maximum: 3600,
      default: 6,
      examples: [6],
      description: "seconds without a new file after which no late second copy is expected",
    }),
    json: Type.Boolean({ default: false, description: "print one JSON object as the last line" }),
  },
  { additionalProperties: false },
);

export type AuditConfig = Static<typeof auditSchema>;
