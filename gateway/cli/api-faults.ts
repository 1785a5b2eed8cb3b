import { faultsOf } from "../input/input-error.ts";
import { faultText, type InputFault } from "../input/input-faults.ts";

/** A flag whose value has another unit than the field. */
interface FlagWithUnit {
  readonly flag: string;
  readonly mend: string;
  /** The field's value as one of the flag. */
  readonly text: (value: number) => string;
}

/** The command line's name for a field of a request. */
export type FlagNames = Readonly<Record<string, string | FlagWithUnit>>;

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
  const value = valueText(fault.value, known);
  return value === null ? `${flag}: ${mend}` : `${flag} ${value}: ${mend}`;
}

function valueText(value: unknown, known: FlagNames[string]): string | null {
  if (typeof known !== "string") return typeof value === "number" ? known.text(value) : null;
  return ["string", "number", "boolean"].includes(typeof value) ? String(value) : null;
}
