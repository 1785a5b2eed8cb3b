import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { KindTarget } from "../../bridge/config.ts";
import { ProtocolError } from "../../devices/protocol/protocol-error.ts";
import { parseTopicFilter } from "../../devices/protocol/topic-filter.ts";
import { GatewayError } from "../errors.ts";
import { fileFault } from "../input/file-fault.ts";
import { folderLakeUrl, lakeKind, lakeKinds } from "../lakes/lake-kinds.ts";
import type { Settings } from "../settings/base-schema.ts";
import { commandFlags } from "../settings/command-flags.ts";
import type { Backends, GatewayConfig } from "../settings/gateway-config.ts";
import { deepFreeze, readSettings } from "../settings/read-settings.ts";
import { shownSetting } from "../settings/secrets.ts";
import { type Setting, settingsOf } from "../settings/settings-schema.ts";
import {
  type ConfigFault,
  readEnvironment,
  readFlags,
  readToml,
  type SourceReading,
} from "../settings/settings-sources.ts";
import { readBackends, settleDefaults } from "./backends.ts";
import { configSchema } from "./config-schema.ts";
import { lakeUrlOf, readLakeUrl } from "./service-urls.ts";

export type { GatewayConfig };

export interface LoadedConfig {
  readonly config: GatewayConfig;
  /** The source of each setting, by path. */
  readonly origins: ReadonlyMap<string, string>;
}

export interface ConfigSources {
  /** By setting path: the text and the name of the flag. */
  readonly flags: Readonly<Record<string, { readonly text: string; readonly flag: string }>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** TOML file; null = none. */
  readonly file: string | null;
}

/**
 * Flags win over the environment, the environment over the file, the file over the defaults. Throws
 * CONFIG_INVALID with all faults at once, in the message and as `details.faults`.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const known = settingsOf(configSchema);
  const reading = readSettings(configSchema, [
    readFlags(known, sources.flags),
    readEnvironment(known, sources.environment),
    ...(sources.file === null ? [] : [readFile(sources.file)]),
  ]);
  const faulty = new Set(reading.faults.map((fault) => fault.path));
  const given = reading.tree as Settings;
  const { backends, faults: backendFaults } = readBackends(given, faulty);
  const faults = [...reading.faults, ...meaningFaults(given, faulty), ...backendFaults];
  if (faults.length > 0 || !backends) throw configError(faults, reading.placeOf);
  const origins = new Map(reading.origins);
  const settings = settleDefaults(given, backends, origins);
  return { config: complete(settings, backends, { origins, file: sources.file }), origins };
}

export function configSettings(): Setting[] {
  return settingsOf(configSchema);
}

function readFile(file: string): SourceReading {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const mend = `name a file that can be read: ${fileFault(error)}`;
    const fault = { path: "--config", value: file, expected: "a TOML file", mend };
    return { values: new Map(), faults: [fault] };
  }
  return readToml(settingsOf(configSchema), text, file);
}

/** Faults of well-formed values, alone or together. Settings in `faulty` are skipped. */
function meaningFaults(settings: Settings, faulty: ReadonlySet<string>): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const lakeUrl = settings.lake?.url;
  if (lakeUrl !== undefined && !faulty.has("lake.url")) {
    const reading = readLakeUrl(lakeUrl);
    if ("mend" in reading) faults.push({ path: "lake.url", value: lakeUrl, ...reading });
  }
  faults.push(...lakeKinds.flatMap((kind) => kind.faults?.(settings) ?? []));
  if (!faulty.has("mqtt.plainFilters"))
    faults.push(...settings.mqtt.plainFilters.flatMap((filter) => plainFilterFault(filter)));
  if (!faulty.has("mqtt.host") && settings.mqtt.anonymous === true && !isLoopback(settings.mqtt.host))
    faults.push({
      path: "mqtt.host",
      value: settings.mqtt.host,
      expected: "a loopback address such as 127.0.0.1, because clients without a key may connect",
      mend: "set mqtt.anonymous = false as well (TIDEGATE_MQTT_ANONYMOUS) and give devices keys with `tidegate devices add`",
    });
  if (!faulty.has("http.host") && settings.http.allowRemote === false && !isLoopback(settings.http.host))
    faults.push({
      path: "http.host",
      value: settings.http.host,
      expected: "a loopback address such as 127.0.0.1",
      mend: "to make the API reachable, set http.allowRemote = true as well (TIDEGATE_HTTP_ALLOW_REMOTE), and put a TLS proxy in front",
    });
  return faults;
}

function plainFilterFault(filter: string): ConfigFault[] {
  try {
    parseTopicFilter(filter);
    return [];
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const expected = "MQTT filters such as cmd/#";
    return [{ path: "mqtt.plainFilters", value: filter, expected, mend: error.message }];
  }
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function complete(
  settings: Settings,
  backends: Backends,
  { origins, file }: { origins: ReadonlyMap<string, string>; file: string | null },
): GatewayConfig {
  const data = resolve(settings.data);
  const lakeTarget = lakeTargetOf(settings.lake?.url ?? folderLakeUrl(join(data, "lake")));
  const folders = {
    data,
    registry: join(data, "registry"),
    stream: join(data, "stream"),
    lake: lakeKind(lakeTarget).folderOf(lakeTarget),
    lakeFiles: join(data, "lake-files"),
  };
  const lakeUrl = lakeUrlOf(lakeTarget);
  const configFile = file === null ? null : resolve(file);
  const said = (path: string, value: string | undefined): string | null =>
    value === undefined || origins.get(path) === "default" || origins.get(path) === file ? null : value;
  const streamUrl = said("stream.url", settings.stream.url);
  const saidLake = said("lake.url", settings.lake?.url === undefined ? undefined : lakeUrl);
  const flags = commandFlags({ configFile, data, streamUrl, lakeUrl: saidLake });
  const lake = settings.lake ?? {};
  return deepFreeze({ ...settings, lake, backends, folders, lakeTarget, lakeUrl, configFile, flags });
}

function lakeTargetOf(url: string): KindTarget {
  const reading = readLakeUrl(url);
  if (!("target" in reading)) throw new TypeError(reading.mend);
  return reading.target;
}

function configError(found: readonly ConfigFault[], placeOf: (path: string) => string | null): GatewayError {
  const faults = found.map((fault) => {
    const place = fault.place ?? placeOf(fault.path);
    return { ...fault, value: shownSetting(fault.path, fault.value), ...(place === null ? {} : { place }) };
  });
  const lines = faults.map((fault) => `  ${faultLine(fault)}`);
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  return new GatewayError("CONFIG_INVALID", `The configuration has ${count}:\n${lines.join("\n")}`, {
    retryable: false,
    details: { faults },
  });
}

function faultLine(fault: ConfigFault): string {
  const given = fault.value === undefined ? "is missing" : `is ${JSON.stringify(fault.value)}`;
  const value = fault.state ?? given;
  const place = fault.place && !fault.mend.includes(fault.place) ? ` (${fault.place})` : "";
  return `${fault.path} ${value}${place}; expected ${fault.expected}; ${fault.mend}`;
}
