import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SimulatorError } from "../../errors.ts";
import { freePort } from "../free-port.ts";
import type { ServerUnderTest } from "../server-under-test.ts";
import type { Strike } from "../strike.ts";
import { durableRedis } from "./durable-redis.ts";
import { FaultProxy } from "./fault-proxy.ts";

export interface RedisServerOptions {
  readonly folder: string;
  /** `everysec` loses acknowledged writes: only for showing that the audit finds it. */
  readonly appendfsync: "always" | "everysec";
}

const startTimeoutMs = 30_000;
const pollMs = 25;
const answerTimeoutMs = 1_000;

/** A redis-server of the proof's own, reached through a proxy that spoils connections. */
export class RedisUnderTest implements ServerUnderTest {
  readonly environment = {};
  readonly #options: RedisServerOptions;
  readonly #port: number;
  readonly #proxy: FaultProxy;
  #process: ChildProcess | undefined;

  private constructor(options: RedisServerOptions, port: number, proxy: FaultProxy) {
    this.#options = options;
    this.#port = port;
    this.#proxy = proxy;
  }

  /** Throws PROVE_SERVER_FAILED. */
  static async start(options: RedisServerOptions): Promise<RedisUnderTest> {
    mkdirSync(options.folder, { recursive: true });
    const port = await freePort();
    const server = new RedisUnderTest(options, port, await FaultProxy.start(port));
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** For the gateways. */
  get url(): string {
    return `redis://127.0.0.1:${this.#proxy.port}/0?prefix=prove`;
  }

  get pid(): number | undefined {
    const { pid, exitCode, signalCode } = this.#process ?? {};
    return exitCode === null && signalCode === null ? pid : undefined;
  }

  async start(): Promise<void> {
    const { folder, appendfsync } = this.#options;
    const place = { port: String(this.#port), bind: "127.0.0.1", dir: folder };
    const settings = { ...place, ...durableRedis, appendfsync };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const log = openSync(join(folder, "server.log"), "a");
    const child = spawn("redis-server", args, { stdio: ["ignore", log, log] });
    this.#process = child;
    let failure: Error | null = null;
    child.once("error", (error) => {
      failure = error;
    });
    for (
      const deadlineMs = performance.now() + startTimeoutMs;
      performance.now() < deadlineMs;
      await delay(pollMs)
    ) {
      if (failure || child.exitCode !== null) break;
      if ((await this.command("PING").catch(() => "")).startsWith("+PONG")) return;
    }
    throw new SimulatorError(
      "PROVE_SERVER_FAILED",
      `redis-server did not start (${(failure as Error | null)?.message ?? `see server.log in ${folder}`}). Install it (Debian: apt-get install redis-server), or name a running one: --stream redis://HOST:PORT`,
      { retryable: false },
    );
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (this.pid === undefined || !child) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    if (this.pid !== undefined) process.kill(this.pid, signal);
  }

  cut(): void {
    this.#proxy.reset();
  }

  silence(forMs: number): Promise<void> {
    return this.#proxy.silence(forMs);
  }

  async strike({
    fault,
    pauseMs,
    absenceMs,
  }: Pick<Strike, "fault" | "pauseMs" | "absenceMs">): Promise<null> {
    switch (fault) {
      case "kill":
        await this.kill();
        await delay(absenceMs);
        await this.start();
        break;
      case "pause":
        this.signal("SIGSTOP");
        await delay(pauseMs);
        this.signal("SIGCONT");
        break;
      case "cut":
        this.cut();
        break;
      case "silence":
        await this.silence(pauseMs);
        break;
      case "flush":
        await this.command("FLUSHALL");
        break;
      case "full":
        await this.limitMemory(true);
        await delay(pauseMs);
        await this.limitMemory(false);
        break;
      default:
        throw new TypeError(`redis-server knows no ${fault}`);
    }
    return null;
  }

  /** Lets it have hardly more memory than it uses; `false` takes the limit away. */
  async limitMemory(isLimited: boolean): Promise<void> {
    const used = isLimited
      ? Number(/used_memory:(\d+)/.exec(await this.command("INFO memory"))?.[1] ?? 0)
      : 0;
    await this.command(`CONFIG SET maxmemory ${isLimited ? used + memoryLeftBytes : 0}`);
  }

  /** Its files are in the proof's folder already. */
  async keep(): Promise<void> {}

  /** Kills it and takes the proxy away. */
  async close(): Promise<void> {
    await this.#proxy.close();
    this.signal("SIGCONT");
    await this.kill();
  }

  /** Sends one inline command past the proxy; resolves with the beginning of its answer. */
  command(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: this.#port });
      socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error("no answer in time")));
      socket.once("connect", () => socket.write(`${text}\r\n`));
      socket.once("error", reject);
      socket.once("data", (answer) => {
        resolve(answer.toString("latin1"));
        socket.destroy();
      });
    });
  }
}

const memoryLeftBytes = 64 * 1024;
