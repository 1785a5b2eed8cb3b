import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { runCommandLine } from "../../gateway/cli/run-command-line.ts";
import { type RoleName, roleNames } from "../../gateway/processes/messages.ts";
import { checkAnswersOf } from "./checked-fetch.ts";
import { freePort } from "./free-port.ts";
import { compiledGateway, gatewayArguments } from "./programs.ts";
import { type ProgramResult, runProgram } from "./run-program.ts";
import { longestWaitMs } from "./until.ts";

const root = join(import.meta.dirname, "..", "..");
const program = gatewayArguments();

export interface CliResult extends ProgramResult {
  /** The last line of stdout as JSON, if that line is JSON. */
  readonly json: unknown;
}

/**
 * Runs a command of `tidegate` in this process, because for many commands, starting processes would take
 * most of the time.
 */
export async function runCommand(args: readonly string[]): Promise<CliResult> {
  let stdout = "";
  let stderr = "";
  const code = await runCommandLine(args, {
    streams: {
      out: (text) => {
        stdout += text;
      },
      error: (text) => {
        stderr += text;
      },
    },
    variables: {},
    version: "test",
    program: compiledGateway,
  });
  return { code, stdout, stderr, json: lastJson(stdout) };
}

/** Settings of a gateway that must drain before it ends, even on a slow or busy machine. */
export const endsInTime = { TIDEGATE_SHUTDOWN_TIMEOUT_MS: String(longestWaitMs) };

/** For `up`: free ports. */
export const freePorts: readonly string[] = ["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"];

/** The error that a command with `--json` ended with. */
export function errorOf({ json }: CliResult): { code: string; message: string } {
  return (json as { error: { code: string; message: string } }).error;
}

/**
 * Runs `tidegate ARGS` in a process of its own, to its end; by way of `wrapper`, a command that runs another
 * one.
 */
export async function runCli(
  args: readonly string[],
  environment: Record<string, string> = {},
  wrapper: readonly string[] = [],
): Promise<CliResult> {
  const [file = process.execPath, ...rest] = [...wrapper, process.execPath];
  return await collect(file, [...rest, ...program, ...args], environment);
}

/** Runs a command line in a shell. */
export async function runShellCommand(command: string): Promise<CliResult> {
  const words = [process.execPath, ...program].map((word) => `'${word}'`).join(" ");
  return await collect("sh", ["-c", command.replace(/^(npx )?tidegate /, () => `${words} `)], {});
}

async function collect(
  file: string,
  args: readonly string[],
  environment: Record<string, string>,
): Promise<CliResult> {
  const result = await runProgram(file, args, { cwd: root, environment });
  return { ...result, json: lastJson(result.stdout) };
}

function lastJson(stdout: string): unknown {
  try {
    return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  } catch {
    return null;
  }
}

export interface GatewayOptions {
  /** Default: a new folder under the system's temporary one, removed by `destroy`. */
  readonly dataFolder?: string;
  /** Further flags of `tidegate up`. */
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: true; false resolves as soon as the process runs. */
  readonly waitUntilReady?: boolean;
}

/** A real `tidegate up` on free ports of 127.0.0.1. Restarts keep folder and ports. */
export class GatewayProcess {
  readonly dataFolder: string;
  readonly mqttPort: number;
  readonly httpPort: number;
  readonly #options: GatewayOptions;
  readonly #isOwnFolder: boolean;
  #child: ChildProcess | undefined;
  #output = "";

  private constructor(options: GatewayOptions, dataFolder: string, ports: { mqtt: number; http: number }) {
    this.#options = options;
    this.#isOwnFolder = options.dataFolder === undefined;
    this.dataFolder = dataFolder;
    this.mqttPort = ports.mqtt;
    this.httpPort = ports.http;
    checkAnswersOf(this.httpUrl);
  }

  static async start(options: GatewayOptions = {}): Promise<GatewayProcess> {
    const folder = options.dataFolder ?? mkdtempSync(join(tmpdir(), "tidegate-test-"));
    const gateway = new GatewayProcess(options, folder, { mqtt: await freePort(), http: await freePort() });
    await gateway.start();
    return gateway;
  }

