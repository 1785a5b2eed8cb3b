import { isIPv6 } from "node:net";

export interface SlowCheckBounds {
  /** Checks at the same time: each takes a core for as long as it runs. */
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
  /** Whether the client has left and waits for no answer. */
  readonly hasLeft: () => boolean;
}

type Refusal =
  /** The client must retry later, because of this bound. */
  | { readonly outcome: "busy"; readonly bound: keyof SlowCheckBounds; readonly limit: number }
  /** Not checked, because the client had left before its turn came. */
  | { readonly outcome: "left" };

export type SlowCheckOutcome<Answer> = { readonly outcome: "answered"; readonly answer: Answer } | Refusal;

type Admission = { readonly outcome: "admitted" } | Refusal;

const admitted = { outcome: "admitted" } as const;
const left = { outcome: "left" } as const;

interface Waiter extends Asker {
  readonly settle: (admission: Admission) => void;
}

/**
 * Runs checks that are slow on purpose, bounded in number, by address and in waiting. Addresses take turns.
 * If all places are taken, an address with few places gets one from the address with the most.
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
    const admission = this.#enter(address) ?? (await this.#wait({ ...asker, address }));
    if (admission.outcome !== "admitted") return admission;
    this.count += 1;
    try {
      return { outcome: "answered", answer: await check() };
    } finally {
      this.#leave(address);
    }
  }

  /** Null: it has to wait. */
  #enter(address: string): Admission | null {
    const { runningMax, perAddressMax, waitingMax } = this.#bounds;
    if (this.#heldBy(address) >= perAddressMax) this.#dropLeft(address);
    if (this.#heldBy(address) >= perAddressMax) return this.#busy("perAddressMax");
    if (this.#running < runningMax) {
      this.#begin(address);
      return admitted;
    }
    if (this.#waitingCount < waitingMax) return null;
    for (const other of [...this.#waiting.keys()]) this.#dropLeft(other);
    const hasRoom = this.#waitingCount < waitingMax || this.#makeRoomFor(address);
    return hasRoom ? null : this.#busy("waitingMax");
  }

  #busy(bound: keyof SlowCheckBounds): Admission {
    return { outcome: "busy", bound, limit: this.#bounds[bound] };
  }

  #wait(asker: Asker): Promise<Admission> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        ...asker,
        settle: (admission) => {
          clearTimeout(timer);
          resolve(admission);
        },
      };
      const timer = setTimeout(() => this.#drop(waiter, this.#busy("waitMaxMs")), this.#bounds.waitMaxMs);
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
    const others = (this.#runningOf.get(address) ?? 1) - 1;
    if (others > 0) this.#runningOf.set(address, others);
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
      this.#drop(next, admitted);
      this.#waiting.delete(address);
      if (waiters.length > 0) this.#waiting.set(address, waiters);
      return;
    }
  }

  #dropLeft(address: string): void {
    for (const waiter of [...(this.#waiting.get(address) ?? [])])
      if (waiter.hasLeft()) this.#drop(waiter, left);
  }

  /** The newest waiter of the address with the most places must retry later. */
  #makeRoomFor(address: string): boolean {
    let most: Waiter[] = [];
    for (const waiters of this.#waiting.values()) if (waiters.length > most.length) most = waiters;
    const last = most.at(-1);
    if (!last || most.length <= (this.#waiting.get(address)?.length ?? 0) + 1) return false;
    this.#drop(last, this.#busy("waitingMax"));
    return true;
  }

  #drop(waiter: Waiter, admission: Admission): void {
    const waiters = this.#waiting.get(waiter.address) ?? [];
    const index = waiters.indexOf(waiter);
    if (index < 0) return;
    waiters.splice(index, 1);
    if (waiters.length === 0) this.#waiting.delete(waiter.address);
    this.#waitingCount -= 1;
    waiter.settle(admission);
  }

  #heldBy(address: string): number {
    return (this.#runningOf.get(address) ?? 0) + (this.#waiting.get(address)?.length ?? 0);
  }
}

/**
 * The address itself. Of IPv6 the first 64 bits, because the owner of one such address has all of them (RFC
 * 6177).
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  if (address.includes(".")) return address.slice(address.lastIndexOf(":") + 1);
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const groups = head === "" ? [] : head.split(":");
  const behind = tail ? tail.split(":") : [];
  if (tail !== undefined) while (groups.length + behind.length < 8) groups.push("0");
  return `${[...groups, ...behind].slice(0, 4).join(":")}::/64`;
}
