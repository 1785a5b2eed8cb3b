import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SimulatorError } from "../../errors.ts";

export interface ServerProcessOptions {
  /** For errors: what is started. */
  readonly name: string;
  /** Of 127.0.0.1. */
  readonly port: number;
  readonly command: string;
  readonly args: readonly string[];
  /** Beside the environment of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Whether it can be used; asked again and again while it starts. May throw: not yet. */
  readonly isReady: () => Promise<boolean>;
  /** Default 30 s. */
  readonly startTimeoutMs?: number;
  /** Awaited before TERM: resolves when it has saved what it has. */
  readonly saved?: () => Promise<void>;
  /** How long it may take to end on TERM, before KILL. Default 10 s. */
  readonly stopTimeoutMs?: number;
}

const startTimeoutMs = 30_000;
const stopTimeoutMs = 10_000;
const pollMs = 25;
const answerTimeoutMs = 1_000;

/** Servers that run: a process that ends without stopping them takes them along. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * A server in a process of its own. It can be stopped, killed, paused, and started again on the same port and
 * data.
 */
export class ServerProcess {
  readonly port: number;
  readonly #options: ServerProcessOptions;
  #process: ChildProcess | undefined;
  #tell: ((line: string) => void) | null = null;
  /** True once the process was told to end. */
  #isEnding = false;
  #restart: Promise<void> | null = null;

  constructor(options: ServerProcessOptions) {
    this.port = options.port;
    this.#options = options;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number | undefined {
    const { pid, exitCode, signalCode } = this.#process ?? {};
    return exitCode === null && signalCode === null ? pid : undefined;
  }

  /**
   * From now on, a server that ends by itself is started again, as a supervisor would do. An emulator may run
   * out of memory while a backlog is read.
   * @param tell Gets a line each time.
   */
  keepRunning(tell: (line: string) => void): void {
    this.#tell = tell;
  }

  /** Resolves when the server can be used. Throws PROVE_SERVER_FAILED; then it does not run. */
  async start(): Promise<void> {
    if (this.pid !== undefined) throw new TypeError(`${this.#options.name} runs already`);
    const { command, args, environment, logFile, name } = this.#options;
    mkdirSync(dirname(logFile), { recursive: true });
    const log = openSync(logFile, "a");
    const env = { ...process.env, ...environment };
    const child = spawn(command, [...args], { stdio: ["ignore", log, log], env });
    closeSync(log);
    this.#process = child;
    this.#isEnding = false;
    running.add(child);
    child.once("exit", () => running.delete(child));
    // Without a listener a later error, for example of a failed kill, would end this process.
    child.on("error", () => {});
    const failure = await once(child, "spawn").then(
      () => null,
      (error: Error) => error,
    );
    if (!failure && (await this.#becameReady())) return this.#watch(child);
    const end = this.pid === undefined ? `ended with ${child.exitCode ?? child.signalCode}` : "too slow";
    await this.#killProcess();
    running.delete(child);
    const reason = failure?.message ?? end;
    throw new SimulatorError("PROVE_SERVER_FAILED", `${name} did not start (${reason}): see ${logFile}`, {
      retryable: false,
    });
  }

  /** SIGTERM, then SIGKILL if that does not end the process in time. */
  async stop(): Promise<void> {
    await this.#end();
    const child = this.#process;
    if (this.pid !== undefined) await this.#options.saved?.();
    if (this.pid === undefined || !child) return;
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    const isOver = await Promise.race([
      exited,
      delay(this.#options.stopTimeoutMs ?? stopTimeoutMs, "late" as const, { ref: false }),
    ]);
    if (isOver === "late") await this.kill();
  }

  async kill(): Promise<void> {
    await this.#end();
    await this.#killProcess();
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    if (this.pid !== undefined) process.kill(this.pid, signal);
  }

  async #killProcess(): Promise<void> {
    const child = this.#process;
    if (this.pid === undefined || !child) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  async #end(): Promise<void> {
    this.#isEnding = true;
    await this.#restart;
    this.#isEnding = true;
  }

  #watch(child: ChildProcess): void {
    child.once("exit", (code, signal) => {
      if (this.#isEnding || !this.#tell) return;
      this.#tell(`${this.#options.name} ended by itself (${code ?? signal}) and is started again`);
      this.#restart = this.start()
        .catch((error: Error) => this.#tell?.(error.message))
        .finally(() => {
          this.#restart = null;
        });
    });
  }

  async #becameReady(): Promise<boolean> {
    const deadlineMs = Date.now() + (this.#options.startTimeoutMs ?? startTimeoutMs);
    while (Date.now() < deadlineMs && this.pid !== undefined) {
      // Another server may sit on the port while ours is dying of that.
      if ((await this.#options.isReady().catch(() => false)) && this.pid !== undefined) return true;
      await delay(pollMs);
    }
    return false;
  }
}

/** Whether anything speaks HTTP there, whatever it says. */
export async function answersHttp(url: string): Promise<boolean> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(answerTimeoutMs) });
  await answer.arrayBuffer();
  return true;
}
