import { existsSync } from "node:fs";
import type { Logger } from "pino";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { copyRegistry } from "./copy-registry.ts";
import { LmdbRegistry } from "./lmdb-registry.ts";
import { initialisedFact, type RegistryStore } from "./registry-store.ts";
import type { TopicArchive } from "./topic-archive.ts";

/**
 * Fact of a data folder's registry: the time at which another one replaced it. A second copy would restore
 * identities that were removed since.
 */
const leftFact = "leftAt";
const pageSize = 500;

export interface TakeAlongOptions {
  readonly config: Pick<GatewayConfig, "folders">;
  /** The shared registry. */
  readonly registry: RegistryStore;
  readonly archive: TopicArchive;
  readonly logger: Logger;
  readonly now: () => number;
}

/**
 * For a gateway that had its registry in the data folder and now shares one. An unused shared registry
 * receives the topics and identities of the data folder. A shared registry in use is not changed, and the log
 * says how many identities it lacks. The data folder keeps its registry. True if topics and identities were
 * copied. May be repeated after a failure.
 */
export async function takeRegistryAlong(options: TakeAlongOptions): Promise<boolean> {
  const { config, registry, archive, logger, now } = options;
  const { registry: folder, stream } = config.folders;
  // If there is an embedded stream, `tidegate migrate` copies the registry, after the stream.
  if (!existsSync(folder) || existsSync(stream)) return false;
  const left = await LmdbRegistry.openForWriting(folder);
  try {
    if ((await left.fact(leftFact)) !== undefined) return false;
    // Set last when a registry is created or copied.
    const isInUse = (await registry.fact(initialisedFact)) !== undefined;
    if (isInUse) await tellOfLeftIdentities(left, registry, logger);
    else {
      const { devices } = await copyRegistry(left, registry, archive);
      const fields = { event: "registry.taken", devices };
      logger.info(fields, "topics and identities of the data folder were copied to the shared registry");
    }
    await left.setFact(leftFact, now());
    return !isInUse;
  } finally {
    await left.close();
  }
}

async function tellOfLeftIdentities(
  left: RegistryStore,
  registry: RegistryStore,
  logger: Logger,
): Promise<void> {
  let unknown = 0;
  for (let after = ""; ; ) {
    const page = await left.devices(pageSize, after);
    for (const { name } of page) if ((await registry.device(name)) === undefined) unknown += 1;
    const last = page.at(-1);
    if (!last) break;
    after = last.name;
  }
  if (unknown > 0)
    logger.warn(
      { event: "registry.left", devices: unknown },
      `the shared registry is in use and lacks ${unknown} of the data folder's identities: they were removed there, or never added. Add missing ones with \`tidegate devices add\``,
    );
}
