import { type Blow, type Fault, faults, isCallFault, type StrikeEffect, type Target } from "../strike.ts";
import type { StatusView } from "../under-test/gateway-under-test.ts";

/** How often each target was struck. */
export type StrikeCounts = Readonly<Partial<Record<Target, number>>>;

/**
 * Whether a crash of the target leaves something half done: messages that are unacknowledged, or read but not
 * committed, or work on the lake.
 */
export function hasWorkInFlight(target: Target, status: StatusView): boolean {
  const inBroker = (status.broker?.inFlightMessages ?? 0) > 0;
  const inConsumer = status.consumer?.partitions.some(({ openBytes }) => openBytes > 0) ?? false;
  if (target === "broker" || target === "topics") return inBroker;
  if (target === "upkeep") return status.upkeep?.doing != null;
  if (target === "consumer" || target === "tables") return inConsumer;
  return inBroker || inConsumer;
}

interface Tally {
  struck: number;
  inFlight: number;
  calls: number;
}

/** The effects of the strikes, seen from outside the gateways. */
export class StrikeEvidence {
  readonly #tallies = new Map<Fault, Map<Target, Tally>>();
  readonly #harms: string[] = [];
  /** By process, since each counts from its own start. */
  readonly #repaired = new Map<number, number>();
  readonly #replayed = new Map<number, number>();
  #unfounded = 0;
  #shortSpanMs: number | null = null;

  /**
   * @param before What the struck gateway said just before; null if it did not answer.
   * Returns whether the strike met work in flight.
   */
  struck({ fault, target }: Blow, before: StatusView | null, effect: StrikeEffect | null = null): boolean {
    const ofFault = this.#tallies.get(fault) ?? new Map<Target, Tally>();
    this.#tallies.set(fault, ofFault);
    const tally = ofFault.get(target) ?? { struck: 0, inFlight: 0, calls: 0 };
    ofFault.set(target, tally);
    tally.struck += 1;
    tally.calls += effect?.calls ?? 0;
    if (effect?.harm !== undefined) this.#harms.push(effect.harm);
    this.#noteBooks(before);
    const isInFlight = metWork(target, before, effect);
    if (isInFlight) tally.inFlight += 1;
    return isInFlight;
  }

  /** Forbidden reactions of the gateways to strikes. */
  get harms(): readonly string[] {
    return this.#harms;
  }

  observed(status: StatusView | null, consumerPid: number | undefined): void {
    this.#noteBooks(status);
    const consumer = status?.consumer;
    if (!consumer || consumerPid === undefined) return;
    this.#repaired.set(consumerPid, consumer.publishesRepaired);
    this.#replayed.set(consumerPid, consumer.replayedBatches);
    if (consumer.window?.isShort)
      this.#shortSpanMs = Math.min(this.#shortSpanMs ?? Number.POSITIVE_INFINITY, consumer.window.spanMs);
  }

  /** The least that a full window still covered; null = no window was full. */
  get shortSpanMs(): number | null {
    return this.#shortSpanMs;
  }

  /** A broker's counts end with it: what it said before a strike is kept. */
  #noteBooks(status: StatusView | null): void {
    this.#unfounded = Math.max(this.#unfounded, status?.books?.unfounded ?? 0);
  }

  /** Acknowledgements of one broker without an append: the largest number that any status reported. */
  get unfounded(): number {
    return this.#unfounded;
  }

  get publishesRepaired(): number {
    return sum(this.#repaired);
  }

  get replayedBatches(): number {
    return sum(this.#replayed);
  }

  /** Of these faults together. */
  strikes(...of: readonly Fault[]): StrikeCounts {
    const total: Partial<Record<Target, number>> = {};
    for (const fault of of)
      for (const [target, { struck }] of this.#tallies.get(fault) ?? [])
        total[target] = (total[target] ?? 0) + struck;
    return total;
  }

  /** How many calls to each server met each of the faults that strike calls. */
  get calls(): Readonly<Partial<Record<Fault, StrikeCounts>>> {
    return Object.fromEntries(
      faults
        .filter((fault) => isCallFault(fault) && this.#tallies.has(fault))
        .map((fault) => [fault, this.#counts(fault, ({ calls }) => calls)]),
    );
  }

  /** How many strikes of each kind met work in flight. */
  get inFlight(): Readonly<Partial<Record<Fault, StrikeCounts>>> {
    return Object.fromEntries(
      faults
        .filter((fault) => this.#tallies.has(fault))
        .map((fault) => [fault, this.#counts(fault, ({ inFlight }) => inFlight)]),
    );
  }

  /** Kinds that were tried and never met work in flight: what they would have broken was not tested. */
  get missed(): string[] {
    return [...this.#tallies].flatMap(([fault, targets]) =>
      [...targets].filter(([, { inFlight }]) => inFlight === 0).map(([target]) => `${fault} ${target}`),
    );
  }

  #counts(fault: Fault, count: (tally: Tally) => number): StrikeCounts {
    const tallies = this.#tallies.get(fault) ?? new Map<Target, Tally>();
    return Object.fromEntries([...tallies].map(([target, tally]) => [target, count(tally)]));
  }
}

/** A call that was struck was in flight, whatever else was. */
function metWork(target: Target, before: StatusView | null, effect: StrikeEffect | null): boolean {
  if (effect?.calls !== undefined) return effect.calls > 0;
  return effect?.isInFlight ?? (before !== null && hasWorkInFlight(target, before));
}

function sum(values: ReadonlyMap<number, number>): number {
  return [...values.values()].reduce((total, value) => total + value, 0);
}
