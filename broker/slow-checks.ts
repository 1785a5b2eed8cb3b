import { isIPv6 } from "node:net";

export interface SlowCheckBounds {
  /** At the same time: each takes a core for as long as it runs. */
  readonly runningMax: number;
  readonly waitingMax: number;
  /** Of one address, running and waiting. */
  readonly perAddressMax: number;
  readonly waitMaxMs: number;
}

/** Who asks for a check. */
export interface Asker {
  /** IP address. */
  readonly address: string;
  /** Whether nobody waits for the answer any more. */
  readonly hasLeft: () => boolean;
}

/** `busy` = told to come back later; `left` = not checked, since the asker had gone before its turn came. */
export type SlowCheckOutcome<Answer> =
  | { readonly outcome: "answered"; readonly answer: Answer }
  | { readonly outcome: "busy" | "left" };

interface Waiter extends Asker {
  readonly settle: (outcome: "admitted" | "busy" | "left") => void;
}

/**
 * Checks that are slow on purpose, bounded in number, by address and in waiting. Addresses take turns. If all places are taken, an
 * address that holds fewer of them gets one from the address that holds most.
 */
export class SlowChecks {
  readonly #bounds: SlowCheckBounds;
  /** In the order in which addresses get their turn; without empty lists. */
  readonly #waiting = new Map<string, Waiter[]>();
  readonly #runningOf = new Map<string, number>();
  #waitingCount = 0;
  #running = 0;
  /** Checks that were run. */
  count = 0;

  constructor(bounds: SlowCheckBounds) {
    this.#bounds = bounds;
  }

  get waiting(): number {
    return this.#waitingCount;
  }

  /** Rejects as `check` does. */
  async run<Answer>(check: () => Promise<Answer>, asker: Asker): Promise<SlowCheckOutcome<Answer>> {
    const address = networkOf(asker.address);
    const admitted = this.#enter(address) ?? (await this.#wait({ ...asker, address }));
    if (admitted !== "admitted") return { outcome: admitted };
    this.count += 1;
    try {
      return { outcome: "answered", answer: await check() };
    } finally {
      this.#leave(address);
    }
  }

  /** Null: it has to wait. */
  #enter(address: string): "admitted" | "busy" | null {
    const { runningMax, perAddressMax, waitingMax } = this.#bounds;
    if (this.#heldBy(address) >= perAddressMax) this.#dropLeft(address);
    if (this.#heldBy(address) >= perAddressMax) return "busy";
    if (this.#running < runningMax) {
      this.#begin(address);
      return "admitted";
    }
    if (this.#waitingCount < waitingMax) return null;
    for (const other of [...this.#waiting.keys()]) this.#dropLeft(other);
    return this.#waitingCount < waitingMax || this.#makeRoomFor(address) ? null : "busy";
  }

  #wait(asker: Asker): Promise<"admitted" | "busy" | "left"> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        ...asker,
        settle: (outcome) => {
          clearTimeout(timer);
          resolve(outcome);
        },
      };
      const timer = setTimeout(() => this.#drop(waiter, "busy"), this.#bounds.waitMaxMs);
      timer.unref();
      const waiters = this.#waiting.get(asker.address);
      if (waiters) waiters.push(waiter);
      else this.#waiting.set(asker.address, [waiter]);
      this.#waitingCount += 1;
    });
  }

  #begin(address: string): void {
    this.#running += 1;
    this.#runningOf.set(address, (this.#runningOf.get(address) ?? 0) + 1);
  }

  #leave(address: string): void {
    this.#running -= 1;
    const left = (this.#runningOf.get(address) ?? 1) - 1;
    if (left > 0) this.#runningOf.set(address, left);
    else this.#runningOf.delete(address);
    this.#admitNext();
  }

  /** The address whose turn it is goes to the end of the line. */
  #admitNext(): void {
    for (const [address, waiters] of [...this.#waiting]) {
      this.#dropLeft(address);
      const next = waiters[0];
      if (!next) continue;
      this.#begin(address);
      this.#drop(next, "admitted");
      this.#waiting.delete(address);
      if (waiters.length > 0) this.#waiting.set(address, waiters);
      return;
    }
  }

  #dropLeft(address: string): void {
    for (const waiter of [...(this.#waiting.get(address) ?? [])])
      if (waiter.hasLeft()) this.#drop(waiter, "left");
  }

  /** The last to come of the address that holds most places is told to come back. */
  #makeRoomFor(address: string): boolean {
    let most: Waiter[] = [];
    for (const waiters of this.#waiting.values()) if (waiters.length > most.length) most = waiters;
    const last = most.at(-1);
    if (!last || most.length <= (this.#waiting.get(address)?.length ?? 0) + 1) return false;
    this.#drop(last, "busy");
    return true;
  }

  #drop(waiter: Waiter, outcome: "admitted" | "busy" | "left"): void {
    const waiters = this.#waiting.get(waiter.address) ?? [];
    const index = waiters.indexOf(waiter);
    if (index < 0) return;
    waiters.splice(index, 1);
    if (waiters.length === 0) this.#waiting.delete(waiter.address);
    this.#waitingCount -= 1;
    waiter.settle(outcome);
  }

  #heldBy(address: string): number {
    return (this.#runningOf.get(address) ?? 0) + (this.#waiting.get(address)?.length ?? 0);
  }
}

/** The address itself; of IPv6 the first 64 bits, since who has one such address has all of them (RFC 6177). */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  if (address.includes(".")) return address.slice(address.lastIndexOf(":") + 1);
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const groups = head === "" ? [] : head.split(":");
  const behind = tail ? tail.split(":") : [];
  if (tail !== undefined) while (groups.length + behind.length < 8) groups.push("0");
  return `${[...groups, ...behind].slice(0, 4).join(":")}::/64`;
}
