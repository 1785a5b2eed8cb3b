import { readFileSync } from "node:fs";

const rowsMax = 40;

/** The time that a test file took, including processes that it waited for. */
export interface FileUsage {
  readonly file: string;
  /** By the wall clock. */
  readonly beganAtMs: number;
  readonly wallMs: number;
  /** null if the system does not report it. */
  readonly cpuMs: number | null;
}

/** Written by `test-process.ts`, one JSON object a line; a killed file has none. */
export function readUsage(path: string): FileUsage[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as FileUsage);
}

/**
 * The files with most CPU time, as lines of a table, then all: the time from the first one's begin to the last
 * one's end, and the sum of CPU time. [] for none.
 */
export function usageTable(usages: readonly FileUsage[]): string[] {
  if (usages.length === 0) return [];
  const byCost = usages.toSorted(
    (left, right) => (right.cpuMs ?? 0) - (left.cpuMs ?? 0) || right.wallMs - left.wallMs,
  );
  const shown = byCost.slice(0, rowsMax);
  const totalMs = usages.reduce((sum, { cpuMs }) => sum + (cpuMs ?? 0), 0);
  const beganAtMs = Math.min(...usages.map((each) => each.beganAtMs));
  const spanMs = Math.max(...usages.map((each) => each.beganAtMs + each.wallMs)) - beganAtMs;
  const hidden = usages.length - shown.length;
  const all = `all ${usages.length} files${hidden > 0 ? `, of which ${hidden} are not shown` : ""}`;
  return [
    row("wall s", "CPU s", "test file"),
    ...shown.map(({ wallMs, cpuMs, file }) => row(seconds(wallMs), seconds(cpuMs), file)),
    row(seconds(spanMs), seconds(totalMs), all),
  ];
}

function row(wall: string, cpu: string, text: string): string {
  return `${wall.padStart(7)} ${cpu.padStart(7)}  ${text}`;
}

function seconds(ms: number | null): string {
  return ms === null ? "?" : (ms / 1000).toFixed(1);
}