  get mqttUrl(): string {
    return `mqtt://127.0.0.1:${this.mqttPort}`;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  get token(): string {
    return readFileSync(join(this.dataFolder, "api-token"), "utf8").trim();
  }

  /** stdout and stderr of all its processes so far, over all starts. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("the gateway does not run");
    return pid;
  }

  /**
   * Starts it again after it ended.
   * @param settings Go before those of the first start.
   */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const { flags = [], environment = {}, waitUntilReady = true } = this.#options;
    const addresses = ["--mqtt", `127.0.0.1:${this.mqttPort}`, "--http", `127.0.0.1:${this.httpPort}`];
    const child = spawn(
      process.execPath,
      [...program, "up", "--data", this.dataFolder, ...addresses, ...flags],
      {
        cwd: root,
        env: { ...process.env, ...environment, ...settings },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        this.#output += chunk;
      });
    await once(child, "spawn");
    if (waitUntilReady) await this.waitUntilReady();
  }

  /**
   * Resolves once publishes are accepted and filed; rejects with the output if the gateway ends or takes too
   * long.
   */
  async waitUntilReady(): Promise<void> {
    await this.until("it is ready", async () => (await fetch(`${this.httpUrl}/readyz`)).ok);
  }

  /** Resolves once its upkeep runs as well: a fault before that ends the start of a process. */
  async waitUntilAllRun(): Promise<void> {
    await this.until("all processes run", async () => {
      const { processes } = (await this.api("GET", "/v1/status")).body as unknown as {
        processes: { state: string }[];
      };
      return processes.every(({ state }) => state === "ready");
    });
  }

  /** Polls until the condition holds; an exception counts as false. */
  async until(
    what: string,
    condition: () => Promise<boolean> | boolean,
    timeoutMs = longestWaitMs,
  ): Promise<void> {
    const deadlineMs = Date.now() + timeoutMs;
    // A question costs the gateway's processes about 5 ms of CPU time.
    for (let pauseMs = 25; Date.now() < deadlineMs; pauseMs = Math.min(250, pauseMs * 1.2)) {
      if (await Promise.resolve(condition()).catch(() => false)) return;
      if (this.#child?.exitCode !== null || this.#child.signalCode !== null) break;
      await delay(pauseMs);
    }
    throw new Error(
      `waited in vain until ${what} (exit code ${this.#child?.exitCode}); its output:\n${this.#output}`,
    );
  }

  /** A JSON call of the HTTP API with the admin token. */
  async api(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(this.httpUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  /** The metrics as Prometheus reads them. */
  async metrics(): Promise<string> {
    const headers = { authorization: `Bearer ${this.token}` };
    return await (await fetch(`${this.httpUrl}/metrics`, { headers })).text();
  }

  /** `tidegate ARGS --data FOLDER --json`, in this process. */
  cli(...args: string[]): Promise<CliResult> {
    return runCommand([...args, "--data", this.dataFolder, "--json"]);
  }

  /** The rows of `tidegate query`. */
  async query(sql: string): Promise<Record<string, unknown>[]> {
    const result = await this.cli("query", sql);
    if (result.code !== 0) throw new Error(`query failed: ${result.stderr}`);
    return (result.json as { rows: Record<string, unknown>[] }).rows;
  }

  /** The pid of a child process, from the record of the data folder; null if there is none now. */
  childPid(role: RoleName): number | null {
    const record = JSON.parse(readFileSync(join(this.dataFolder, "processes.json"), "utf8")) as {
      children: { role: string; pid: number }[];
    };
    return record.children.find((child) => child.role === role)?.pid ?? null;
  }

  /** Sends a signal to the supervisor. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Resolves with the exit code once the supervisor has ended (null: a signal ended it). */
  async exited(): Promise<number | null> {
    const child = this.#child;
    if (!child) return null;
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    return child.exitCode;
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) this.signal("SIGTERM");
    return await this.exited();
  }

  /** Ends it in any state, and removes its folder. */
  async destroy(): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    if (!this.#isOwnFolder) return;
    await this.#childrenGone();
    rmSync(this.dataFolder, { recursive: true, force: true });
  }

  /** Children end by themselves; one that a test has stopped is killed. */
  async #childrenGone(): Promise<void> {
    for (const role of roleNames) {
      const pid = existsSync(join(this.dataFolder, "processes.json")) ? this.childPid(role) : null;
      if (pid === null) continue;
      for (let attempt = 0; isAlive(pid) && attempt < 100; attempt++) {
        if (attempt === 40) process.kill(pid, "SIGKILL");
        await delay(25);
      }
    }
  }
}

/** True for a running or stopped process; a zombie counts as ended. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch {
    return false;
  }
}
