import { BridgeError } from "../../bridge/errors.ts";
import type { Lane } from "../../bridge/lake/commit-log/lane-commits.ts";
import type { ProcessFactory } from "./process-factory.ts";
import type { Process, Scheduler } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";
import {
  type SettledRound,
  type SettlerPorts,
  type SettleSteps,
  settleSteps,
  settleTables,
} from "./settle-tables.ts";
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
  /** Versions of tables that they created before the end. */
  settled = 0;
  readonly #options: UpkeepsOptions;
  readonly #processesMax: number;
  /** Commits until the next round, unless the last one left something out. */
  readonly #commitsPerRound: number;
  #isWhole = true;
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
    const isDue = length - this.#commitsAtRound >= this.#commitsPerRound;
    if (length === 0 || !(isDue || !this.#isWhole)) return;
    const idle = this.#processes.filter(({ isAtWork }) => !isAtWork);
    if (idle.length === 0 || !random.chance(isDue ? 0.1 : 0.01)) return;
    this.#commitsAtRound = length;
    const share = random.chance(0.5) ? 1 : random.next();
    void this.#live(random.pick(idle), () => random.chance(share));
  }

  /** One more process settles the rest. */
  async drain(): Promise<void> {
    for (const { process } of this.#processes) this.#options.scheduler.kill(process);
    const last = this.#start();
    for (let rounds = 0; rounds < drainRoundsMax; rounds++)
      if ((await this.#round(last, () => true))?.lacking === 0) return;
  }

  async #live(upkeep: UpkeepProcess, isDue: (name: string, lane: Lane) => boolean): Promise<void> {
    // If the process dies, the next one has all to do.
    this.#isWhole = false;
    const round = await this.#round(upkeep, isDue);
    this.settled += round?.settled ?? 0;
    this.#isWhole = round?.lacking === 0;
  }

  #start(): UpkeepProcess {
    const process = { name: `u${++this.#started}`, isDead: false, pausedUntilStep: 0 };
    const started = { process, ports: this.#options.factory.openSettler(process), isAtWork: false };
    this.#processes.push(started);
    return started;
  }

  /** Resolves with null if the round failed. */
  async #round(
    upkeep: UpkeepProcess,
    isDue: (name: string, lane: Lane) => boolean,
  ): Promise<SettledRound | null> {
    upkeep.isAtWork = true;
    try {
      return await settleTables(upkeep.ports, isDue, {
        ...settleSteps,
        ...this.#options.steps,
      });
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
