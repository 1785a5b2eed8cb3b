import { chance, hash32 } from "./seeded-hash.ts";
import { type Choice, parseShares, sharesOf } from "./shares.ts";

/** The intentional faults of a fleet. Each has a default share, and names what it is a share of. */
export const faultChoices = {
  disconnect: { share: 0.02, meaning: "of the connections, each second: cut without DISCONNECT" },
  takeover: {
    share: 0.01,
    meaning: "of the connections, each second: opened again while the previous one stays open, unread",
  },
  reboot: {
    share: 0.01,
    meaning:
      "of the connections, each second: the device restarts and forgets its packet identifiers; half of the time also its unacknowledged messages, and half of the time between a PUBREC and its PUBREL",
  },
  duplicate: { share: 0.01, meaning: "of the messages: published twice" },
  again: {
    share: 0.01,
    meaning: "of the messages: an earlier one of the device, up to a minute old, is sent again after it",
  },
  reused: {
    share: 0.002,
    meaning: "of the messages: with the id of an earlier one of the device; they belong in quarantine",
  },
  poison: { share: 0.001, meaning: "of the messages: can't be decoded; they belong in quarantine" },
  late: { share: 0.01, meaning: "of the messages: with an event time 1 hour to 6 days ago" },
  clock: { share: 0.001, meaning: "of the messages: from a device whose clock is in 1970 or 2100" },
  topics: {
    share: 0.1,
    meaning:
      "of the seconds: an admin creates, changes or deletes a topic that takes names from another (--api)",
  },
} as const satisfies Readonly<Record<string, Choice>>;

export type FaultName = keyof typeof faultChoices;
export type FaultShares = Readonly<Partial<Record<FaultName, number>>>;

export const faultNames = Object.keys(faultChoices) as readonly FaultName[];

/** Reads `disconnect,poison=0.01`. Returns the shares, or a sentence with the fault. */
export function parseFaults(text: string): FaultShares | string {
  return parseShares(text, { defaults: sharesOf(faultChoices), kind: "fault" });
}

/** Separate random streams, so that one fault does not decide another. */
const stream = { duplicate: 101, poison: 102, late: 103, clock: 104, amount: 105, kind: 106 } as const;

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const year2100Ms = Date.UTC(2100, 0, 1);

/**
 * Kinds of poison: unparsable; without a message id; with an id but without a time (in envelopes: no id
 * either). Only messages with an id can be told from their own resends.
 */
const poisonKinds = ["broken", "anonymous", "timeless"] as const;
export type PoisonKind = (typeof poisonKinds)[number];

/** Which message is faulty, and how: a function of the seed and the message's index. */
export class FaultPlan {
  readonly #seed: number;
  readonly #shares: FaultShares;
  readonly #canBePoison: (index: number) => boolean;

  /** @param canBePoison False for messages whose content no gateway reads. */
  constructor(seed: number, shares: FaultShares, canBePoison: (index: number) => boolean = () => true) {
    this.#seed = seed;
    this.#shares = shares;
    this.#canBePoison = canBePoison;
  }

  /** True if any message of the run is poison. */
  get hasPoison(): boolean {
    return this.#shares.poison !== undefined;
  }

  poison(index: number): PoisonKind | null {
    const share = this.#shares.poison;
    if (share === undefined || chance(this.#seed, stream.poison, index) >= share) return null;
    if (!this.#canBePoison(index)) return null;
    return poisonKinds[hash32(this.#seed, stream.kind, index) % poisonKinds.length] as PoisonKind;
  }

  isPublishedTwice(index: number): boolean {
    const share = this.#shares.duplicate;
    return share !== undefined && chance(this.#seed, stream.duplicate, index) < share;
  }

  /** The device's wrong time when the true time is `trueMs`. */
  eventTimeMs(index: number, trueMs: number): number {
    const { late, clock } = this.#shares;
    if (clock !== undefined && chance(this.#seed, stream.clock, index) < clock) {
      const amount = hash32(this.#seed, stream.amount, index);
      return (amount % 2 === 0 ? 0 : year2100Ms) + ((amount >>> 1) % dayMs);
    }
    if (late !== undefined && chance(this.#seed, stream.late, index) < late)
      return trueMs - hourMs - Math.floor(chance(this.#seed, stream.amount, index) * (6 * dayMs - hourMs));
    return trueMs;
  }
}
