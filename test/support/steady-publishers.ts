import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { programArguments } from "./programs.ts";

export interface AcknowledgedMessage {
  readonly sentAtMs: number;
  readonly acknowledgedAtMs: number;
}

/** Devices in a process of their own, so that other work of the test is not measured. */
export class SteadyPublishers {
  readonly #child: ChildProcess;
  #output = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on("data", (chunk) => {
      this.#output += chunk;
    });
  }

  static async start(port: number, devices: number, perSecond: number): Promise<SteadyPublishers> {
    const program = programArguments("test/support/steady-publishers-child.ts");
    const child = spawn(process.execPath, [...program, String(port), String(devices), String(perSecond)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(child, "spawn");
    return new SteadyPublishers(child);
  }

  /** In the order of their acknowledgements. */
  get messages(): AcknowledgedMessage[] {
    const lines = this.#output.slice(0, this.#output.lastIndexOf("\n") + 1).split("\n");
    return lines.slice(0, -1).map((line) => {
      const [sentAtMs = 0, acknowledgedAtMs = 0] = line.split(" ").map(Number);
      return { sentAtMs, acknowledgedAtMs };
    });
  }

  /** Resolves once all that was sent is acknowledged. Throws if one of them was cut. */
  async stop(): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, "close");
    if (this.#child.exitCode !== 0) throw new Error(`the publishers ended with ${this.#child.exitCode}`);
  }
}
