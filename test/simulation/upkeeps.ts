import { BridgeError } from "../../bridge/errors.ts";
import { type Lane, lanes } from "../../bridge/lake/commit-log/lane-commits.ts";
import type { RoundLimits } from "../../bridge/lake/settle/round-commits.ts";
import { type RoundResult, settleRound } from "../../bridge/lake/settle/settle-round.ts";
import { SettleTables, type SettleTablesOptions } from "../../bridge/lake/settle/settle-tables.ts";
import { waitingLanes } from "../../bridge/lake/settle/waiting-lanes.ts";
import type { ProcessFactory } from "./process-factory.ts";
import type { Process, Scheduler } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Violation } from "./violation.ts";
import type { World } from "./world.ts";

const drainRoundsMax = 50;
/** The retry of every parked table is due after it. */
const longestRetryMs = 30_000;

/** The tables as a settling process knows them; a broken variant knows them otherwise. */
export type OpenTables = (options: SettleTablesOptions, world: World) => SettleTables;

export interface UpkeepsOptions {
  readonly random: SeededRandom;
  readonly scheduler: Scheduler;
  readonly factory: ProcessFactory;
  readonly world: World;
  readonly openTables: OpenTables | undefined;
}

interface UpkeepProcess {
  readonly process: Process;
  readonly tables: SettleTables;
  isAtWork: boolean;
}

/** What a round settles. */
interface Choice {
  readonly isDue: (name: string, lane: Lane) => boolean;
  readonly asked: ReadonlySet<string>;
  readonly limits?: RoundLimits;
}

const everything: Choice = { isDue: () => true, asked: new Set() };

/**
 * Processes that settle tables by the product's rounds, of tables and lanes that the seed draws. A lease keeps the
 * product at one process; here two may race.
 */
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
    this.#commitsPerRound = 1 + random.below(2);
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
    if (idle.length === 0 || !random.chance(isDue ? 0.5 : 0.02)) return;
    this.#commitsAtRound = length;
    void this.#live(random.pick(idle), this.#choose());
  }

  /** One more process settles the rest. */
  async drain(): Promise<void> {
    for (const { process } of this.#processes) this.#options.scheduler.kill(process);
    const last = this.#start();
    for (let rounds = 0; rounds < drainRoundsMax; rounds++) {
      if ((await this.#round(last, everything)) === "nothing") return;
      this.#options.world.clock.nowMs += longestRetryMs;
    }
  }

  #choose(): Choice {
    const { random, world } = this.#options;
    const share = random.chance(0.5) ? 1 : random.next();
    const asked = random.chance(0.1) ? [...world.lake.tables.keys()].filter(() => random.chance(0.5)) : [];
    const limits = { sizeMax: 100 * (1 + random.below(20)), commitsMax: 1 + random.below(5), filesMax: 5 };
    return {
      isDue: () => random.chance(share),
      asked: new Set(asked),
      ...(random.chance(0.2) && { limits }),
    };
  }

  async #live(upkeep: UpkeepProcess, choice: Choice): Promise<void> {
    // If the process dies, the next one has all to do.
    this.#isWhole = false;
    const round = await this.#round(upkeep, choice);
    this.#isWhole = round === "nothing";
    if (!round || round === "nothing") return;
    for (const { outcome } of round.tables.values()) if (outcome === "settled") this.settled += 1;
  }

  #start(): UpkeepProcess {
    const { factory, world, openTables = (options) => new SettleTables(options) } = this.#options;
    const process = { name: `u${++this.#started}`, isDead: false, pausedUntilStep: 0 };
    const started = { process, tables: openTables(factory.openSettler(process), world), isAtWork: false };
    this.#processes.push(started);
    return started;
  }

  /** Resolves with "nothing" if no rows wait, and with null if the round failed. */
  async #round(
    upkeep: UpkeepProcess,
    { isDue, asked, limits }: Choice,
  ): Promise<RoundResult | "nothing" | null> {
    const { process, tables } = upkeep;
    upkeep.isAtWork = true;
    try {
      const waiting = await waitingLanes(tables);
      if (waiting.size === 0 && asked.size === 0) return "nothing";
      const due = [...waiting].map(
        ([name, ofTable]) => [name, lanes.filter((lane) => ofTable[lane] && isDue(name, lane))] as const,
      );
      const wanted = new Map(due.filter(([, ofTable]) => ofTable.length > 0));
      return await settleRound(tables, wanted, { asked, ...(limits && { limits }) });
    } catch (error) {
      if (error instanceof BridgeError && error.retryable) return null;
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.failed.push({ rule: "crashed", detail: `${process.name}: ${detail}` });
      this.#options.scheduler.kill(process);
      return null;
    } finally {
      upkeep.isAtWork = false;
    }
  }
}
