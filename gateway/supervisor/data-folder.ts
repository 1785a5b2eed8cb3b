import { randomUUID } from "node:crypto";
import { accessSync, constants, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolderDurably } from "../../devices/protocol/durable-folder.ts";
import { GatewayError } from "../errors.ts";

/** The lake may be elsewhere, and speaks for itself. */
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
  /** Stream or registry are databases in it, which need a disk of this machine. */
  readonly holdsDatabases: boolean;
  /** Default: asks the system. */
  readonly fileSystemType?: (folder: string) => number;
}

/**
 * Makes the folder where it isn't there, and makes sure that it and what it holds can be written. Throws DATA_FOLDER_UNUSABLE, also where it
 * holds databases and lies on a file system that other hosts may mount: neither the folder's lock nor lmdb's reach beyond this machine.
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
      `The data folder ${folder} can't be used: ${reason}. Choose one that this user may write, with --data.`,
      { retryable: false, cause },
    );
  }
  if (shared === undefined) return;
  throw new GatewayError(
    "DATA_FOLDER_UNUSABLE",
    `The data folder ${folder} is on ${shared}, which other hosts may mount: a second gateway there would not be noticed, and its databases would be damaged. Choose a folder on a disk of this machine with --data; the lake may stay there (--lake file:${folder}/lake).`,
    { retryable: false },
  );
}

function typeOf(folder: string): number {
  // Node answers with a signed number on some platforms.
  return statfsSync(folder).type >>> 0;
}

function checkPart(path: string): void {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts) return;
  if (!facts.isDirectory()) throw new Error(`${path} is not a folder`);
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
}
