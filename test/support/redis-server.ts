import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { durableRedis } from "../../simulator/prove/under-test/durable-redis.ts";
import { freePort } from "./free-port.ts";
import { longestWaitMs } from "./until.ts";

const startAttempts = 3;
const pollMs = 25;

/**
 * A real redis-server on 127.0.0.1 with a folder of its own, that can be killed, paused and started again.
 */
export class RedisServer {
  readonly port: number;
  readonly folder: string;
  readonly #settings: Record<string, string>;
  #process: ChildProcess | undefined;

  private constructor(port: number, settings: Readonly<Record<string, string>>) {
    this.port = port;
    this.folder = mkdtempSync(join(tmpdir(), "tidegate-redis-"));
    this.#settings = { ...durableRedis, ...settings };
  }

  /**
   * @param settings Directives of redis.conf, beside and instead of the durable ones; "" gives a directive an
   * empty value.
   */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new RedisServer(await freePort(), settings);
      try {
        await server.start();
        return server;
      } catch (error) {
        await server.destroy();
        // Another process may have taken the port meanwhile.
        if (attempt === startAttempts) throw error;
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new TypeError("the server is not running");
    return pid;
  }

  get isRunning(): boolean {
    const child = this.#process;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** A plain client, to inspect the server and harm it. The caller disconnects the client. */
  client(): Redis {
    const password = this.#settings["requirepass"];
    return new Redis({ port: this.port, lazyConnect: false, ...(password ? { password } : {}) });
  }

  /** Starts again on the same folder and port. The given settings stay. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    Object.assign(this.#settings, settings);
    const args = Object.entries({
      port: String(this.port),
      bind: "127.0.0.1",
      dir: this.folder,
      ...this.#settings,
    });
    this.#process = spawn(
      "redis-server",
      args.flatMap(([name, value]) => [`--${name}`, ...(value === "" ? [""] : value.split(" "))]),
      { stdio: "ignore" },
    );
    for (const endMs = performance.now() + longestWaitMs; performance.now() < endMs; ) {
      if (this.#process.exitCode !== null) break;
      if (await this.#answers()) return;
      await delay(pollMs);
    }
    throw new Error(`redis-server did not start on port ${this.port} (exit code ${this.#process.exitCode})`);
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || !this.isRunning) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  pause(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  resume(): void {
    process.kill(this.pid, "SIGCONT");
  }

  /** Kills it and removes its folder. */
  async destroy(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #answers(): Promise<boolean> {
    const probe = this.client();
    probe.on("error", () => {});
    try {
      // A server that loads its file answers LOADING. A server with another id on our port is not ours.
      const answers = Promise.all([probe.ping(), probe.info("server")]);
      const [pong, info] = await Promise.race([answers, delay(500, ["", ""] as const)]);
      return pong === "PONG" && info.includes(`process_id:${this.#process?.pid}\r`);
    } catch {
      return false;
    } finally {
      probe.disconnect();
    }
  }
}
