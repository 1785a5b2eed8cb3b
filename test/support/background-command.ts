import { once } from "node:events";
import { type ProgramResult, type StartedProgram, startProgram } from "./run-program.ts";
import { until } from "./until.ts";

/** A command line that runs in the background until it is ended, as in a terminal. */
export class BackgroundCommand {
  readonly #program: StartedProgram;
  readonly #command: string;
  #result: ProgramResult | null = null;

  constructor(command: string, folder: string, environment: Readonly<Record<string, string>> = {}) {
    this.#command = command;
    // `exec` replaces the shell, so that signals reach the command.
    this.#program = startProgram("bash", ["-c", `exec ${command}`], { cwd: folder, environment });
    this.#program.ended.then((result) => {
      this.#result = result;
    });
  }

  /** Resolves once the condition holds; rejects with the output if the command ended. */
  async until(what: string, condition: () => Promise<boolean>): Promise<void> {
    await until(what, async () => this.#result !== null || (await condition().catch(() => false)));
    if (this.#result) throw new Error(`${this.#command} ended: ${this.#result.stdout}${this.#result.stderr}`);
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    if (this.#result === null) this.#program.child.kill("SIGTERM");
    return (await this.#program.ended).code;
  }

  /** Ends it in any state. */
  async destroy(): Promise<void> {
    if (this.#result !== null) return;
    this.#program.child.kill("SIGKILL");
    await once(this.#program.child, "close");
  }
}
