import type { Scenario } from "../../../simulator/scenario/scenario.ts";

/** A scenario that a test changes where it matters. */
export function scenarioOf(changes: Partial<Scenario> = {}): Scenario {
  return {
    runId: "AAAAAAAAAAA",
    seed: 7,
    devices: 100,
    connections: 10,
    burst: 1,
    rate: 1000,
    durationS: 1,
    payloadBytes: 100,
    qos: 1,
    format: "json",
    filter: "fleet/{device}/telemetry",
    faults: {},
    ...changes,
  };
}
