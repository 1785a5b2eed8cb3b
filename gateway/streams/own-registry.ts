import { LmdbRegistry } from "../registry/lmdb-registry.ts";
import type { StreamBackend } from "./stream-backend.ts";

/** Topics and identities in the data folder, for a stream of a single gateway. */
export const ownRegistry: Pick<StreamBackend, "openRegistry" | "openRegistryForReading"> = {
  openRegistry: async ({ config }) => ({
    store: await LmdbRegistry.openForWriting(config.folders.registry),
    isNew: false,
  }),
  openRegistryForReading: async ({ config }) => LmdbRegistry.openForReading(config.folders.registry),
};
