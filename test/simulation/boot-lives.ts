import type { SeededRandom } from "./seeded-random.ts";

/** A block in the partition, with the true times, which only the model knows. */
export interface ModelBlock {
  readonly boot: string;
  readonly producer: number;
  readonly sequence: number;
  /**
   * Boot clocks at sealing, and when the acknowledgement of `lastAcknowledged` came; 0 = none, or it was
   * late.
   */
  readonly stampMs: number;
  readonly acknowledgedAtMs: number;
  readonly lastAcknowledged: number;
  readonly trueSealMs: number;
  readonly trueAppendMs: number;
}

interface Lane {
  readonly boot: string;
  readonly clockStartMs: number;
  readonly producer: number;
  sequence: number;
  lastAcknowledged: number;
  acknowledgedAtMs: number;
}

interface Timed {
  readonly atMs: number;
  readonly run: () => void;
}

export interface LivesOptions {
  readonly gateways: number;
  readonly events: number;
  /** A block does not tell an acknowledgement that took longer. */
  readonly promptMs: number;
  /** Time after which a block is given up; it may still land later. */
  readonly deadlineMs: number;
}

const hourMs = 3_600_000;

/**
 * Gateways write to one partition for hours to days of true time: bursts and silences of any length, slow and
 * late appends, lost acknowledgements, processes that restart on the same boot, machines that boot again,
 * blocks that were given up and land hours later.
 */
export function livesOfBoots(random: SeededRandom, options: LivesOptions): ModelBlock[] {
  return new Lives(random, options).live();
}

class Lives {
  readonly #random: SeededRandom;
  readonly #options: LivesOptions;
  readonly #blocks: ModelBlock[] = [];
  #timers: Timed[] = [];
  #nowMs = 0;
  #producers = 0;
  #boots = 0;
  /** Length of silences in this run. */
  readonly #silenceMaxMs: number;
  readonly #lateShare: number;

  constructor(random: SeededRandom, options: LivesOptions) {
    this.#random = random;
    this.#options = options;
    this.#silenceMaxMs = random.pick([1000, 60_000, hourMs, 12 * hourMs]);
    this.#lateShare = random.pick([0, 0.02, 0.2]);
  }

  live(): ModelBlock[] {
    for (let gateway = 0; gateway < this.#options.gateways; gateway++) {
      const lane = this.#boot();
      this.#after(this.#random.below(this.#silenceMaxMs), () => this.#send(lane));
    }
    while (this.#blocks.length < this.#options.events) {
      const next = this.#timers.reduce((first, timer) => (timer.atMs < first.atMs ? timer : first));
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = next.atMs;
      next.run();
    }
    return this.#blocks;
  }

  #after(delayMs: number, run: () => void): void {
    this.#timers.push({ atMs: this.#nowMs + delayMs, run });
  }

  #boot(): Lane {
    const boot = `boot-${this.#boots++}`;
    return this.#process({ boot, clockStartMs: this.#nowMs - this.#random.below(1_000_000) });
  }

  #process({ boot, clockStartMs }: Pick<Lane, "boot" | "clockStartMs">): Lane {
    const producer = this.#producers++;
    return { boot, clockStartMs, producer, sequence: 0, lastAcknowledged: 0, acknowledgedAtMs: 0 };
  }

  #send(lane: Lane): void {
    const random = this.#random;
    const sealedAtMs = this.#nowMs;
    lane.sequence += 1;
    const block = {
      boot: lane.boot,
      producer: lane.producer,
      sequence: lane.sequence,
      stampMs: sealedAtMs - lane.clockStartMs,
      acknowledgedAtMs: lane.acknowledgedAtMs,
      lastAcknowledged: lane.lastAcknowledged,
      trueSealMs: sealedAtMs,
    };
    const { deadlineMs } = this.#options;
    const isLate = random.chance(this.#lateShare);
    const travelMs = isLate ? random.below(random.pick([deadlineMs, 5 * hourMs])) : random.below(20);
    this.#after(travelMs, () => this.#blocks.push({ ...block, trueAppendMs: this.#nowMs }));
    const answeredMs = travelMs + (isLate ? random.below(deadlineMs) : random.below(20));
    if (answeredMs > deadlineMs || random.chance(0.03)) {
      this.#after(deadlineMs, () => this.#goOn(lane));
      return;
    }
    this.#after(answeredMs, () => {
      lane.lastAcknowledged = block.sequence;
      const isPrompt = this.#nowMs - sealedAtMs <= this.#options.promptMs;
      lane.acknowledgedAtMs = isPrompt ? this.#nowMs - lane.clockStartMs : 0;
      this.#goOn(lane);
    });
  }

  #goOn(lane: Lane): void {
    const random = this.#random;
    const dice = random.next();
    if (dice < 0.02) this.#after(random.below(2 * hourMs), () => this.#send(this.#process(lane)));
    else if (dice < 0.03) this.#after(random.below(2 * hourMs), () => this.#send(this.#boot()));
    else if (dice < 0.5) this.#after(random.below(50), () => this.#send(lane));
    // The claim of an idle tail.
    else if (dice < 0.7) this.#after(1000, () => this.#send(lane));
    else this.#after(random.below(this.#silenceMaxMs), () => this.#send(lane));
  }
}
