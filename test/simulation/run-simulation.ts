import { type Consumer, createConsumer } from "../../bridge/lake/consumer/consumer.ts";
import type { ConsumerOptions } from "../../bridge/lake/consumer/consumer-options.ts";
import { ownEverything } from "../../bridge/leases/partition-leases.ts";
import { AnotherWriter } from "./another-writer.ts";
import { checkLake } from "./checkers.ts";
import { type FollowerFaults, Followers } from "./followers.ts";
import { type LakeFaults, type LandingOfRun, ProcessFactory } from "./process-factory.ts";
import { type CutLake, Queries } from "./queries.ts";
import { type FaultRates, type Process, Scheduler } from "./scheduler.ts";
import { SeededRandom } from "./seeded-random.ts";
import { type OpenTables, Upkeeps } from "./upkeeps.ts";
import type { Violation } from "./violation.ts";
import { WanderingLeases } from "./wandering-leases.ts";
import type { WindowFaults } from "./window-server.ts";
import { type Clock, World } from "./world.ts";

const drainStepsMax = 20_000;
const vacuumsMax = 2;
/** Age at which every file is old enough for vacuum. */
const longAfterMs = 1_000_000;

const landingSeed = 0x5eed;
/** Share of the runs that land rows. */
const landingShare = 0.5;
const droppingSeed = 0xd309;

function landingOf(random: SeededRandom): LandingOfRun {
  return { directRows: random.chance(0.5) ? 3 : Number.POSITIVE_INFINITY };
}

/** The ports of one consumer; a broken variant may change them. */
export type BreakPorts = (ports: ConsumerOptions, world: World) => ConsumerOptions;

export interface SimulationOptions extends LakeFaults, FollowerFaults {
  readonly seed: number;
  readonly windowFaults?: (clock: Clock) => WindowFaults;
  /** How often the window is lost, backed up or rolled back, per step; drawn from the seed if absent. */
  readonly disturbance?: number;
  /** The same in the middle of applying or seeding, when it does most harm. */
  readonly midwayDisturbance?: number;
  /** Number of commits between vacuums; drawn from the seed if absent. */
  readonly commitsPerVacuum?: number;
  /** Where and how often a process pauses for very long, per call; drawn from the seed if absent. */
  readonly longPauses?: FaultRates["longPauses"];
  /** Share of calls that take effect without an answer; drawn from the seed if absent. */
  readonly lostAnswers?: number;
  /** How often the clock that stamps objects is set, per step; drawn from the seed if absent. */
  readonly storeClockSteps?: number;
  /**
   * How often another writer forbids our rows in a table, allows them again or compacts the table, per step;
   * drawn from the seed if absent.
   */
  readonly interference?: number;
  /** Number of consumers at a time; drawn from the seed if absent. */
  readonly processesMax?: number;
  readonly breakPorts?: BreakPorts;
  /** Whether batches land rows, which upkeep settles; drawn from the seed if absent. */
  readonly landing?: boolean;
  readonly openTables?: OpenTables;
  /** Whether another writer drops our transactions of landed rows. Default: it does not. */
  readonly drops?: boolean;
  readonly cutLake?: CutLake;
  /** How often a query is started, per step; drawn from the seed if absent. */
  readonly curiosity?: number;
  /** Devices with the SDK run ahead of their oldest unacknowledged message without a limit. */
  readonly ignoresSpan?: boolean;
  /** Lanes keep their ids, even if they could not append for long. */
  readonly keepsIds?: boolean;
}

