import type { Logger } from "pino";
import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import type { RegistryStore } from "../registry/registry-store.ts";
import { openGatewayLake } from "../roles/lake.ts";
import { shownUrl } from "../settings/secrets.ts";
import { streamBackend } from "../streams/stream-kinds.ts";
import { DataFolderLock } from "../supervisor/data-folder-lock.ts";
import type { GatewayLake } from "../supervisor/gateway-stores.ts";
import { killLeftChildren } from "../supervisor/left-children.ts";
import { type CopiedRegistry, copyRegistry } from "./copy-registry.ts";
import { drainStream } from "./drain-stream.ts";
import type { MigrationSource } from "./migration-source.ts";

export interface MigrateOptions {
  readonly source: MigrationSource;
  /** Data folder and lake of the source, with the stream to go on with. */
  readonly to: GatewayConfig;
  readonly logger: Logger;
  /** Bytes of the old stream that are not in the lake yet. */
  readonly onProgress: (lagBytes: number) => void;
}

export interface Migration extends CopiedRegistry {
  /** Messages of the old stream that had not been filed. */
  readonly messages: number;
  /** Folder of the old stream now; null where it stays in its server for a week, closed. */
  readonly movedTo: string | null;
}

/**
 * Takes stopped gateways from one stream to another: what the old one holds is filed in the lake, topics and identities are copied, and
 * the new stream begins empty, so that nothing has to be read twice from two places. The windows of the new stream are seeded from the
 * lake, so that a resend of what the old stream took is a duplicate still. May be repeated after a failure.
 */
export async function migrate(options: MigrateOptions): Promise<Migration> {
  const { source, to, logger } = options;
  const { config: from } = source;
  const { data } = from.folders;
  const lock = await DataFolderLock.acquire(data, { pid: process.pid, startedAt: new Date().toISOString() });
  try {
    await killLeftChildren(data);
    await source.begin();
    const lake = await openGatewayLake(from, { logger });
    // First of all: what the new place can't be used for shows now.
    return await withRegistry(to, lake, logger, async (target) => {
      await makeTarget(to);
      const { messages, ends } = await drainStream(source, options);
      const copied = await withRegistry(from, lake, logger, (registry) =>
        copyRegistry(registry, target, lake.topics),
      );
      return { messages, ...copied, ...(await source.close(ends)) };
    });
  } finally {
    await lock.release();
  }
}

async function withRegistry<Result>(
  config: GatewayConfig,
  lake: GatewayLake,
  logger: Logger,
  use: (registry: RegistryStore) => Promise<Result>,
): Promise<Result> {
  const options = { config, logger, random: Math.random, now: Date.now };
  const { store } = await (await streamBackend(config)).openRegistry(options, lake);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** Creates the new stream where there is none; goes on with one that an earlier attempt created. */
async function makeTarget(config: GatewayConfig): Promise<void> {
  const backend = await streamBackend(config);
  if (!(await backend.hasStream(config))) await backend.createBeside(config);
  if (await backend.fitsLake(config)) return;
  throw new GatewayError(
    "MIGRATE_CONFLICT",
    `${shownUrl(config.stream.url)} holds a stream that has nothing to do with this lake: use a prefix of your own (?prefix=NAME), or give that stream up with \`tidegate stream new --stream ${shownUrl(config.stream.url)}\`, then migrate again.`,
    { retryable: false },
  );
}
