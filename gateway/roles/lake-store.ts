import type { Logger } from "pino";
import type { Registry } from "prom-client";
import {
  type ObjectStore,
  openLocalStore,
  openLocalStoreForReading,
  openS3Store,
} from "../../bridge/index.ts";
import type { GatewayConfig } from "../config.ts";

export interface LakeAccess {
  /** `write`: whoever writes finds out at the start whether that works, where it costs requests to find out. */
  readonly access: "read" | "write";
  readonly logger?: Logger;
  readonly registry?: Registry;
  /** Ends the opening of a lake that does not answer. */
  readonly signal?: AbortSignal;
  /** Instead of the data folder's, for files that come from a lake elsewhere. */
  readonly filesFolder?: string;
  /** For what is too large for memory. With it a lake in a folder is opened for reading only: nothing is written there. */
  readonly stagingFolder?: string;
}

/** The one way to the lake's objects. Rejects as `openLocalStore` and `openS3Store` do. */
export function openLakeStore(
  { lakeTarget, folders, s3: config }: Pick<GatewayConfig, "lakeTarget" | "folders" | "s3">,
  { filesFolder = folders.lakeFiles, stagingFolder, ...options }: LakeAccess,
): Promise<ObjectStore> {
  if (lakeTarget.kind === "file")
    return stagingFolder === undefined
      ? openLocalStore(lakeTarget.folder)
      : Promise.resolve(openLocalStoreForReading(lakeTarget.folder, stagingFolder));
  return openS3Store(lakeTarget.s3, { config, folder: filesFolder, ...options });
}
