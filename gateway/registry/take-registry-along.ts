import { existsSync } from "node:fs";
import type { Logger } from "pino";
import type { GatewayConfig } from "../gateway-config.ts";
import { copyRegistry } from "../migrate/copy-registry.ts";
import { LmdbRegistry } from "./lmdb-registry.ts";
import { initialisedFact, type RegistryStore } from "./registry-store.ts";
import type { TopicArchive } from "./topic-archive.ts";

/** Fact of a data folder's registry: when another one took its place. It is not taken along twice, or what was removed since would be back. */
const leftFact = "leftAt";
const pageSize = 500;

export interface TakeAlongOptions {
  readonly config: Pick<GatewayConfig, "folders">;
  /** The shared one. */
  readonly registry: RegistryStore;
  readonly archive: TopicArchive;
  readonly logger: Logger;
  readonly now: () => number;
}

/**
 * For a gateway that had its registry in the data folder and now shares one: a shared registry that nobody has used yet gets the topics
 * and identities of the data folder. One in use stays as it is, and the log says how many identities it lacks. The data folder's stays.
 * True where topics and identities were taken along. May be repeated after a failure.
 */
export async function takeRegistryAlong(options: TakeAlongOptions): Promise<boolean> {
  const { config, registry, archive, logger, now } = options;
  const { registry: folder, stream } = config.folders;
  // Beside an embedded stream it is `tidegate migrate` that copies it, after the stream.
  if (!existsSync(folder) || existsSync(stream)) return false;
  const left = await LmdbRegistry.openForWriting(folder);
  try {
    if ((await left.fact(leftFact)) !== undefined) return false;
    // Set last when a registry is made or copied.
    const isInUse = (await registry.fact(initialisedFact)) !== undefined;
    if (isInUse) await tellOfLeftIdentities(left, registry, logger);
    else {
      const { devices } = await copyRegistry(left, registry, archive);
      const fields = { event: "registry.taken", devices };
      logger.info(fields, "topics and identities of the data folder were taken along to the shared registry");
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
      `the shared registry, which is in use, lacks ${unknown} of the data folder's identities: they were removed there, or never were in it. Add those that are missing with \`tidegate devices add\``,
    );
}
