import { GatewayError, type GatewayErrorCode } from "../errors.ts";
import { faultText, type InputFault } from "./input-faults.ts";

/** An error about invalid input. Its message has every fault, and `details.faults` the same for programs. */
export function inputError(
  code: GatewayErrorCode,
  lead: string,
  faults: readonly InputFault[],
): GatewayError {
  const texts = faults.map((fault) => faultText(fault)).join("; ");
  const end = texts.endsWith("?") ? "" : ".";
  return new GatewayError(code, `${lead}${texts}${end}`, { retryable: false, details: { faults } });
}

/** The faults of such an error, also of one that an API answer holds; [] = there are none. */
export function faultsOf(details: Readonly<Record<string, unknown>>): InputFault[] {
  const { faults } = details;
  return Array.isArray(faults) ? faults.filter(isFault) : [];
}

function isFault(value: unknown): value is InputFault {
  const { where, kind, mend } = (value ?? {}) as Partial<Record<keyof InputFault, unknown>>;
  return typeof where === "string" && typeof kind === "string" && typeof mend === "string";
}
