import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import type { SimulateConfig } from "../config.ts";
import { SimulatorError } from "../errors.ts";
import type { GatewayAddress } from "../fleet/connection.ts";
import { remainingLengthMax } from "../fleet/mqtt-packets.ts";
import { type FaultShares, parseFaults } from "../scenario/faults.ts";
import { jsonDocumentMinBytes } from "../scenario/json-document.ts";
import { MessageNames, namesDevice } from "../scenario/message-names.ts";
import { messagesMax, type Scenario, totalMessages } from "../scenario/scenario.ts";
import { newRunId, type SimulateOptions } from "../simulate.ts";

const defaultFilters = { json: "fleet/{device}/telemetry", envelope: "fleet/{device}/envelope" } as const;
const connectionsDefault = 100;

/** What is asked for, checked as a whole. Throws SIMULATE_USAGE with every fault. */
export function simulateOptions(config: SimulateConfig): SimulateOptions {
  const faults: string[] = [];
  const gateways = config.mqtt.split(",").map((url) => parseMqttUrl(url.trim(), faults));
  const scenario = scenarioOf(config, faults);
  checkFleet(config, scenario, faults);
  const password = readPassword(config, faults);
  if (faults.length > 0) throw new SimulatorError("SIMULATE_USAGE", faults.join("\n"), { retryable: false });
  return {
    scenario,
    ledgerFolder: config.ledger,
    append: config.append,
    gateways,
    ...(config.username === undefined ? {} : { username: config.username }),
    ...(password === undefined ? {} : { password }),
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
    qos: config.qos === 0 ? 0 : 1,
    format: config.format,
    filter: config.topic ?? defaultFilters[config.format],
    faults: readFaults(config.faults, faults),
  };
}

function readFaults(list: string | undefined, faults: string[]): FaultShares {
  if (list === undefined) return {};
  const shares = parseFaults(list);
  if (typeof shares !== "string") return shares;
  faults.push(`--faults ${list}: ${shares}`);
  return {};
}

function parseMqttUrl(text: string, faults: string[]): GatewayAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === "mqtt:" && url.hostname !== "" && url.pathname.length <= 1 && url.username === "")
    return { host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(url.port || 1883) };
  faults.push(
    `--mqtt ${text}: it must be mqtt://HOST:PORT, for example mqtt://127.0.0.1:1883 (credentials go into --username and --password-file)`,
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
      `--burst ${burst}: with ${connections} connections it takes more than --devices ${devices} to give each connection its share; use at most --burst ${Math.max(1, Math.floor(devices / connections))}`,
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
      `--payload-bytes ${scenario.payloadBytes}: a JSON document with id and time takes at least ${minBytes} bytes in this run; use --payload-bytes ${minBytes} or more, or --format envelope`,
    );
  if (names.topicTemplate.length + scenario.payloadBytes + 1000 > remainingLengthMax)
    faults.push("the packets are longer than MQTT allows");
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

/** Where the topic name does not say which device speaks, the connection's own identity must. */
function checkNamelessFleet(
  config: SimulateConfig,
  { devices, connections, filter }: Scenario,
  faults: string[],
): void {
  if (config.username !== undefined)
    faults.push(
      `--topic ${filter}: with --username all connections are one identity, so that the filter must have a level {device}, as in fleet/{device}/telemetry`,
    );
  else if (connections < devices)
    faults.push(
      `--connections ${connections}: the filter ${filter} has no level {device}, so that each device needs a connection of its own; use --connections ${devices}, or a filter such as fleet/{device}/telemetry`,
    );
}

function readPassword({ username, passwordFile }: SimulateConfig, faults: string[]): Uint8Array | undefined {
  if ((username === undefined) !== (passwordFile === undefined))
    faults.push("--username and --password-file go together: give both, or neither for the anonymous mode");
  if (passwordFile === undefined) return undefined;
  try {
    return Buffer.from(readFileSync(passwordFile, "utf8").trim());
  } catch (error) {
    faults.push(
      `--password-file ${passwordFile}: it can't be read (${error instanceof Error ? error.message : String(error)})`,
    );
    return undefined;
  }
}
