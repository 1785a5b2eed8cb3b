import type { FaultShares } from "../scenario/faults.ts";

const kinds = ["disconnect", "takeover", "reboot"] as const;
export type Disruption = (typeof kinds)[number];

/** Decides which connections are disrupted when. Each second has the share that the faults name. */
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
   * The disruptions that are due after that time: a kind and the number of a connection, chosen at random of
   * those that are open. While none is open, they stay due: at most one of each kind for each connection.
   */
  *due(
    elapsedMs: number,
    isOpen: (connection: number) => boolean,
  ): Generator<{ kind: Disruption; connection: number }> {
    for (const kind of kinds) {
      const share = this.#shares[kind];
      if (share === undefined) continue;
      let debt = (this.#debts.get(kind) ?? 0) + (elapsedMs / 1000) * share * this.#connections;
      for (; debt >= 1; debt--) {
        const connection = this.#choose(isOpen);
        if (connection === undefined) break;
        yield { kind, connection };
      }
      this.#debts.set(kind, Math.min(debt, this.#connections));
    }
  }

  /** The first open connection from one that is chosen at random; undefined = none is open. */
  #choose(isOpen: (connection: number) => boolean): number | undefined {
    const first = Math.floor(this.#random() * this.#connections);
    for (let step = 0; step < this.#connections; step++) {
      const connection = (first + step) % this.#connections;
      if (isOpen(connection)) return connection;
    }
    return undefined;
  }

  /** True half of the time. */
  toss(): boolean {
    return this.#random() < 0.5;
  }
}
