import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { programArguments } from "./programs.ts";
import { longestWaitMs } from "./until.ts";

const program = programArguments("test/support/stream-child.ts");

/** A running `stream-child.ts`, with the lines that it has printed. */
export class StreamProcess {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  #rest = "";

  constructor(mode: string, folder: string, wrapper: readonly string[] = []) {
    const command = [...wrapper, process.execPath, ...program, mode, folder];
    this.child = spawn(command[0] ?? "", command.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() ?? "";
      this.lines.push(...lines);
    });
  }

  /** Waits until that many lines match; rejects once the process has ended, or after the longest wait. */
  async waitForLines(pattern: RegExp, count = 1): Promise<string[]> {
    for (const end = Date.now() + longestWaitMs; ; await sleep(2)) {
      const found = this.lines.filter((line) => pattern.test(line));
      if (found.length >= count) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null || Date.now() > end)
        throw new Error(`no ${count} lines like ${pattern}; last: ${this.lines.slice(-3).join(" | ")}`);
    }
  }

  /** Resolves once a signal has stopped it. */
  async stopped(): Promise<void> {
    const isStopped = (): boolean => / T /.test(readFileSync(`/proc/${this.child.pid}/stat`, "utf8"));
    for (const end = Date.now() + longestWaitMs; !isStopped(); await sleep(2))
      if (Date.now() > end) throw new Error("the process was not stopped");
  }

  send(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Kills it. Afterwards `lines` has its whole output. */
  async kill(): Promise<void> {
    const ended = this.child.exitCode !== null || this.child.signalCode !== null;
    const closed = ended ? Promise.resolve() : once(this.child, "close");
    this.child.kill("SIGKILL");
    await closed;
  }
}

/**
 * Runs the body with the name of a folder without a stream, and a way to start processes on it. Afterwards
 * ends the processes and removes the folder.
 */
export async function withStreamFolder(
  body: (folder: string, start: (mode: string) => StreamProcess) => Promise<void>,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "tidegate-stream-"));
  const folder = join(root, "stream");
  const started: StreamProcess[] = [];
  const start = (mode: string): StreamProcess => {
    const process = new StreamProcess(mode, folder);
    started.push(process);
    return process;
  };
  try {
    await body(folder, start);
  } finally {
    for (const process of started) await process.kill();
    rmSync(root, { recursive: true });
  }
}
