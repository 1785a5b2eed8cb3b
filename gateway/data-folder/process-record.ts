import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { bootId, type ProcessIdentity } from "../../devices/protocol/process-identity.ts";
import { type FileIdentity, identifyFile, isSameFile, isSameOverBoots } from "./folder-identity.ts";
import type { LakePlace } from "./lake-place.ts";

/** The lake, stream and window of a gateway, by their places, not by their URLs; without passwords. */
export interface GatewayPlaces {
  readonly lake: LakePlace;
  /** null = the stream is in the data folder. */
  readonly stream: string | null;
  /** null = the window is in memory. */
  readonly window: string | null;
}

/** The processes that last used a data folder. */
export interface GatewayProcesses {
  readonly supervisor: ProcessIdentity;
  readonly children: readonly (ProcessIdentity & { readonly role: string })[];
  /** Address of the HTTP API; null = it does not listen yet. */
  readonly api: string | null;
  readonly uses?: GatewayPlaces;
}

/** `processes.json` of a data folder. Version 0.1.0 wrote only processes and address. */
export interface ProcessRecord extends GatewayProcesses {
  /**
   * The folder of the record. A copy of the folder holds the record, too, but the record does not apply to
   * the copy.
   */
  readonly folder?: FileIdentity | null;
  readonly host?: string;
}

const fileName = "processes.json";

/**
 * Replaces the record atomically. The record need not survive a power cut, because no process does. The
 * caller holds the folder's lock.
 */
export function writeProcessRecord(folder: string, processes: GatewayProcesses): void {
  const place = { folder: identifyFile(folder), host: hostname() };
  const record = { ...place, ...processes } satisfies ProcessRecord;
  const file = join(folder, fileName);
  writeFileSync(`${file}.tmp`, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(`${file}.tmp`, file);
}

/** null if there is no readable record of this very folder. */
export function readProcessRecord(folder: string): ProcessRecord | null {
  const record = readAnyRecord(folder);
  return record && !isOfAnotherFolder(record, folder) ? record : null;
}

/**
 * The record of another folder, after this one was copied, or moved to another disk. null = there is no
 * record, or it is of this folder.
 */
export function readForeignRecord(folder: string): ProcessRecord | null {
  const record = readAnyRecord(folder);
  return record && isOfAnotherFolder(record, folder) ? record : null;
}

function readAnyRecord(folder: string): ProcessRecord | null {
  try {
    return JSON.parse(readFileSync(join(folder, fileName), "utf8")) as ProcessRecord;
  } catch {
    return null;
  }
}

function isOfAnotherFolder({ folder: written, supervisor }: ProcessRecord, folder: string): boolean {
  const own = identifyFile(folder);
  if (!written || !own) return false;
  return !(isSameOverBoots(written, own) && (supervisor.bootId !== bootId() || isSameFile(written, own)));
}
