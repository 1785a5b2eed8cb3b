import { chance, hash32 } from "./seeded-hash.ts";

/**
 * What a fleet does wrong on purpose, with the share that it does wrong where the list names none:
 * - disconnect: of the connections, cut without a word each second;
 * - duplicate: of the messages, published twice;
 * - poison: of the messages, cannot be decoded, and belong in quarantine;
 * - late: of the messages, carry an event time 1 hour to 6 days before they are published;
 * - clock: of the messages, come from a device whose clock stands at 1970 or in 2100.
 */
export const faultShares = {
  disconnect: 0.02,
  duplicate: 0.01,
  poison: 0.001,
  late: 0.01,
  clock: 0.001,
} as const;

export type FaultName = keyof typeof faultShares;
export type FaultShares = Readonly<Partial<Record<FaultName, number>>>;

export const faultNames = Object.keys(faultShares) as readonly FaultName[];

/** Reads `disconnect,poison=0.01`. Returns the shares, or a sentence that says what is wrong. */
export function parseFaults(text: string): FaultShares | string {
  const shares: Partial<Record<FaultName, number>> = {};
  for (const part of text.split(",").map((item) => item.trim())) {
    const [name = "", shareText] = part.split("=", 2);
    const known = faultNames.find((fault) => fault === name);
    if (!known) return `${JSON.stringify(name)} is no fault: choose from ${faultNames.join(", ")}`;
    if (shares[known] !== undefined) return `${known} stands in it twice`;
    const share = shareText === undefined ? faultShares[known] : Number(shareText);
    if (shareText?.trim() === "" || !(share > 0 && share <= 1))
      return `the share of ${known} is ${JSON.stringify(shareText)}: it must be a number above 0 and at most 1, such as ${known}=0.01`;
    shares[known] = share;
  }
  return shares;
}

/** Streams of chance, so that one fault does not decide another. */
const stream = { duplicate: 101, poison: 102, late: 103, clock: 104, amount: 105, kind: 106 } as const;

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const year2100Ms = Date.UTC(2100, 0, 1);

/**
 * What is wrong with poison: it cannot be parsed; it has no message id; it has an id and no time (in envelopes: no id either).
 * Only what has an id can be told from its own resends.
 */
const poisonKinds = ["broken", "anonymous", "timeless"] as const;
export type PoisonKind = (typeof poisonKinds)[number];

/** Which message goes wrong in which way: a function of the seed and the message's index. */
export class FaultPlan {
  readonly #seed: number;
  readonly #shares: FaultShares;

  constructor(seed: number, shares: FaultShares) {
    this.#seed = seed;
    this.#shares = shares;
  }

  /** True where any message of the run is poison. */
  get hasPoison(): boolean {
    return this.#shares.poison !== undefined;
  }

  poison(index: number): PoisonKind | null {
    const share = this.#shares.poison;
    if (share === undefined || chance(this.#seed, stream.poison, index) >= share) return null;
    return poisonKinds[hash32(this.#seed, stream.kind, index) % poisonKinds.length] as PoisonKind;
  }

  isPublishedTwice(index: number): boolean {
    const share = this.#shares.duplicate;
    return share !== undefined && chance(this.#seed, stream.duplicate, index) < share;
  }

  /** What the device believes the time to be when it is `trueMs`. */
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
