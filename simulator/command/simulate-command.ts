import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import type { SimulateConfig } from "../config.ts";
import { SimulatorError } from "../errors.ts";
import type { GatewayAddress } from "../fleet/connection.ts";
import { remainingLengthMax } from "../fleet/mqtt-packets.ts";
import { type FaultShares, parseFaults } from "../scenario/faults.ts";
import { jsonDocumentMinBytes } from "../scenario/json-document.ts";
import { MessageNames, namesDevice } from "../scenario/message-names.ts";
import { type MixShares, parseMix } from "../scenario/mix.ts";
import { messagesMax, type Qos, type Scenario, totalMessages } from "../scenario/scenario.ts";
import { newRunId, type SimulateOptions } from "../simulate.ts";
import type { TopicApiAddress } from "../topics/topic-api.ts";

const defaultFilters = { json: "fleet/{device}/telemetry", envelope: "fleet/{device}/envelope" } as const;
const connectionsDefault = 100;

/** Checks the options as a whole. Throws SIMULATE_USAGE with every fault. */
export function simulateOptions(config: SimulateConfig): SimulateOptions {
  const faults: string[] = [];
  const gateways = config.mqtt.split(",").map((url) => parseMqttUrl(url.trim(), faults));
  const scenario = scenarioOf(config, faults);
  checkFleet(config, scenario, faults);
  checkMix(scenario, faults);
  const password = readPassword(config, faults);
  const api = readApi(config, scenario, faults);
  if (faults.length > 0) throw new SimulatorError("SIMULATE_USAGE", faults.join("\n"), { retryable: false });
  return {
    scenario,
    ledgerFolder: config.ledger,
    append: config.append,
    gateways,
    ...(config.username === undefined ? {} : { username: config.username }),
    ...(password === undefined ? {} : { password }),
    ...(api === undefined ? {} : { api }),
    ...(config.topicWindow === undefined ? {} : { topicWindowMs: config.topicWindow * 1000 }),
    window: config.window,
    connectRate: config.connectRate,
    connectWaitMs: config.connectWait * 1000,
    ackTimeoutMs: config.ackTimeout * 1000,
    drainMs: config.drain * 1000,
  };
}

function scenarioOf(config: SimulateConfig, faults: string[]): Scenario {
  return {
    runId: newRunId(),
    seed: config.seed ?? randomInt(2 ** 32),
    devices: config.devices,
    connections: config.connections ?? Math.min(config.devices, connectionsDefault),
    burst: config.burst,
    rate: config.rate,
    durationS: config.duration,
    payloadBytes: config.payloadBytes,
    qos: config.qos as Qos,
    format: config.format,
    filter: config.topic ?? defaultFilters[config.format],
    faults: readShares("--faults", { list: config.faults, parse: parseFaults, faults }),
    mix: readShares("--mix", { list: config.mix, parse: parseMix, faults }),
  };
}

function readShares<Shares extends FaultShares | MixShares>(
  flag: string,
  {
    list,
    parse,
    faults,
  }: { list: string | undefined; parse: (text: string) => Shares | string; faults: string[] },
): Shares {
  const shares = list === undefined ? "" : parse(list);
  if (typeof shares !== "string") return shares;
  if (list !== undefined) faults.push(`${flag} ${list}: ${shares}`);
  return {} as Shares;
}

function parseMqttUrl(text: string, faults: string[]): GatewayAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === "mqtt:" && url.hostname !== "" && url.pathname.length <= 1 && url.username === "")
    return { host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(url.port || 1883) };
  faults.push(
    `--mqtt ${text}: it must be mqtt://HOST:PORT, for example mqtt://127.0.0.1:1883 (give credentials with --username and --password-file)`,
  );
  return { host: "", port: 0 };
}

