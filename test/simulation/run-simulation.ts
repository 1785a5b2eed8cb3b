import { type Consumer, type ConsumerOptions, createConsumer } from "../../bridge/consumer/consumer.ts";
import { ownEverything } from "../../bridge/consumer/partition-leases.ts";
import { checkLake } from "./checkers.ts";
import { ProcessFactory } from "./process-factory.ts";
import { type Process, Scheduler } from "./scheduler.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { Violation } from "./violation.ts";
import { WanderingLeases } from "./wandering-leases.ts";
import type { WindowFaults } from "./window-server.ts";
import { type Clock, World } from "./world.ts";

const drainStepsMax = 20_000;

/** The ports of one consumer, as a broken variant may change them. */
export type BreakPorts = (ports: ConsumerOptions, world: World) => ConsumerOptions;

export interface SimulationOptions {
  readonly seed: number;
  readonly windowFaults?: (clock: Clock) => WindowFaults;
  /** How often the window is lost, backed up or rolled back, per step; drawn from the seed where absent. */
  readonly disturbance?: number;
  /** The same while somebody is in the middle of applying or seeding, where it hurts most. */
  readonly midwayDisturbance?: number;
  readonly breakPorts?: BreakPorts;
  /** Devices with the SDK run ahead of their oldest unacknowledged message as far as they like. */
  readonly ignoresSpan?: boolean;
  /** Lanes of producers keep their ids, however long they could not append. */
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
  };
}

/** One life of the consumer under the faults that the seed draws, then the check of what came out. */
export async function runSimulation(options: SimulationOptions): Promise<SimulationResult> {
  const simulation = new Simulation(options);
  await simulation.live();
  await simulation.drain();
  return simulation.result();
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
  /** How many events come at once. */
  readonly #burst: number;
  readonly #disturbance: number;
  readonly #midwayDisturbance: number;
  /** How often a process comes to believe that it owns other partitions, per step; 0 = each believes all the time that it owns all. */
  readonly #wanderlust: number;
  /** How often partitions are split and merged, per step. */
  readonly #division: number;
  #divisions = 0;
  #processes: { process: Process; consumer: Consumer; leases: WanderingLeases | null }[] = [];
  #started = 0;
  #ownerships = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    const random = this.#random;
    const clock: Clock = { nowMs: 1_700_000_000_000 };
    this.#world = new World({
      random,
      clock,
      windowFaults: options.windowFaults?.(clock),
      ignoresSpan: options.ignoresSpan ?? false,
      keepsIds: options.keepsIds ?? false,
    });
    // Swarm: each run has its own mix of faults, so that rare combinations are not drowned by the frequent ones.
    const rate = (max: number) => (random.chance(0.4) ? 0 : random.next() * max);
    this.#scheduler = new Scheduler(random, {
      failBefore: rate(0.03),
      failAfter: rate(0.03),
      crash: rate(0.03),
      pause: rate(0.02),
    });
    this.#usesServer = options.windowFaults !== undefined || random.chance(0.7);
    this.#factory = new ProcessFactory({
      random,
      scheduler: this.#scheduler,
      world: this.#world,
      usesServer: this.#usesServer,
    });
    this.#eventsMax = 20 + random.below(60);
    this.#processesMax = 1 + random.below(3);
    this.#burst = random.chance(0.7) ? 1 : 2 + random.below(20);
    this.#disturbance = options.disturbance ?? (random.chance(0.7) ? 0.01 : 0.05);
    this.#wanderlust = random.chance(0.4) ? 0 : random.next() * 0.05;
    this.#division = random.chance(0.4) ? 0 : random.next() * 0.02;
    this.#midwayDisturbance = options.midwayDisturbance ?? rate(0.2);
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
        // What came in a burst is read late.
        if (this.#burst > 1) this.#world.clock.nowMs += random.below(60_000);
      }
      if (this.#usesServer) this.#disturbWindow();
      if (random.chance(this.#division)) this.#divide();
      await this.#scheduler.step();
    }
  }

  /** Faults end; one fresh consumer reads what is left. */
  async drain(): Promise<void> {
    for (const { process } of this.#processes) this.#kill(process);
    this.#scheduler.rates = { failBefore: 0, failAfter: 0, crash: 0, pause: 0 };
    const { consumer, ended } = this.#start(null);
    let isOver = false;
    void consumer.stop({ drain: true });
    void ended.then(() => {
      isOver = true;
    });
    for (let steps = 0; !isOver && steps < drainStepsMax; steps++) await this.#scheduler.step();
    const { violations } = this.#world;
    if (!isOver) violations.push({ rule: "stuck", detail: JSON.stringify(consumer.status()) });
    for (const { partition, halt } of consumer.status().partitions)
      if (halt) violations.push({ rule: "halted", detail: `partition ${partition}: ${halt.message}` });
  }

  result(): SimulationResult {
    const violations = [...this.#world.violations, ...checkLake(this.#world)];
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
      },
    };
  }

  #start(leases: WanderingLeases | null): { consumer: Consumer; ended: Promise<void> } {
    const process: Process = { name: `c${++this.#started}`, isDead: false, pausedUntilStep: 0 };
    const ports = { ...this.#factory.open(process), leases: leases ?? ownEverything() };
    const consumer = createConsumer(this.#options.breakPorts?.(ports, this.#world) ?? ports);
    this.#processes.push({ process, consumer, leases });
    const ended = consumer.run().catch((error: unknown) => {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      if (!process.isDead)
        this.#world.violations.push({ rule: "crashed", detail: `${process.name}: ${detail}` });
      this.#kill(process);
    });
    return { consumer, ended };
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
    // A window that is gone altogether has no middle.
    if (isHit && dice < 0.3) window.lose();
    else if (dice < 0.65) window.backUp();
    else window.rollBack();
  }
}
