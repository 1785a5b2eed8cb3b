import { AggregatorRegistry, Counter, Gauge, Registry } from "prom-client";
import type { RegistryStore } from "./registry/registry-store.ts";
import type { MetricsAsJson } from "./supervisor/messages.ts";

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
      help: "Times that a child process ended unexpectedly and was started again",
      labelNames: ["child"],
      registers,
    }),
    childHangs: new Counter({
      name: "tidegate_child_hangs_total",
      help: "Times that a child process ran and did nothing for so long that it was ended",
      labelNames: ["child"],
      registers,
    }),
    childUp: new Gauge({
      name: "tidegate_child_up",
      help: "1 while the child process does its work",
      labelNames: ["child"],
      registers,
    }),
    apiRequests: new Counter({
      name: "tidegate_api_requests_total",
      help: "Requests that the HTTP API has answered",
      labelNames: ["method", "route", "status"],
      registers,
    }),
  };
}

/** In a process that judges by a registry: whether it can ask it. */
export function addRegistryMetrics(registry: Registry, store: Pick<RegistryStore, "status">): void {
  new Gauge({
    name: "tidegate_registry_up",
    help: "1 while topics and identities can be asked for; 0: topics are judged as known, nobody with a key connects",
    registers: [registry],
    collect() {
      this.set(store.status().trouble ? 0 : 1);
    },
  });
}

/** @param troubles How many things do not go on. */
export function addDegradedMetric(registry: Registry, troubles: () => number): void {
  new Gauge({
    name: "tidegate_degraded",
    help: "How many things do not go on although publishes are acknowledged; /readyz and status say which",
    registers: [registry],
    collect() {
      this.set(troubles());
    },
  });
}

/** One text of all processes' metrics, each value labelled with its process. */
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
