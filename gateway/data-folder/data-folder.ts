import { randomUUID } from "node:crypto";
import { accessSync, constants, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolderDurably } from "../../devices/protocol/durable-folder.ts";
import { GatewayError } from "../errors.ts";

/** Not the lake: it may be elsewhere, and is checked when it is opened. */
const parts = ["registry", "stream"];

/** File systems that several hosts can mount at once, by `f_type` [statfs(2), linux/magic.h]. */
const sharedFileSystems: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x5346414f, "AFS"],
  [0x00c36400, "CephFS"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
  [0x0bd00bd0, "Lustre"],
  [0x47504653, "GPFS"],
]);

export interface DataFolderUse {
  /** True if the folder holds the stream or the registry: their databases need a disk of this machine. */
  readonly holdsDatabases: boolean;
  /** Default: asks the operating system. */
  readonly fileSystemType?: (folder: string) => number;
}

/**
 * Creates the folder if it is missing, and checks that the folder and its parts can be written. Throws
 * DATA_FOLDER_UNUSABLE, also if the folder holds databases and is on a file system that other hosts may
 * mount. The locks of the folder and of lmdb work on one machine only.
 */
export function prepareDataFolder(folder: string, use: DataFolderUse): void {
  const probe = join(folder, `.probe-${randomUUID()}`);
  let shared: string | undefined;
  try {
    makeFolderDurably(folder);
    writeFileSync(probe, "probe");
    rmSync(probe);
    for (const part of parts) checkPart(join(folder, part));
    if (use.holdsDatabases) shared = sharedFileSystems.get((use.fileSystemType ?? typeOf)(folder));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GatewayError(
      "DATA_FOLDER_UNUSABLE",
      `The data folder ${folder} can't be used: ${reason}. Choose a folder that this user may write to with --data.`,
      { retryable: false, cause },
    );
  }
  if (shared === undefined) return;
  throw new GatewayError(
    "DATA_FOLDER_UNUSABLE",
    `The data folder ${folder} is on ${shared}, which other hosts may mount: Tidegate could not detect a second gateway there, which would damage the databases. Choose a folder on a disk of this machine with --data; the lake may stay there (--lake file:${folder}/lake).`,
    { retryable: false },
  );
}

function typeOf(folder: string): number {
  // Node returns a signed number on some platforms.
  return statfsSync(folder).type >>> 0;
}

function checkPart(path: string): void {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts) return;
  if (!facts.isDirectory()) throw new Error(`${path} is not a folder`);
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
}