export interface SimulationResult {
  readonly violations: readonly Violation[];
  readonly trace: readonly string[];
  readonly facts: {
    readonly steps: number;
    readonly processes: number;
    /** Times that a process came to believe that it owns other partitions. */
    readonly ownerships: number;
    /** Times that partitions were to be split or merged. */
    readonly divisions: number;
    readonly commits: number;
    readonly messages: number;
    readonly fences: number;
    readonly pruned: number;
    /** Partitions whose moves a snapshot has given up. */
    readonly pastPartitions: number;
    /** Entries that a writer created at a number pruned meanwhile. */
    readonly lateEntries: number;
    /**
     * Times that another writer forbade our rows in a table, and that it deleted files which it had replaced.
     */
    readonly conflicts: number;
    readonly foreignVacuums: number;
    /** Checkpoints of another writer without our transactions. */
    readonly drops: number;
    /**
     * Rows that followers of the commit log put into their destination, and commits that were given up
     * before.
     */
    readonly followed: number;
    readonly skipped: number;
    /** Entries with a landing file, and versions of tables that settled such rows. */
    readonly landed: number;
    readonly settled: number;
    readonly queries: number;
  };
}

/** One life of the consumer under the faults that the seed draws, then the check of what came out. */
export async function runSimulation(options: SimulationOptions): Promise<SimulationResult> {
  const simulation = new Simulation(options);
  await simulation.live();
  await simulation.drain();
  return simulation.result();
}

