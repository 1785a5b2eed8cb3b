import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { bridgeConfigSchemas } from "../bridge/index.ts";
import { brokerConfigSchema } from "../broker/index.ts";
import { GatewayError } from "./errors.ts";
import { deepFreeze, readSettings } from "./settings/read-settings.ts";
import { readLakeUrl, readStreamUrl, readWindowUrl } from "./settings/service-urls.ts";
import { type Setting, settingsOf } from "./settings/settings-schema.ts";
import {
  type ConfigFault,
  readEnvironment,
  readFlags,
  readToml,
  type SourceReading,
} from "./settings/settings-sources.ts";

const mib = 1024 ** 2;
const gib = 1024 ** 3;

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
        "Lets the HTTP API listen beyond loopback; it speaks plain HTTP, so put TLS in front of it",
    }),
    bodyMaxBytes: Type.Integer({
      default: 1_048_576,
      minimum: 1_024,
      maximum: 16_777_216,
      unit: "bytes",
      description: "Largest request body",
    }),
  }),
  stream: Type.Object({
    url: Type.String({
      default: "embedded:",
      expected: "embedded:",
      description: "The stream between broker and consumer",
    }),
  }),
  window: Type.Object({
    url: Type.String({ default: "memory:", expected: "memory:", description: "The dedupe window" }),
    maxBytes: Type.Integer({
      default: 512 * mib,
      minimum: mib,
      maximum: 16 * gib,
      unit: "bytes",
      description:
        "Memory for message ids; where it is too small the oldest are forgotten and `status` says so",
    }),
  }),
  lake: Type.Object({
    url: Type.Optional(
      Type.String({
        expected: "file:DIR",
        description: "The folder of tables and commit log; default: the folder `lake` of the data folder",
      }),
    ),
  }),
  topics: Type.Object({
    demo: Type.Boolean({
      default: true,
      description:
        "Creates the topics `telemetry` and `telemetry_envelope` at the first start of an empty gateway",
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
      { default: "info", description: "Least severe events that are logged to stderr" },
    ),
    format: Type.Union([Type.Literal("auto"), Type.Literal("json"), Type.Literal("text")], {
      default: "auto",
      description: "json = one object a line, text = for people, auto = text on a terminal",
    }),
  }),
  shutdown: Type.Object({
    timeoutMs: Type.Integer({
      default: 25_000,
      minimum: 100,
      maximum: 600_000,
      unit: "ms",
      description:
        "How long a stopping gateway drains the stream into the lake before it gives up (nothing is lost)",
    }),
  }),
});

const configSchema = Type.Object({
  ...gatewayConfigSchema.properties,
  ...bridgeConfigSchemas,
  stream: Type.Object({
    ...gatewayConfigSchema.properties.stream.properties,
    ...bridgeConfigSchemas.stream.properties,
  }),
  mqtt: brokerConfigSchema,
});

type DeepReadonly<Tree> = Tree extends object
  ? { readonly [Key in keyof Tree]: DeepReadonly<Tree[Key]> }
  : Tree;

export type Settings = DeepReadonly<Static<typeof configSchema>>;

/** The whole configuration, checked and frozen. */
export interface GatewayConfig extends Settings {
  /** Absolute paths of what the data folder holds. */
  readonly folders: {
    readonly data: string;
    readonly registry: string;
    readonly stream: string;
    readonly lake: string;
  };
}

export interface LoadedConfig {
  readonly config: GatewayConfig;
  /** Where each setting was said, by path. */
  readonly origins: ReadonlyMap<string, string>;
}

export interface ConfigSources {
  /** By setting path: the text and the flag that said it. */
  readonly flags: Readonly<Record<string, { readonly text: string; readonly flag: string }>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** TOML file; null = none. */
  readonly file: string | null;
}

/**
 * Flags win over the environment, the environment over the file, the file over the defaults.
 * Throws CONFIG_INVALID with every fault at once, in the message and as `details.faults`.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const settings = settingsOf(configSchema);
  const reading = readSettings(configSchema, [
    readFlags(settings, sources.flags),
    readEnvironment(settings, sources.environment),
    ...(sources.file === null ? [] : [readFile(sources.file)]),
  ]);
  const faulty = new Set(reading.faults.map((fault) => fault.path));
  const meaning = meaningFaults(reading.tree as Settings, faulty);
  const faults = [...reading.faults, ...meaning];
  if (faults.length > 0) throw configError(faults);
  return { config: complete(reading.tree as Settings), origins: reading.origins };
}

export function configSettings(): Setting[] {
  return settingsOf(configSchema);
}

function readFile(file: string): SourceReading {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const fault = {
      path: "--config",
      value: file,
      expected: "a TOML file",
      mend: `name one that is there: ${reason}`,
    };
    return { values: new Map(), faults: [fault] };
  }
  return readToml(settingsOf(configSchema), text, file);
}

/** Faults of values that are well-formed by themselves; settings that have a fault already are left alone. */
function meaningFaults(settings: Settings, faulty: ReadonlySet<string>): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const check = (path: string, value: string, reading: object): void => {
    if (faulty.has(path) || !("mend" in reading)) return;
    const { expected, mend } = reading as { expected: string; mend: string };
    faults.push({ path, value, expected, mend });
  };
  check("stream.url", settings.stream.url, readStreamUrl(settings.stream.url));
  check("window.url", settings.window.url, readWindowUrl(settings.window.url));
  if (settings.lake?.url !== undefined) check("lake.url", settings.lake.url, readLakeUrl(settings.lake.url));
  if (!faulty.has("mqtt.host") && settings.mqtt.anonymous === true && !isLoopback(settings.mqtt.host))
    faults.push({
      path: "mqtt.host",
      value: settings.mqtt.host,
      expected: "a loopback address such as 127.0.0.1, as long as clients without a key may connect",
      mend: "set mqtt.anonymous = false as well (TIDEGATE_MQTT_ANONYMOUS) and give devices keys with `tidegate devices add`",
    });
  if (!faulty.has("http.host") && settings.http.allowRemote === false && !isLoopback(settings.http.host))
    faults.push({
      path: "http.host",
      value: settings.http.host,
      expected: "a loopback address such as 127.0.0.1",
      mend: "set http.allowRemote = true as well (TIDEGATE_HTTP_ALLOW_REMOTE), with TLS in front, if it really shall be reachable",
    });
  return faults;
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function complete(settings: Settings): GatewayConfig {
  const data = resolve(settings.data);
  const lake = settings.lake?.url === undefined ? join(data, "lake") : lakeFolder(settings.lake.url);
  const folders = { data, registry: join(data, "registry"), stream: join(data, "stream"), lake };
  return deepFreeze({ ...settings, lake: settings.lake ?? {}, folders });
}

function lakeFolder(url: string): string {
  const reading = readLakeUrl(url);
  if (!("target" in reading)) throw new TypeError(reading.mend);
  return reading.target.folder;
}

function configError(faults: readonly ConfigFault[]): GatewayError {
  const lines = faults.map((fault) => `  ${faultLine(fault)}`);
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  return new GatewayError("CONFIG_INVALID", `The configuration has ${count}:\n${lines.join("\n")}`, {
    retryable: false,
    details: { faults },
  });
}

function faultLine(fault: ConfigFault): string {
  const value = fault.value === undefined ? "is missing" : `is ${JSON.stringify(fault.value)}`;
  return `${fault.path} ${value}; expected ${fault.expected}; ${fault.mend}`;
}
