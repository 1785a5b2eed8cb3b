import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { IngestCore } from "../../broker/index.ts";
import type { RegistryStore } from "../registry/registry-store.ts";
import type { StoredDeviceRegistry } from "../registry/stored-device-registry.ts";

const retryMs = 1_000;

/**
 * If the registry does not know which identities were removed, looks up all of them and closes the
 * connections of removed ones.
 */
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
    logger.warn(
      { event: "registry.replaced" },
      "the registry was replaced: looking up the identities of all connections again",
    );
    while (own === newest) {
      try {
        return await devices.recheck(ingest.identities());
      } catch (error) {
        logger.warn(
          { event: "registry.recheck.failed", err: error },
          "the identities could not be looked up; retrying in a second",
        );
        await delay(retryMs, undefined, { ref: false });
      }
    }
  }
}
