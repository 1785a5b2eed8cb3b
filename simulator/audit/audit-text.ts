import type { AuditResult } from "./audit.ts";

function line(name: string, value: number, meaning: string): string {
  return `  ${name.padEnd(14)}${String(value).padStart(12)}  ${meaning}\n`;
}

/** For people. */
export function auditText(result: AuditResult): string {
  return [
    `runs ${result.runs.join(", ")}: ${result.files} files read, waited ${result.waitedS} s\n`,
    line("sent", result.sent, "published by the fleet"),
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
    line("lost", result.lost, "acknowledged, and neither in a table nor in quarantine"),
    ...(result.expired === 0
      ? []
      : [
          line(
            "expired",
            result.expired,
            "acknowledged, and removed by the retention of their table: allowed",
          ),
        ]),
    line("duplicated", result.duplicated, "rows after the first of their message"),
    line("phantom", result.phantom, "rows of messages that were never sent"),
    line("altered", result.altered, "rows that differ from the sent message"),
    line("misplaced", result.misplaced, "rows that queries by hour or device do not find"),
    line("misstated", result.misstated, "files about which a log is wrong"),
    line("disordered", result.disordered, "messages that stand before an earlier one of their device"),
    line("unordered", result.unordered, "messages whose order is unknown: allowed"),
    line("mistimed", result.mistimed, "places where stream time goes back, or runs faster than time"),
    line("logFaults", result.logFaults, "contradictions in the commit log, or with the tables"),
    line("unackedStored", result.unackedStored, "filed, but the fleet received no acknowledgement: allowed"),
    ...(result.delivered === 0
      ? []
      : [
          line(
            "undelivered",
            result.undelivered,
            `of ${result.delivered} left with a gateway, without a possible acknowledgement`,
          ),
        ]),
    ...result.faults.map(({ code, message }) => `${code}: ${message}\n`),
    ...result.examples.map((example) => `${example}\n`),
    verdict(result),
  ].join("");
}

function verdict({ isProven, expired }: AuditResult): string {
  if (!isProven) return "NOT PROVEN\n";
  return expired === 0
    ? "PROVEN: every acknowledged message is filed exactly once, as it was sent\n"
    : "PROVEN: every acknowledged message is filed exactly once, as it was sent, or expired by the retention of its topic\n";
}
