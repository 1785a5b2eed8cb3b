import { dedupeWindowMs, fleetFilter } from "./proof-topics.ts";

/**
 * An admin of the proof's own changes topics. Few late messages: each hour that they name is a file of its
 * own.
 */
const faults = "disconnect,duplicate,poison,again,reused,takeover,reboot,late=0.001,clock=0.001";

/** The fleet of a proof: sessions, qualities of service, formats and devices of every kind. */
const fleet = {
  devices: 500,
  connections: 50,
  qos: 1,
  "payload-bytes": 100,
  topic: fleetFilter,
  "topic-window": dedupeWindowMs / 1000,
  mix: "all",
  faults,
} as const;

/** Arguments of `tidegate simulate`. */
export function fleetArguments(run: Readonly<Record<string, string | number>>): string[] {
  return Object.entries({ ...fleet, ...run }).flatMap(([name, value]) => [`--${name}`, String(value)]);
}
