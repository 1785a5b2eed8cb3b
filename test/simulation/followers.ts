import { BridgeError } from "../../bridge/errors.ts";
import type { CommittedRows } from "../../bridge/lake/follow/committed-rows.ts";
import { FollowerDestination } from "./follower-destination.ts";
import type { ProcessFactory } from "./process-factory.ts";
import type { Process, Scheduler } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** The port of one follower; a broken variant may change it. */
export type BreakFollower = (rows: CommittedRows, world: World) => CommittedRows;

export interface FollowerFaults {
  /** How many followers live at a time; default 0. */
  readonly followersMax?: number;
  readonly breakFollower?: BreakFollower;
  /** The destination accepts rows at any position. */
  readonly movesUnguarded?: boolean;
}

export interface FollowersOptions {
  readonly random: SeededRandom;
  readonly scheduler: Scheduler;
  readonly factory: ProcessFactory;
  readonly world: World;
  readonly faults: FollowerFaults;
}

/** Processes that follow the commit log, independent of the consumers. */
export class Followers {
  readonly #options: FollowersOptions;
  readonly #destination: FollowerDestination;
  readonly #failed: Violation[] = [];
  #processes: Process[] = [];
  /** How often one is started, per step. Late ones may be too far behind. */
  readonly #eagerness: number;
  #started = 0;

  constructor(options: FollowersOptions) {
    this.#options = options;
    const { world, faults, random } = options;
    this.#destination = new FollowerDestination(world, { isUnguarded: faults.movesUnguarded ?? false });
    this.#eagerness = this.#isOn && random.chance(0.3) ? 0.0005 : 0.05;
  }

  get facts(): { readonly followed: number; readonly skipped: number } {
    return { followed: this.#destination.rows, skipped: this.#destination.skippedCommits };
  }

  /** Starts one now and then. */
  step(): void {
    const { random, faults } = this.#options;
    this.#processes = this.#processes.filter(({ isDead }) => !isDead);
    if (this.#processes.length < (faults.followersMax ?? 0) && random.chance(this.#eagerness))
      void this.#start(false);
  }

  /** One more follower reads the rest. */
  async drain(): Promise<void> {
    for (const process of this.#processes) this.#options.scheduler.kill(process);
    if (this.#isOn) await this.#start(true);
  }

  check(): Violation[] {
    return this.#isOn ? [...this.#failed, ...this.#destination.check()] : [];
  }

  get #isOn(): boolean {
    return (this.#options.faults.followersMax ?? 0) > 0;
  }

  async #start(isLast: boolean): Promise<void> {
    const process: Process = { name: `f${++this.#started}`, isDead: false, pausedUntilStep: 0 };
    this.#processes.push(process);
    const { factory, scheduler, faults, world } = this.#options;
    const opened = factory.openFollower(process);
    const rows = faults.breakFollower?.(opened, world) ?? opened;
    try {
      while (!(await this.#pass(process, rows)) || !isLast)
        await scheduler.call(process, "sleep", () => undefined);
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#failed.push({ rule: "crashed", detail: `${process.name}: ${detail}` });
      scheduler.kill(process);
    }
  }

  /** True if it has read up to the newest commit. */
  async #pass(process: Process, rows: CommittedRows): Promise<boolean> {
    const { scheduler } = this.#options;
    const destination = this.#destination;
    const call = <Result>(name: string, effect: () => Result) => scheduler.call(process, name, effect);
    try {
      const from = await call("position", () => destination.position);
      for await (const chunk of rows.read(from)) {
        const { commit, row } = chunk.from;
        if (!(await call(`put ${commit}/${row}`, () => destination.put(chunk)))) return false;
      }
      return true;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      const { earliest } = error.details;
      if (error.code === "FOLLOWER_TOO_FAR_BEHIND" && typeof earliest === "number")
        await call(`skip to ${earliest}`, () => destination.skipTo(earliest)).catch(() => undefined);
      else if (!error.retryable) throw error;
      return false;
    }
  }
}