function checkFleet(config: SimulateConfig, scenario: Scenario, faults: string[]): void {
  const { devices, connections, burst, filter } = scenario;
  if (connections > devices)
    faults.push(
      `--connections ${connections}: more than --devices ${devices}; use at most one connection for each device`,
    );
  else if ((connections - 1) * burst >= devices)
    faults.push(
      `--burst ${burst}: too much for ${connections} connections and --devices ${devices}; use at most --burst ${Math.max(1, Math.floor(devices / connections))}`,
    );
  if (totalMessages(scenario) > messagesMax)
    faults.push(
      `--rate ${scenario.rate} for --duration ${scenario.durationS} is more than ${messagesMax} messages: shorten the run`,
    );
  const names = topicNames(scenario, faults);
  if (!names) return;
  if (!namesDevice(filter)) checkNamelessFleet(config, scenario, faults);
  const minBytes = scenario.format === "json" ? jsonDocumentMinBytes(names.idBytes) : 1;
  if (scenario.payloadBytes < minBytes)
    faults.push(
      `--payload-bytes ${scenario.payloadBytes}: a JSON document with id and time needs at least ${minBytes} bytes in this run; use --payload-bytes ${minBytes} or more, or --format envelope`,
    );
  if (names.topicTemplate.length + scenario.payloadBytes + 1000 > remainingLengthMax)
    faults.push("the packets are longer than MQTT allows");
}

const visitRoles = ["big", "sleepy", "will"] as const;

function checkMix({ mix = {}, filter, format }: Scenario, faults: string[]): void {
  const { qos0 = 0, qos2 = 0, typed = 0, envelope = 0, raw = 0 } = mix;
  if (qos0 + qos2 > 1) faults.push("--mix: qos0 and qos2 together are more than all messages");
  if (typed + envelope + raw > 1)
    faults.push("--mix: typed, envelope and raw together are more than all messages");
  const visits = visitRoles.filter((role) => mix[role] !== undefined);
  if (visits.length > 0 && parsedAs(filter) === "nameless")
    faults.push(
      `--mix ${visits.join(",")}: such messages use connections of their own, so --topic must have a level {device}, as in fleet/{device}/telemetry`,
    );
  if (envelope > 0 && format === "envelope")
    faults.push("--mix envelope: all messages are envelopes already");
}

/** Another check reports a filter that cannot be parsed. */
function parsedAs(filter: string): "named" | "nameless" | "faulty" {
  try {
    return namesDevice(filter) ? "named" : "nameless";
  } catch {
    return "faulty";
  }
}

function readApi(
  config: SimulateConfig,
  { faults: shares }: Scenario,
  faults: string[],
): TopicApiAddress | undefined {
  const { api, tokenFile } = config;
  if ((api === undefined) !== (tokenFile === undefined))
    faults.push("--api and --token-file go together: give both, or neither if all topics exist");
  if (api === undefined) {
    if (shares.topics !== undefined)
      faults.push(
        "--faults topics: it needs --api and --token-file, for example --api http://127.0.0.1:8080 --token-file data/api-token",
      );
    return undefined;
  }
  const url = URL.canParse(api) ? new URL(api) : null;
  if (url?.protocol !== "http:" && url?.protocol !== "https:")
    faults.push(`--api ${api}: it must be http://HOST:PORT, for example http://127.0.0.1:8080`);
  const token = tokenFile === undefined ? undefined : readSecret("--token-file", tokenFile, faults);
  return token === undefined ? undefined : { url: api.replace(/\/+$/, ""), token };
}

function topicNames(scenario: Scenario, faults: string[]): MessageNames | null {
  try {
    return new MessageNames(scenario);
  } catch (error) {
    faults.push(
      `--topic: ${error instanceof Error ? error.message : String(error)}; for example --topic 'fleet/{device}/telemetry'`,
    );
    return null;
  }
}

/** If the topic name does not name the device, the connection's own identity must. */
function checkNamelessFleet(
  config: SimulateConfig,
  { devices, connections, filter }: Scenario,
  faults: string[],
): void {
  if (config.username !== undefined)
    faults.push(
      `--topic ${filter}: with --username all connections share one identity, so the filter must have a level {device}, as in fleet/{device}/telemetry`,
    );
  else if (connections < devices)
    faults.push(
      `--connections ${connections}: the filter ${filter} has no level {device}, so each device needs a connection of its own; use --connections ${devices}, or a filter such as fleet/{device}/telemetry`,
    );
}

function readPassword({ username, passwordFile }: SimulateConfig, faults: string[]): Uint8Array | undefined {
  if ((username === undefined) !== (passwordFile === undefined))
    faults.push("--username and --password-file go together: give both, or neither for the anonymous mode");
  if (passwordFile === undefined) return undefined;
  const password = readSecret("--password-file", passwordFile, faults);
  return password === undefined ? undefined : Buffer.from(password);
}

function readSecret(flag: string, file: string, faults: string[]): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    faults.push(
      `${flag} ${file}: it can't be read (${error instanceof Error ? error.message : String(error)})`,
    );
    return undefined;
  }
}
