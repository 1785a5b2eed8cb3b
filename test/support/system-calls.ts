import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { longestWaitMs } from "./until.ts";

/**
 * The begin or end of a system call in strace's output. A call without others in between begins and ends on
 * one line.
 */
export interface TracedCall {
  readonly name: string;
  /** With descriptors as `7</path>` or `9<TCP:[…]>`, and strings. */
  readonly text: string;
  /** Indexes of the lines of its begin and its end. */
  readonly beganAt: number;
  readonly endedAt: number;
}

/** strace on all threads of a running process, into a file. */
export class SystemCalls {
  readonly #strace: ChildProcess;
  readonly #file: string;

  private constructor(strace: ChildProcess, file: string) {
    this.#strace = strace;
    this.#file = file;
  }

  /** Resolves once strace is attached, or with the reason if that is not permitted or strace is missing. */
  static async attach(pid: number, file: string, calls: string): Promise<SystemCalls | { reason: string }> {
    const probe = spawnSync("strace", ["-V"], { encoding: "utf8" });
    if (probe.error) return { reason: `no strace: ${probe.error.message}` };
    const flags = ["-f", "-yy", "-s", "16384", "-e", `trace=${calls}`, "-e", "signal=none"];
    const strace = spawn("strace", [...flags, "-o", file, "-p", String(pid)], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    strace.stderr.on("data", (chunk) => {
      said += chunk;
    });
    for (const end = Date.now() + longestWaitMs; !said.includes("attached"); await sleep(20)) {
      if (strace.exitCode === null && Date.now() < end) continue;
      strace.kill("SIGKILL");
      return { reason: `strace can't be attached here: ${said.trim()}` };
    }
    return new SystemCalls(strace, file);
  }

  /** Detaches. Resolves with the calls, in the order of their begin. */
  async end(): Promise<TracedCall[]> {
    const closed = once(this.#strace, "close");
    this.#strace.kill("SIGINT");
    await closed;
    return tracedCalls(this.#file);
  }
}

/**
 * A command that runs another one under strace, with all of its processes and threads; null if strace is
 * missing or not permitted. The started process is the other command's, not strace's.
 */
export function traced(file: string, calls: string): string[] | null {
  const command = ["strace", "-D", "-f", "--seccomp-bpf", "-yy", "-s", "16384", "-e", "signal=none"];
  if (spawnSync("strace", ["-f", "-o", "/dev/null", "true"]).status !== 0) return null;
  return [...command, "-e", `trace=${calls}`, "-o", file];
}

/** The calls of a trace, in the order of their begin. */
export function tracedCalls(file: string): TracedCall[] {
  return callsOf(readFileSync(file, "utf8").split("\n"));
}

function callsOf(lines: readonly string[]): TracedCall[] {
  const calls: TracedCall[] = [];
  const unfinished = new Map<string, { name: string; text: string; beganAt: number }>();
  for (const [index, line] of lines.entries()) {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    const name = resumed?.[1] ?? /^(\w+)\(/.exec(rest)?.[1];
    if (name === undefined) continue;
    if (resumed) {
      const call = unfinished.get(thread);
      unfinished.delete(thread);
      if (call) calls.push({ ...call, text: call.text + (resumed[2] ?? ""), endedAt: index });
    } else if (rest.endsWith("<unfinished ...>")) {
      unfinished.set(thread, { name, text: rest.replace(/ *<unfinished \.\.\.>$/, ""), beganAt: index });
    } else calls.push({ name, text: rest, beganAt: index, endedAt: index });
  }
  return calls.sort((left, right) => left.beganAt - right.beganAt);
}
