import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface StartedProgram {
  readonly child: ChildProcess;
  readonly ended: Promise<ProgramResult>;
}

/** Runs a program to its end, with nothing on its stdin. */
export function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<ProgramResult> {
  return startProgram(file, args, options).ended;
}

/** Starts a program, with nothing on its stdin. */
export function startProgram(file: string, args: readonly string[], options: ProgramOptions): StartedProgram {
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, ended };
}
