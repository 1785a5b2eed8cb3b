import { BridgeError } from "../../bridge/errors.ts";
import type { Lane } from "../../bridge/lake/commit-log/lane-commits.ts";
import type { ProcessFactory } from "./process-factory.ts";
import type { Process, Scheduler } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { type SettlerPorts, type SettleSteps, settleSteps, settleTables } from "./settle-tables.ts";
import type { Violation } from "./violation.ts";
import type { World } from "./world.ts";

const drainRoundsMax = 50;

export interface UpkeepsOptions {
  readonly random: SeededRandom;
  readonly scheduler: Scheduler;
  readonly factory: ProcessFactory;
  readonly world: World;
  readonly steps: Partial<SettleSteps> | undefined;
}

interface UpkeepProcess {
  readonly process: Process;
  readonly ports: SettlerPorts;
  isAtWork: boolean;
}

/** Processes that settle tables. A lease keeps the product at one; here two may race. */
export class Upkeeps {
  readonly failed: Violation[] = [];
  /** Versions of tables that they created. */
  settled = 0;
  readonly #options: UpkeepsOptions;
  readonly #processesMax: number;
  /** Commits until the next round. */
  readonly #commitsPerRound: number;
  #processes: UpkeepProcess[] = [];
  #started = 0;
  #commitsAtRound = 0;

  constructor(options: UpkeepsOptions) {
    this.#options = options;
    const { random } = options;
    this.#processesMax = 1 + random.below(2);
    this.#commitsPerRound = 1 + random.below(5);
  }

  /** Starts a process or a round now and then. */
  step(): void {
    const { random, world } = this.#options;
    this.#processes = this.#processes.filter(({ process }) => !process.isDead);
    if (this.#processes.length < this.#processesMax && random.chance(0.05)) this.#start();
    const { length } = world.lake.commits;
    if (length - this.#commitsAtRound < this.#commitsPerRound) return;
    const idle = this.#processes.filter(({ isAtWork }) => !isAtWork);
    if (idle.length === 0 || !random.chance(0.05)) return;
    this.#commitsAtRound = length;
    const share = random.next();
    void this.#round(random.pick(idle), () => random.chance(share));
  }

  /** One more process settles the rest. */
  async drain(): Promise<void> {
    for (const { process } of this.#processes) this.#options.scheduler.kill(process);
    const last = this.#start();
    for (let rounds = 0; rounds < drainRoundsMax; rounds++)
      if ((await this.#round(last, () => true)) === 0) return;
  }

  #start(): UpkeepProcess {
    const process = { name: `u${++this.#started}`, isDead: false, pausedUntilStep: 0 };
    const started = { process, ports: this.#options.factory.openSettler(process), isAtWork: false };
    this.#processes.push(started);
    return started;
  }

  /** Resolves with the number of tables that lack rows; null if the round failed. */
  async #round(upkeep: UpkeepProcess, isDue: (name: string, lane: Lane) => boolean): Promise<number | null> {
    upkeep.isAtWork = true;
    try {
      const { settled, lacking } = await settleTables(upkeep.ports, isDue, {
        ...settleSteps,
        ...this.#options.steps,
      });
      this.settled += settled;
      return lacking;
    } catch (error) {
      if (error instanceof BridgeError && error.retryable) return null;
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.failed.push({ rule: "crashed", detail: `${upkeep.process.name}: ${detail}` });
      this.#options.scheduler.kill(upkeep.process);
      return null;
    } finally {
      upkeep.isAtWork = false;
    }
  }
}
