import { Gauge, type Registry } from "prom-client";
import type { RegistryStore } from "./registry-store.ts";

/** Metrics of a process that reads a registry. */
export function addRegistryMetrics(registry: Registry, store: Pick<RegistryStore, "status">): void {
  new Gauge({
    name: "tidegate_registry_up",
    help: "1 while topics and identities can be read; 0: messages are judged by the known topics, and clients with a key cannot connect",
    registers: [registry],
    collect() {
      this.set(store.status().trouble ? 0 : 1);
    },
  });
}
