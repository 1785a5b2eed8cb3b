import type { Logger } from "pino";
import { shownUrl } from "../../devices/protocol/shown-url.ts";
import { DataFolderLock } from "../data-folder/data-folder-lock.ts";
import { killLeftChildren } from "../data-folder/left-children.ts";
import { GatewayError } from "../errors.ts";
import { openGatewayLake } from "../lakes/gateway-lake.ts";
import { type CopiedRegistry, copyRegistry } from "../registry/copy-registry.ts";
import type { GatewayLake } from "../registry/gateway-stores.ts";
import type { RegistryStore } from "../registry/registry-store.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { MigrationSource } from "../streams/migration-source.ts";
import { streamBackend } from "../streams/stream-kinds.ts";
import { drainStream } from "./drain-stream.ts";

export interface MigrateOptions {
  readonly source: MigrationSource;
  /** Data folder and lake of the source, with the new stream. */
  readonly to: GatewayConfig;
  readonly logger: Logger;
  /** Called with the bytes of the old stream that are not in the lake yet. */
  readonly onProgress: (lagBytes: number) => void;
}

export interface Migration extends CopiedRegistry {
  /** Messages of the old stream that the migration has filed. */
  readonly messages: number;
  /** New folder of the old stream; null if the closed stream stays on its server for a week. */
  readonly movedTo: string | null;
}

/**
 * Moves stopped gateways from one stream to another. Files the messages of the old stream in the lake and
 * copies topics and identities. The new stream begins empty, so no message is read from two places. The
 * dedupe windows of the new stream are seeded from the lake, so a resend of a message in the old stream is
 * still a duplicate. May be repeated after a failure.
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
    // Opened first, so that a fault of the new place shows before any change.
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

/** Creates the new stream if it is missing, or continues with the stream of an earlier attempt. */
async function makeTarget(config: GatewayConfig): Promise<void> {
  const backend = await streamBackend(config);
  if (!(await backend.hasStream(config))) await backend.createBeside(config);
  if (await backend.fitsLake(config)) return;
  throw new GatewayError(
    "MIGRATE_CONFLICT",
    `${shownUrl(config.stream.url)} holds a stream that this lake does not know: use a prefix of your own (?prefix=NAME), or replace that stream with \`tidegate stream new --stream ${shownUrl(config.stream.url)}\`, then migrate again.`,
    { retryable: false },
  );
}
