import type { Logger } from "pino";
import type { KindTarget } from "../../bridge/config.ts";
import { type MovedLake, type MoveProgress, moveLake } from "../../bridge/lake/index.ts";
import { lakeUrlOf } from "../config/service-urls.ts";
import { DataFolderLock } from "../data-folder/data-folder-lock.ts";
import { killLeftChildren } from "../data-folder/left-children.ts";
import { openLakeStore } from "../lakes/open-lake-store.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";

export interface MoveGatewayLakeOptions {
  readonly config: GatewayConfig;
  readonly to: KindTarget;
  readonly logger: Logger;
  readonly onProgress: (progress: MoveProgress) => void;
}

/**
 * Moves the lake of stopped gateways to another folder or bucket. Stream, topics and identities stay. A
 * gateway that still runs on another machine can no longer commit to the old place, and its error names the
 * new one.
 */
export async function moveGatewayLake({
  config,
  to,
  logger,
  onProgress,
}: MoveGatewayLakeOptions): Promise<MovedLake> {
  const { data } = config.folders;
  const lock = await DataFolderLock.acquire(data, { pid: process.pid, startedAt: new Date().toISOString() });
  try {
    await killLeftChildren(data);
    const access = { access: "write", logger } as const;
    const from = await openLakeStore(config, access);
    const target = await openLakeStore({ ...config, lakeTarget: to }, access);
    return await moveLake({ from, to: target, movedTo: lakeUrlOf(to), onProgress });
  } finally {
    await lock.release();
  }
}
