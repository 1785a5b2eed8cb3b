import { AggregatorRegistry, Counter, Gauge, Registry } from "prom-client";
import type { MetricsAsJson } from "../processes/messages.ts";

/** The supervisor's own metrics. */
export interface GatewayMetrics {
  readonly registry: Registry;
  /** By process. */
  readonly childRestarts: Counter<"child">;
  readonly childHangs: Counter<"child">;
  readonly childUp: Gauge<"child">;
  /** By method, route and status. */
  readonly apiRequests: Counter<"method" | "route" | "status">;
}

export function createGatewayMetrics(): GatewayMetrics {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    childRestarts: new Counter({
      name: "tidegate_child_restarts_total",
      help: "Restarts of a child process that ended unexpectedly",
      labelNames: ["child"],
      registers,
    }),
    childHangs: new Counter({
      name: "tidegate_child_hangs_total",
      help: "Times that a child process was killed because it hung",
      labelNames: ["child"],
      registers,
    }),
    childUp: new Gauge({
      name: "tidegate_child_up",
      help: "1 while the child process works",
      labelNames: ["child"],
      registers,
    }),
    apiRequests: new Counter({
      name: "tidegate_api_requests_total",
      help: "Requests that the HTTP API answered",
      labelNames: ["method", "route", "status"],
      registers,
    }),
  };
}

/** @param troubles Number of stuck things. */
export function addDegradedMetric(registry: Registry, troubles: () => number): void {
  new Gauge({
    name: "tidegate_degraded",
    help: "Number of stuck tasks although publishes are acknowledged; /readyz and status name them",
    registers: [registry],
    collect() {
      this.set(troubles());
    },
  });
}

/** The metrics of all processes as one text, each value labelled with its process. */
export async function mergedMetrics(byProcess: ReadonlyMap<string, MetricsAsJson>): Promise<string> {
  const labelled = [...byProcess].map(([process, families]) =>
    families.map((family) => ({
      ...family,
      aggregator: "sum" as const,
      values: family.values.map((value) => ({ ...value, labels: { ...value.labels, process } })),
    })),
  );
  return await AggregatorRegistry.aggregate(labelled).metrics();
}
