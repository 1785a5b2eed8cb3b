import { spawnSync } from "node:child_process";
import { join } from "node:path";

const missingExitCode = 3;

function runPython(script: string, args: readonly string[]): string {
  const run = spawnSync("python3", [join(import.meta.dirname, script), ...args], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`${script} ${args.join(" ")}: ${run.stderr || run.error}`);
  return run.stdout;
}

/** Why the tests with delta-rs can't run here, or false. */
export function deltaRsMissing(): string | false {
  const run = spawnSync("python3", [join(import.meta.dirname, "read-delta.py"), "/nowhere"], {
    encoding: "utf8",
  });
  if (run.error) return "python3 is not installed";
  if (run.status !== missingExitCode) return false;
  return `${run.stderr.trim()}: python3 -m pip install deltalake pyarrow`;
}

export interface DeltaRsView {
  readonly version: number;
  readonly schema: Readonly<Record<string, string>>;
  readonly partitionColumns: readonly string[];
  readonly files: number;
  readonly rows: number;
  readonly recordsByStatistics: number;
  readonly distinctDevices: number;
  readonly sample: readonly Readonly<Record<string, unknown>>[];
}

/** The rows that delta-rs reads from a table. */
export function readWithDeltaRs(
  folder: string,
  options: { version?: number; where?: readonly (readonly [string, string, string])[]; rows?: number } = {},
): DeltaRsView {
  const args = [folder, "--rows", String(options.rows ?? 0)];
  if (options.version !== undefined) args.push("--version", String(options.version));
  for (const condition of options.where ?? []) args.push("--where", ...condition);
  return JSON.parse(runPython("read-delta.py", args));
}

export type DeltaRsChange =
  | "append"
  | "add-column"
  | "checkpoint"
  | "compact"
  | "delete"
  | "vacuum"
  | "add-constraint"
  | "enable-change-data"
  | "enable-deletion-vectors"
  | "forbid-removes"
  | "allow-removes"
  | "undo-retention";

/** Changes a table with delta-rs; its one foreign row is of the device `foreign-device`. */
export function changeWithDeltaRs(folder: string, change: DeltaRsChange): void {
  runPython("write-delta.py", [folder, change]);
}
