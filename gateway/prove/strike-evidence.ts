import type { StatusView } from "./gateway-under-test.ts";
import { type Fault, faults, type Target, targets } from "./strikes.ts";

export type StrikeCounts = Record<Target, number>;

function zeroes(): StrikeCounts {
  return { broker: 0, consumer: 0, supervisor: 0 };
}

/** Messages that a crash of the target leaves half done: unacknowledged ones, or ones that were read but not committed. */
export function hasWorkInFlight(target: Target, status: StatusView): boolean {
  const inBroker = (status.broker?.inFlightMessages ?? 0) > 0;
  const inConsumer = status.consumer?.partitions.some(({ openBytes }) => openBytes > 0) ?? false;
  if (target === "broker") return inBroker;
  if (target === "consumer") return inConsumer;
  return inBroker || inConsumer;
}

/** What the strikes did, from outside the gateway. */
export class StrikeEvidence {
  readonly kills = zeroes();
  readonly pauses = zeroes();
  readonly #inFlight: Record<Fault, StrikeCounts> = { kill: zeroes(), pause: zeroes() };
  /** By process, since each counts from its own start. */
  readonly #repaired = new Map<number, number>();
  readonly #replayed = new Map<number, number>();

  struck(fault: Fault, target: Target, before: StatusView | null): void {
    const counts = fault === "kill" ? this.kills : this.pauses;
    counts[target] += 1;
    if (!before) return;
    if (hasWorkInFlight(target, before)) this.#inFlight[fault][target] += 1;
  }

  observed(status: StatusView | null, consumerPid: number | undefined): void {
    const consumer = status?.consumer;
    if (!consumer || consumerPid === undefined) return;
    this.#repaired.set(consumerPid, consumer.publishesRepaired);
    this.#replayed.set(consumerPid, consumer.replayedBatches);
  }

  get publishesRepaired(): number {
    return sum(this.#repaired);
  }

  get replayedBatches(): number {
    return sum(this.#replayed);
  }

  /** How many strikes of each kind met work in flight. */
  get inFlight(): Readonly<Record<Fault, Readonly<StrikeCounts>>> {
    return this.#inFlight;
  }

  /** Kinds that were tried and never met work in flight: what they would have broken was not tested. */
  get missed(): string[] {
    return faults.flatMap((fault) =>
      targets
        .filter((target) => (fault === "kill" ? this.kills : this.pauses)[target] > 0)
        .filter((target) => this.#inFlight[fault][target] === 0)
        .map((target) => `${fault} ${target}`),
    );
  }
}

function sum(values: ReadonlyMap<number, number>): number {
  return [...values.values()].reduce((total, value) => total + value, 0);
}