interface SimulatedProcess {
  readonly process: Process;
  readonly consumer: Consumer;
  readonly leases: WanderingLeases | null;
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: SeededRandom;
  readonly #world: World;
  readonly #scheduler: Scheduler;
  readonly #usesServer: boolean;
  readonly #factory: ProcessFactory;
  readonly #eventsMax: number;
  readonly #processesMax: number;
  /** Number of events in a burst. */
  readonly #burst: number;
  readonly #disturbance: number;
  readonly #midwayDisturbance: number;
  /**
   * How often a process comes to believe that it owns other partitions, per step; 0 = each always believes
   * that it owns all.
   */
  readonly #wanderlust: number;
  /** How often partitions are split and merged, per step. */
  readonly #division: number;
  #divisions = 0;
  readonly #commitsPerVacuum: number;
  readonly #storeClockSteps: number;
  /** How often another writer changes a table, per step. */
  readonly #interference: number;
  readonly #anotherWriter: AnotherWriter;
  readonly #followers: Followers;
  readonly #upkeeps: Upkeeps | null;
  readonly #queries: Queries | null;
  #processes: SimulatedProcess[] = [];
  #started = 0;
  #vacuums = 0;
  #commitsAtVacuum = 0;
  #ownerships = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    const random = this.#random;
    // Draws of its own: runs that do not land behave the same without them.
    const landingRandom = new SeededRandom(options.seed ^ landingSeed);
    const lands = landingRandom.chance(landingShare);
    const landing = (options.landing ?? lands) ? landingOf(landingRandom) : null;
    const clock: Clock = { nowMs: 1_700_000_000_000 };
    this.#world = new World({
      random,
      clock,
      windowFaults: options.windowFaults?.(clock),
      ignoresSpan: options.ignoresSpan ?? false,
      keepsIds: options.keepsIds ?? false,
      hasHours: landing !== null,
    });
    // Swarm testing: each run has its own mix of faults, so that rare combinations occur.
    const rate = (max: number) => (random.chance(0.4) ? 0 : random.next() * max);
    this.#scheduler = new Scheduler(random, {
      failBefore: rate(0.03),
      failAfter: options.lostAnswers ?? rate(0.03),
      crash: rate(0.012),
      pause: rate(0.02),
      longPauses:
        options.longPauses ??
        (random.chance(0.5) ? { rate: rate(0.002), at: /./ } : { rate: rate(0.1), at: /^putIfAbsent / }),
    });
    this.#usesServer = options.windowFaults !== undefined || random.chance(0.7);
    this.#storeClockSteps = options.storeClockSteps ?? rate(0.01);
    this.#commitsPerVacuum = options.commitsPerVacuum ?? 3 + random.below(3);
    this.#factory = new ProcessFactory({
      faults: options,
      random,
      scheduler: this.#scheduler,
      world: this.#world,
      usesServer: this.#usesServer,
      writtenBefore: options.seed % 4 === 0 ? 2 + (options.seed % 11) : 0,
      landing,
    });
    this.#eventsMax = 30 + random.below(120);
    this.#processesMax = options.processesMax ?? 1 + random.below(3);
    this.#burst = random.chance(0.7) ? 1 : 2 + random.below(20);
    this.#disturbance = options.disturbance ?? (random.chance(0.7) ? 0.01 : 0.05);
    this.#wanderlust = random.chance(0.4) ? 0 : random.next() * 0.05;
    this.#division = random.chance(0.4) ? 0 : random.next() * 0.02;
    this.#midwayDisturbance = options.midwayDisturbance ?? rate(0.2);
    this.#interference = options.interference ?? rate(0.02);
    const dropping = options.drops ? new SeededRandom(options.seed ^ droppingSeed) : null;
    this.#anotherWriter = new AnotherWriter(this.#world, random, dropping);
    this.#followers = new Followers({
      random,
      scheduler: this.#scheduler,
      factory: this.#factory,
      world: this.#world,
      faults: options,
    });
    const ofActors = {
      random: landingRandom,
      scheduler: this.#scheduler,
      factory: this.#factory,
      world: this.#world,
    };
    this.#upkeeps = landing ? new Upkeeps({ ...ofActors, openTables: options.openTables }) : null;
    this.#queries = landing ? new Queries({ ...ofActors, faults: options }) : null;
  }

  async live(): Promise<void> {
    const random = this.#random;
    for (let events = 0; events < this.#eventsMax; ) {
      this.#processes = this.#processes.filter(({ process }) => !process.isDead);
      if (
        this.#processes.length < this.#processesMax &&
        (this.#processes.length === 0 || random.chance(0.05))
      )
        this.#start(this.#wanderlust > 0 ? new WanderingLeases(random) : null);
      if (this.#processes.length > 0 && random.chance(this.#wanderlust)) this.#wander();
      if (random.chance(0.08 / this.#burst)) {
        for (let act = 0; act < this.#burst; act++) this.#world.workload.act();
        events += this.#burst;
        // Blocks of a burst are read late.
        if (this.#burst > 1) this.#world.clock.nowMs += random.below(60_000);
      }
      if (this.#usesServer) this.#disturbWindow();
      if (random.chance(this.#interference)) await this.#anotherWriter.act();
      if (random.chance(this.#division)) this.#divide();
      this.#followers.step();
      this.#upkeeps?.step();
      this.#queries?.step();
      if (this.#isVacuumDue()) {
        if (random.chance(0.7)) await this.#factory.leaveFile();
        void this.#tidy();
      }
      // The clock also steps back, but less, because files must become old within a run.
      if (random.chance(this.#storeClockSteps)) this.#world.stepStoreClock(random.below(150_000) - 50_000);
      await this.#scheduler.step();
    }
  }

  /** Ends the faults; a new consumer reads the rest. */
  async drain(): Promise<void> {
    for (const { process } of this.#processes) this.#kill(process);
    await this.#anotherWriter.settle();
    this.#scheduler.rates = {
      failBefore: 0,
      failAfter: 0,
      crash: 0,
      pause: 0,
      longPauses: { rate: 0, at: /./ },
    };
    const { consumer, ended } = this.#start(null);
    void consumer.stop({ drain: true });
    if (!(await this.#isOver(ended))) this.#violate("stuck", JSON.stringify(consumer.status()));
    for (const { partition, halt } of consumer.status().partitions)
      if (halt) this.#violate("halted", `partition ${partition}: ${halt.message}`);
    if (this.#upkeeps && !(await this.#isOver(this.#upkeeps.drain()))) this.#violate("stuck", "upkeep");
    this.#world.lake.live.checkSettled();
    this.#world.clock.nowMs += longAfterMs;
    if (!(await this.#isOver(this.#tidy()))) this.#violate("stuck", "vacuum");
    if (!(await this.#isOver(this.#followers.drain()))) this.#violate("stuck", "follower");
    const { lake, store } = this.#world;
    for (const path of lake.unnamed(store.objects.keys())) this.#violate("leaked", path);
  }

  /** Runs calls until `work` has ended, or a limit is reached. */
  async #isOver(work: Promise<unknown>): Promise<boolean> {
    let isOver = false;
    void work.then(() => {
      isOver = true;
    });
    for (let steps = 0; !isOver && steps < drainStepsMax; steps++) await this.#scheduler.step();
    return isOver;
  }

  result(): SimulationResult {
    const { violations: seen } = this.#world;
    const ofActors = [
      ...this.#followers.check(),
      ...(this.#upkeeps?.failed ?? []),
      ...(this.#queries?.failed ?? []),
    ];
    const violations = [...seen, ...checkLake(this.#world), ...ofActors];
    const messages = this.#world.workload.history
      .flat()
      .reduce((sum, block) => sum + block.messages.length, 0);
    return {
      violations,
      trace: this.#scheduler.trace,
      facts: {
        steps: this.#scheduler.steps,
        processes: this.#started,
        ownerships: this.#ownerships,
        divisions: this.#divisions,
        commits: this.#world.lake.commits.length,
        messages,
        fences: this.#world.lake.commits.filter(({ upkeep }) => upkeep?.fence).length,
        pruned: this.#world.lake.prunedEntries,
        pastPartitions: this.#world.lake.pastPartitions,
        lateEntries: this.#world.lake.lateEntries,
        conflicts: this.#anotherWriter.conflicts,
        foreignVacuums: this.#anotherWriter.vacuums,
        drops: this.#anotherWriter.drops,
        ...this.#followers.facts,
        landed: this.#world.lake.commits.filter((entry) => entry.landing).length,
        settled: this.#upkeeps?.settled ?? 0,
        queries: this.#queries?.ended ?? 0,
      },
    };
  }

  #start(leases: WanderingLeases | null): SimulatedProcess & { ended: Promise<void> } {
    const process: Process = { name: `c${++this.#started}`, isDead: false, pausedUntilStep: 0 };
    const options = { ...this.#factory.open(process), leases: leases ?? ownEverything() };
    const ports = this.#options.breakPorts?.(options, this.#world) ?? options;
    const consumer = createConsumer(ports);
    const started = { process, consumer, leases };
    this.#processes.push(started);
    const ended = consumer.run().catch((error: unknown) => this.#crash(process, error));
    return { ...started, ended };
  }

  #crash(process: Process, error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (!process.isDead) this.#violate("crashed", `${process.name}: ${detail}`);
    this.#kill(process);
  }

  #violate(rule: Violation["rule"], detail: string): void {
    this.#world.violations.push({ rule, detail });
  }

  #isVacuumDue(): boolean {
    const commits = this.#world.lake.commits.length - this.#commitsAtVacuum;
    return this.#vacuums < vacuumsMax && commits >= this.#commitsPerVacuum;
  }

  async #tidy(): Promise<void> {
    this.#vacuums += 1;
    this.#commitsAtVacuum = this.#world.lake.commits.length;
    const process = { name: `v${++this.#started}`, isSure: true, isDead: false, pausedUntilStep: 0 };
    await this.#factory.vacuum(process).catch((error: unknown) => this.#crash(process, error));
    this.#vacuums -= 1;
  }

  #kill(process: Process): void {
    this.#scheduler.kill(process);
  }

  #divide(): void {
    this.#divisions += 1;
    this.#world.workload.divide();
  }

  #wander(): void {
    this.#ownerships += 1;
    this.#random.pick(this.#processes).leases?.wander();
  }

  #disturbWindow(): void {
    const { window } = this.#world;
    const random = this.#random;
    const isHit = random.chance(this.#disturbance);
    const isHitMidway = window.isPartWay && random.chance(this.#midwayDisturbance);
    if (!isHit && !isHitMidway) return;
    const dice = random.next();
    // A lost window has no call in its middle.
    if (isHit && dice < 0.3) window.lose();
    else if (dice < 0.65) window.backUp();
    else window.rollBack();
  }
}
