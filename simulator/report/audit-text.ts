import type { AuditResult } from "../audit/audit.ts";

function line(name: string, value: number, meaning: string): string {
  return `  ${name.padEnd(14)}${String(value).padStart(12)}  ${meaning}\n`;
}

/** For people. */
export function auditText(result: AuditResult): string {
  return [
    `runs ${result.runs.join(", ")}: ${result.files} files read, waited ${result.waitedS} s\n`,
    line("sent", result.sent, "messages that the fleet published"),
    line("acked", result.acked, "acknowledged by the gateway"),
    line("stored", result.stored, "in a table"),
    line(
      "quarantined",
      result.quarantined,
      `in _quarantine, ${result.plannedPoison + result.plannedReuse} of them planned`,
    ),
    ...(result.mended === 0
      ? []
      : [
          line(
            "mended",
            result.mended,
            "in _quarantine, and in their table after their topic was changed: allowed",
          ),
        ]),
    line("lost", result.lost, "acknowledged, and in no table nor quarantine"),
    line("duplicated", result.duplicated, "rows beyond the first of their message"),
    line("phantom", result.phantom, "rows of messages that were never sent"),
    line("altered", result.altered, "rows that are not what was sent"),
    line("misplaced", result.misplaced, "rows that queries by hour or device do not find"),
    line("misstated", result.misstated, "files of which the log says what is not so"),
    line("disordered", result.disordered, "messages that stand before an earlier one of their device"),
    line("unordered", result.unordered, "messages of which that is not known: allowed"),
    line("mistimed", result.mistimed, "places where stream time goes back, or faster than time"),
    line("logFaults", result.logFaults, "in the commit log, or between it and the tables"),
    line(
      "unackedStored",
      result.unackedStored,
      "filed without the fleet having seen the acknowledgement: allowed",
    ),
    ...(result.delivered === 0
      ? []
      : [
          line(
            "undelivered",
            result.undelivered,
            `of ${result.delivered} left with a gateway where no acknowledgement can come`,
          ),
        ]),
    ...result.faults.map(({ code, message }) => `${code}: ${message}\n`),
    ...result.examples.map((example) => `${example}\n`),
    result.isProven
      ? "PROVEN: every acknowledged message is filed exactly once, as it was sent\n"
      : "NOT PROVEN\n",
  ].join("");
}
