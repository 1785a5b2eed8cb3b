import type { SealedHeader } from "./sent-message.ts";

const catchUpMs = 30_000;
const leadMs = 40_000;
const dayMs = 86_400_000;

interface Boot {
  offsetMs: number | null;
  provenAtMs: number;
  provenNumber: number;
  seenAtMs: number;
}

interface Producer {
  readonly sequence: number;
  readonly timeMs: number;
  /** null if it was counted by another partition's clock. */
  readonly number: number | null;
}

/** A second implementation of a partition's stream time, without the consumer's code. */
export class ExpectedTime {
  timeMs = 0;
  /** Stream time of the newest rows. */
  rowTimeMs = 0;
  #count = 0;
  #aloneSince = 0;
  #newestBoot = "";
  #boots = new Map<string, Boot>();
  readonly #producers = new Map<string, Producer>();
  /** By partition, how far its stream time is behind this one's. */
  readonly shifts = new Map<number, number>();

  /** @param parents The replaced partitions, by number. */
  static after(parents: ReadonlyMap<number, ExpectedTime>): ExpectedTime {
    const time = new ExpectedTime();
    const read = [...parents].filter(([, parent]) => parent.timeMs > 0);
    time.timeMs = Math.max(0, ...read.map(([, parent]) => parent.timeMs));
    for (const [number, parent] of parents) time.#inherit(number, parent, read.length === 1);
    return time;
  }

  #inherit(number: number, parent: ExpectedTime, isOnly: boolean): void {
    const behindMs = this.timeMs - parent.timeMs;
    if (parent.timeMs > 0) {
      this.shifts.set(number, behindMs);
      for (const [earlier, earlierMs] of parent.shifts)
        this.shifts.set(earlier, Math.max(earlierMs + behindMs, this.shifts.get(earlier) ?? 0));
    }
    const isSameClock = isOnly && parent.timeMs > 0;
    if (isSameClock) {
      this.#count = parent.#count;
      this.#aloneSince = parent.#aloneSince;
      this.#newestBoot = parent.#newestBoot;
      this.rowTimeMs = parent.rowTimeMs;
      this.#boots = new Map([...parent.#boots].map(([id, boot]) => [id, { ...boot }]));
    }
    for (const [key, producer] of parent.#producers)
      this.#producers.set(key, {
        ...producer,
        timeMs: producer.timeMs + behindMs,
        number: isSameClock ? producer.number : null,
      });
  }

  /** True if this block of its producer was read before. */
  isCopy(block: SealedHeader): boolean {
    return block.sequence <= (this.#producerOf(block)?.sequence ?? 0);
  }

  read(block: SealedHeader): void {
    if (this.timeMs === 0) this.timeMs = block.wallMs;
    const known = this.#boots.get(block.bootId);
    const boot = known ?? { offsetMs: null, provenAtMs: 0, provenNumber: -1, seenAtMs: 0 };
    const producer = this.#producerOf(block);
    const isTold = block.acknowledgedAtMs > 0 && producer?.sequence === block.lastAcknowledgedSequence;
    const told = isTold && producer.number !== null ? { ...producer, number: producer.number } : null;
    const before = boot.offsetMs;
    if (told && told.number >= boot.provenNumber) {
      boot.offsetMs = Math.max(before ?? Number.NEGATIVE_INFINITY, told.timeMs - block.acknowledgedAtMs);
      boot.provenAtMs = told.timeMs;
      boot.provenNumber = told.number;
    }
    const others = [...this.#boots].filter(([id]) => id !== block.bootId).map(([, { seenAtMs }]) => seenAtMs);
    const isNewest = told?.number === this.#count;
    const limitMs = this.#limit(block, boot, { isSame: boot.offsetMs === before, isNewest });
    const aheadMs = boot.offsetMs === null ? this.timeMs : block.stampMs + boot.offsetMs;
    const isCut = boot.offsetMs === null || aheadMs > limitMs;
    this.timeMs = Math.max(this.timeMs, Math.min(aheadMs, limitMs));
    const catchingUp = isCut && known ? [...others, known.seenAtMs] : others;
    const aheads = catchingUp.map((seenAtMs) => seenAtMs + leadMs);
    this.rowTimeMs = Math.max(this.timeMs, this.rowTimeMs, ...aheads);
    this.#count += 1;
    const goesOn = !isCut && boot.offsetMs === before && block.bootId === this.#newestBoot;
    if (!goesOn) this.#aloneSince = !isCut && isNewest ? this.#count - 1 : this.#count;
    if (isCut) boot.offsetMs = null;
    boot.seenAtMs = this.timeMs;
    this.#boots.set(block.bootId, boot);
    this.#newestBoot = block.bootId;
    const { sequence } = block;
    this.#producers.set(keyOf(block), { sequence, timeMs: this.timeMs, number: this.#count });
  }

  #limit(
    block: SealedHeader,
    boot: Boot,
    { isSame, isNewest }: { isSame: boolean; isNewest: boolean },
  ): number {
    if (isSame && boot.provenNumber >= this.#aloneSince) return Number.POSITIVE_INFINITY;
    const sinceMs = isNewest ? block.stampMs - block.acknowledgedAtMs : 0;
    return boot.provenAtMs + Math.max(catchUpMs, sinceMs);
  }

  #producerOf(block: SealedHeader): Producer | undefined {
    const producer = this.#producers.get(keyOf(block));
    return producer && producer.timeMs >= this.timeMs - dayMs ? producer : undefined;
  }
}

function keyOf({ producerId, meantPartition }: SealedHeader): string {
  return `${producerId}@${meantPartition}`;
}
