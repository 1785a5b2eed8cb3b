import { Type } from "@sinclair/typebox";

const mib = 1024 ** 2;
const gib = 1024 ** 3;

const redisPassword = (section: string) => ({
  password: Type.Optional(
    Type.String({
      minLength: 1,
      secret: true,
      expected: "a password",
      description: `Password of the Redis in ${section}.url, so that the URL need not hold it`,
    }),
  ),
  passwordFile: Type.Optional(
    Type.String({
      minLength: 1,
      expected: "a file",
      description: `File whose first line is the password of the Redis in ${section}.url`,
    }),
  ),
});

/** The gateway's own settings. */
export const gatewayConfigSchema = Type.Object({
  data: Type.String({
    default: "./data",
    minLength: 1,
    expected: "a folder",
    description: "Folder that holds everything: registry, embedded stream, lake, API token",
  }),
  http: Type.Object({
    host: Type.String({
      default: "127.0.0.1",
      minLength: 1,
      expected: "a host name or address",
      description: "Address of the HTTP API",
    }),
    port: Type.Integer({
      default: 8080,
      minimum: 0,
      maximum: 65_535,
      description: "Port of the HTTP API; 0 lets the system choose",
    }),
    allowRemote: Type.Boolean({
      default: false,
      description:
        "Allows the HTTP API to listen on addresses other than loopback; the API speaks plain HTTP, so put a TLS proxy in front",
    }),
    bodyMaxBytes: Type.Integer({
      default: 1_048_576,
      minimum: 1_024,
      maximum: 16_777_216,
      unit: "bytes",
      description: "Largest request body",
    }),
  }),
  roles: Type.Array(Type.Union([Type.Literal("broker"), Type.Literal("consumer")]), {
    default: ["broker", "consumer"],
    minItems: 1,
    uniqueItems: true,
    expected: 'a list of "broker" and "consumer"',
    description:
      "Processes of this gateway: broker = MQTT to stream, consumer = stream to lake; with a stream on Redis they may run on different machines",
  }),
  upkeep: Type.Object({
    enabled: Type.Boolean({
      default: true,
      description:
        "Runs the process upkeep on a gateway with the role consumer: vacuum of the lake. If gateways share a lake, one of those that run it works; at least one must run it",
    }),
  }),
  stream: Type.Object({
    url: Type.String({
      description: "The stream between broker and consumer; on Redis it also holds topics and identities",
    }),
    ...redisPassword("stream"),
  }),
  window: Type.Object({
    url: Type.Optional(
      Type.String({
        description: "The dedupe window; default: the stream's Redis, or memory: for an embedded stream",
      }),
    ),
    ...redisPassword("window"),
    maxBytes: Type.Integer({
      default: 512 * mib,
      minimum: mib,
      maximum: 16 * gib,
      unit: "bytes",
      description:
        "Memory for message ids; if the ids do not fit, the oldest are forgotten and `status` says so",
    }),
  }),
  lake: Type.Object({
    url: Type.Optional(
      Type.String({
        description:
          "Place of the tables and the commit log; default: the folder `lake` of the data folder. S3 accepts ?endpoint=URL, &region=NAME and &pathStyle=true",
      }),
    ),
  }),
  topics: Type.Object({
    demo: Type.Boolean({
      default: true,
      description:
        "Creates the topics `telemetry` and `telemetry_envelope` when an empty gateway starts for the first time",
    }),
  }),
  log: Type.Object({
    level: Type.Union(
      [
        Type.Literal("trace"),
        Type.Literal("debug"),
        Type.Literal("info"),
        Type.Literal("warn"),
        Type.Literal("error"),
        Type.Literal("fatal"),
        Type.Literal("silent"),
      ],
      { default: "info", description: "Lowest level of the events that are logged to stderr" },
    ),
    format: Type.Union([Type.Literal("auto"), Type.Literal("json"), Type.Literal("text")], {
      default: "auto",
      description: "json = one object per line, text = for people, auto = text on a terminal, otherwise json",
    }),
  }),
  supervision: Type.Object({
    silenceMs: Type.Integer({
      default: 30_000,
      minimum: 1_000,
      maximum: 3_600_000,
      unit: "ms",
      description: "A process that hangs for this time is killed and restarted; the log holds its stack",
    }),
    stuckMs: Type.Integer({
      default: 300_000,
      minimum: 1_000,
      maximum: 86_400_000,
      unit: "ms",
      description:
        "A consumer or an upkeep that answers but makes no progress for this time is restarted; must be longer than any call to stream, window or lake may take",
    }),
  }),
  readiness: Type.Object({
    stuckAfterMs: Type.Integer({
      default: 60_000,
      minimum: 1_000,
      maximum: 86_400_000,
      unit: "ms",
      description:
        "Work that waits for this time without progress is stuck: `status`, `/readyz` and the metrics then report the gateway as degraded",
    }),
  }),
  shutdown: Type.Object({
    timeoutMs: Type.Integer({
      default: 25_000,
      minimum: 100,
      maximum: 600_000,
      unit: "ms",
      description:
        "Time in which a stopping gateway files the messages in the stream; messages that are left are filed after the next start",
    }),
  }),
});
