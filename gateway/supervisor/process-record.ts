import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { LakePlace } from "../lakes/lake-kind.ts";
import { type FileIdentity, identifyFile, isSameFile, isSameOverBoots } from "./folder-identity.ts";
import { bootId, type ProcessIdentity } from "./process-identity.ts";

/** What a gateway uses, by where it is rather than by how it is named; without passwords. */
export interface GatewayPlaces {
  readonly lake: LakePlace;
  /** null = it is in the data folder. */
  readonly stream: string | null;
  /** null = it is in memory. */
  readonly window: string | null;
}

/** Who was last at work on a data folder. */
export interface GatewayProcesses {
  readonly supervisor: ProcessIdentity;
  readonly children: readonly (ProcessIdentity & { readonly role: string })[];
  /** Where the HTTP API listens, once it does. */
  readonly api: string | null;
  readonly uses?: GatewayPlaces;
}

/** `processes.json` of a data folder. Version 0.1.0 wrote no more than processes and address. */
export interface ProcessRecord extends GatewayProcesses {
  /** The folder that it was written for: a copy of that one holds the record too, but it says nothing of the copy. */
  readonly folder?: FileIdentity | null;
  readonly host?: string;
}

const fileName = "processes.json";

/** Replaces the record, atomically. It need not survive a power cut: no process does either. The caller holds the folder's lock. */
export function writeProcessRecord(folder: string, processes: GatewayProcesses): void {
  const place = { folder: identifyFile(folder), host: hostname() };
  const record = { ...place, ...processes } satisfies ProcessRecord;
  const file = join(folder, fileName);
  writeFileSync(`${file}.tmp`, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(`${file}.tmp`, file);
}

/** null where there is none that can be read, or none of this very folder. */
export function readProcessRecord(folder: string): ProcessRecord | null {
  const record = readAnyRecord(folder);
  return record && !isOfAnotherFolder(record, folder) ? record : null;
}

/** The record that came with a folder when it was copied, or moved to another disk; null where it has none, or one of its own. */
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
