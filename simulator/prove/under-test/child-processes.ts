import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ProcessIdentity } from "../../../devices/protocol/process-identity.ts";

interface ProcessRecord {
  readonly supervisor: ProcessIdentity;
  readonly children: readonly (ProcessIdentity & { readonly role: string })[];
}

/**
 * The child processes that a gateway has on record in its data folder; none if that record is of another
 * gateway: a copied folder holds the one of its original.
 *
 * @param supervisors Pids of this gateway's supervisors, earlier ones included.
 */
export function childProcesses(folder: string, supervisors: ReadonlySet<number>): ProcessRecord["children"] {
  try {
    const text = readFileSync(join(folder, "processes.json"), "utf8");
    const { supervisor, children } = JSON.parse(text) as ProcessRecord;
    return supervisors.has(supervisor.pid) ? children : [];
  } catch {
    return [];
  }
}
