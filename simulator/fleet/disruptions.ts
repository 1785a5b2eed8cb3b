import type { FaultShares } from "../scenario/faults.ts";

const kinds = ["disconnect", "takeover", "reboot"] as const;
export type Disruption = (typeof kinds)[number];

/** Which connections are disrupted when, so that each second has the share that the faults name. */
export class Disruptions {
  readonly #shares: FaultShares;
  readonly #connections: number;
  readonly #random: () => number;
  readonly #debts = new Map<Disruption, number>();

  constructor(shares: FaultShares, connections: number, random: () => number) {
    this.#shares = shares;
    this.#connections = connections;
    this.#random = random;
  }

  /**
   * The disruptions that are due after that time: a kind and the number of a connection, chosen at random.
   */
  *due(elapsedMs: number): Generator<{ kind: Disruption; connection: number }> {
    for (const kind of kinds) {
      const share = this.#shares[kind];
      if (share === undefined) continue;
      let debt = (this.#debts.get(kind) ?? 0) + (elapsedMs / 1000) * share * this.#connections;
      for (; debt >= 1; debt--) yield { kind, connection: Math.floor(this.#random() * this.#connections) };
      this.#debts.set(kind, debt);
    }
  }

  /** True half of the time. */
  toss(): boolean {
    return this.#random() < 0.5;
  }
}
