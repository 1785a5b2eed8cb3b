/** The processes that a proof strikes. */
export const targets = ["broker", "consumer", "supervisor"] as const;
export type Target = (typeof targets)[number];

/** `kill` = SIGKILL; `pause` = SIGSTOP, then SIGCONT after a while (long enough for others to take over where they would). */
export const faults = ["kill", "pause"] as const;
export type Fault = (typeof faults)[number];

export interface Strike {
  readonly target: Target;
  readonly fault: Fault;
  /** True: the blow falls right after a commit, before the tables show it. */
  readonly isAtCommit: boolean;
  /** Wait since the round began, so that strikes fall on different moments of batches and commits. */
  readonly delayMs: number;
  /** For `pause`: how long the process stands still. */
  readonly pauseMs: number;
  /** For a killed supervisor: a child that stands still meanwhile, and must not go on beside its successor. */
  readonly orphan: "broker" | "consumer" | null;
  /** For a killed supervisor: how long nobody starts a new one. */
  readonly absenceMs: number;
}

const delayMsMax = 1500;
const pauseMsMax = 2500;
const absenceMsMax = 800;

/** Deterministic random numbers in [0, 1) (mulberry32), so that a seed names one sequence of strikes. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const result = [...items];
  for (let index = result.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1));
    [result[index], result[other]] = [result[other] as Item, result[index] as Item];
  }
  return result;
}

/**
 * The strikes of a proof, two a round: one kill and one pause. Targets are dealt from shuffled decks, so that 30 rounds give each
 * process 10 kills and 10 pauses, in an order and at moments that only the seed decides.
 */
export function planStrikes(rounds: number, seed: number): Strike[] {
  const random = seededRandom(seed);
  const decks: Record<Fault, Target[]> = { kill: [], pause: [] };
  const deal = (fault: Fault): Target => {
    if (decks[fault].length === 0) decks[fault] = shuffled(targets, random);
    return decks[fault].pop() as Target;
  };
  const strikes: Strike[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const fault of shuffled(faults, random)) {
      const target = deal(fault);
      const orphan = ([null, "broker", "consumer"] as const)[Math.floor(random() * 3)] ?? null;
      strikes.push({
        target,
        fault,
        isAtCommit: random() < 0.5 && target !== "broker",
        orphan: target === "supervisor" && fault === "kill" ? orphan : null,
        delayMs: Math.floor(random() * delayMsMax),
        pauseMs: 200 + Math.floor(random() * pauseMsMax),
        absenceMs: Math.floor(random() * absenceMsMax),
      });
    }
  }
  return strikes;
}
