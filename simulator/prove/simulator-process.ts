import { type ChildProcess, spawn } from "node:child_process";
import { openSync } from "node:fs";
import { dirname, extname, join } from "node:path";

export interface SimulatorResult {
  readonly exitCode: number;
  /** The last line of its output, if that was a JSON object. */
  readonly json: Readonly<Record<string, unknown>> | null;
}

/** `simulate` or `audit` in a process of its own. */
export class SimulatorProcess {
  readonly #child: ChildProcess;
  readonly result: Promise<SimulatorResult>;

  constructor(
    program: string,
    args: readonly string[],
    { logFile, environment = {} }: { logFile: string; environment?: Readonly<Record<string, string>> },
  ) {
    const simulator = join(dirname(program), "..", "simulator", `main${extname(program)}`);
    const log = openSync(logFile, "a");
    this.#child = spawn(process.execPath, [...process.execArgv, simulator, ...args, "--json"], {
      stdio: ["ignore", "pipe", log],
      env: { ...process.env, ...environment },
    });
    const chunks: Buffer[] = [];
    this.#child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    this.result = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code) =>
        resolve({ exitCode: code ?? 1, json: lastJson(Buffer.concat(chunks)) }),
      );
    });
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Stops publishing, waits for what is in flight, though not for longer than that, and reports. */
  async finish(drainMs: number): Promise<SimulatorResult> {
    this.#child.kill("SIGINT");
    const timer = setTimeout(() => this.#child.kill("SIGINT"), drainMs);
    try {
      return await this.result;
    } finally {
      clearTimeout(timer);
    }
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

function lastJson(output: Buffer): SimulatorResult["json"] {
  try {
    return JSON.parse(output.toString("utf8").trimEnd().split("\n").at(-1) ?? "");
  } catch {
    return null;
  }
}
