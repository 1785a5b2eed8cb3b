import type { Logger } from "pino";
import type { KindTarget } from "../../bridge/config.ts";
import { type MovedLake, type MoveProgress, moveLake } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import { openLakeStore } from "../roles/lake-store.ts";
import { lakeUrlOf } from "../settings/service-urls.ts";
import { DataFolderLock } from "../supervisor/data-folder-lock.ts";
import { killLeftChildren } from "../supervisor/left-children.ts";

export interface MoveGatewayLakeOptions {
  readonly config: GatewayConfig;
  readonly to: KindTarget;
  readonly logger: Logger;
  readonly onProgress: (progress: MoveProgress) => void;
}

/**
 * Moves the lake of stopped gateways to another folder or bucket; stream, topics and identities stay where they are. A gateway that runs
 * all the same on another machine commits nothing more to the old place, and says where the lake went.
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
