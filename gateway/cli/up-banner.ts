import { shownUrl } from "../../devices/protocol/shown-url.ts";
import { shellWord } from "../settings/command-flags.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { streamKind } from "../streams/stream-kinds.ts";
import { windowKind } from "../windows/window-kinds.ts";

export interface Places {
  /** null if this gateway runs no broker. */
  readonly mqtt: string | null;
  readonly http: string;
  readonly data: string;
  readonly lake: string;
}

/** The text for a person when the gateway is ready: where everything is, and what to type next. */
export function bannerText(config: GatewayConfig, places: Places): string {
  const [host, port] = splitAddress(places.mqtt ?? "HOST:1883");
  const dataFlag = config.data === "./data" ? "" : ` --data ${shellWord(config.data)}`;
  const lakeFlag = config.lake.url === undefined ? "" : ` --lake ${shellWord(config.lake.url)}`;
  const address = `${host === "127.0.0.1" ? "" : `-h ${host} `}${port === "1883" ? "" : `-p ${port} `}`;
  const lines = [
    "",
    "Tidegate is ready.",
    places.mqtt === null ? "  MQTT   in another gateway (setting roles)" : `  MQTT   mqtt://${places.mqtt}`,
    `  HTTP   http://${places.http}  (/openapi.json; token in ${places.data}/api-token)`,
    `  data   ${places.data}`,
    `  lake   ${places.lake}`,
    ...sharedPlaces(config),
    config.mqtt.anonymous
      ? "Anonymous: any client on this machine may connect without a key; MQTT listens on loopback only."
      : "Clients need a key: `npx tidegate devices add NAME`.",
    "",
    "Publish something:",
    `  mosquitto_pub ${address}-t fleet/dev1/telemetry -q 1 -m '{"id":"1","ts":'$(date +%s%3N)',"temperature":21.5}'`,
    `and about ${Math.round(config.consumer.maxBatchAgeMs / 1_000)} seconds later read it:`,
    `  npx tidegate query${dataFlag}${lakeFlag} "SELECT device_id, event_time, temperature FROM telemetry"`,
    "",
  ];
  return lines.join("\n");
}

/** Parts that other gateways may use as well. */
function sharedPlaces(config: GatewayConfig): string[] {
  const { stream, window } = config.backends;
  const kind = streamKind(stream);
  const line = (what: "stream" | "window", url: string | undefined): string =>
    `  ${what} ${shownUrl(url ?? "")}${kind.registryIn === what ? "  (with topics and identities)" : ""}`;
  return [
    ...(kind.placeOf(stream) === null ? [] : [line("stream", config.stream.url)]),
    ...(kind.notes?.(config) ?? []).map((note) => `  ${note}`),
    ...(windowKind(window).placeOf(window) === null ? [] : [line("window", config.window.url)]),
  ];
}

function splitAddress(address: string): [host: string, port: string] {
  const colon = address.lastIndexOf(":");
  return [address.slice(0, colon).replaceAll(/[[\]]/g, ""), address.slice(colon + 1)];
}
