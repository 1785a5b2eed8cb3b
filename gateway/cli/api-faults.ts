import { faultsOf } from "../input/input-error.ts";
import { faultText, type InputFault } from "../input/input-faults.ts";

/** The command line's name for a field of a request; `mend` if the value also needs another unit. */
export type FlagNames = Readonly<Record<string, string | { readonly flag: string; readonly mend: string }>>;

/** The fault of a request, in words of the command line that made it; null = no flag is concerned. */
export function flagFaults(details: Readonly<Record<string, unknown>>, names: FlagNames): string | null {
  const faults = faultsOf(details);
  if (faults.length === 0) return null;
  return faults.map((fault) => flagText(fault, names)).join("\n");
}

function flagText(fault: InputFault, names: FlagNames): string {
  // An item of a list was given with the flag of the list.
  const known = names[fault.where.replace(/\[.*$/, "")];
  if (known === undefined) return faultText(fault);
  const { flag, mend } = typeof known === "string" ? { flag: known, mend: fault.mend } : known;
  if (fault.kind === "missing") return `${flag} is missing: ${mend}`;
  const isShown = ["string", "number", "boolean"].includes(typeof fault.value) && typeof known === "string";
  return isShown ? `${flag} ${fault.value}: ${mend}` : `${flag}: ${mend}`;
}
