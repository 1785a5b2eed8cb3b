import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { programArguments } from "../support/programs.ts";
import type { SimulationResult } from "./run-simulation.ts";

/** A run of the protocol as it is, or of the broken variant of this name. */
export interface SimulationOrder {
  readonly seed: number;
  readonly variant?: string;
}

/**
 * Runs simulations in a process of its own. In its own process, the test runner tracks all promises (async
 * hooks), which costs twice as much as the simulation.
 */
export class SimulationProcess {
  readonly #child: ChildProcess;

  constructor() {
    const args = programArguments("test/support/simulation-child.ts");
    const program = args.pop() ?? "";
    this.#child = fork(program, { execArgv: args, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  }

  /** One at a time. Rejects if the process ends before it answers. */
  async run(order: SimulationOrder): Promise<SimulationResult> {
    const ended = new AbortController();
    const end = once(this.#child, "exit", { signal: ended.signal }).then(([code, signal]) => {
      throw new Error(`the process of the simulation ended with ${code ?? signal} at seed ${order.seed}`);
    });
    const answer = once(this.#child, "message", { signal: ended.signal });
    this.#child.send(order);
    try {
      const [result] = await Promise.race([answer, end as Promise<never>]);
      return result as SimulationResult;
    } finally {
      ended.abort();
      await Promise.allSettled([answer, end]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.disconnect();
    await exit;
  }
}
