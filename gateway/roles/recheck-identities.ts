import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { IngestCore } from "../../broker/index.ts";
import type { RegistryStore } from "../registry/registry-store.ts";
import type { StoredDeviceRegistry } from "../registry/stored-device-registry.ts";

const retryMs = 1_000;

/** Closes the connections of identities that are not there any more, whenever the registry can't tell which were removed. */
export function recheckIdentities(parts: {
  readonly store: Pick<RegistryStore, "listen">;
  readonly devices: Pick<StoredDeviceRegistry, "recheck">;
  readonly ingest: Pick<IngestCore, "identities">;
  readonly logger: Logger;
}): void {
  const { store, devices, ingest, logger } = parts;
  let newest = 0;
  store.listen({
    identitiesInDoubt: () => {
      void recheck(++newest);
    },
  });

  async function recheck(own: number): Promise<void> {
    logger.warn({ event: "registry.replaced" }, "looking up the identities of all connections again");
    while (own === newest) {
      try {
        return await devices.recheck(ingest.identities());
      } catch (error) {
        logger.warn({ event: "registry.recheck.failed", err: error }, "tried again in a second");
        await delay(retryMs, undefined, { ref: false });
      }
    }
  }
}
