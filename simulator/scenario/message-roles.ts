import type { FaultPlan, FaultShares } from "./faults.ts";
import type { MessageShapes } from "./message-shapes.ts";
import type { MixShares } from "./mix.ts";
import type { Qos, Scenario } from "./scenario.ts";
import { chance, hash32 } from "./seeded-hash.ts";

/**
 * How a message leaves its device. `plain` = on the device's connection; `reused` = the same, with the id of
 * an earlier message. The others have a connection of their own; see `mixChoices`.
 */
export type MessageRole = "plain" | "reused" | "big" | "sleepy" | "will";

/** Random streams, in addition to those of faults, shapes and values. */
const stream = { role: 221, qos: 222, distance: 223, again: 224, persistent: 225 } as const;

/** An id is reused within this many messages of its device. */
const reusedWithin = 8;
const againMaxS = 60;
const againWithinMax = 64;

/**
 * Which message has which role, and which kind each connection is: a function of the seed and an index.
 * Without a mix, everything is plain.
 */
export class MessageRoles {
  /** False: each message is plain, all have one quality of service, and none is published again. */
  readonly isMixed: boolean;
  readonly #seed: number;
  readonly #qos: Qos;
  readonly #devices: number;
  readonly #mix: MixShares;
  readonly #shares: FaultShares;
  readonly #faults: FaultPlan;
  readonly #shapes: MessageShapes;
  readonly #againWithin: number;

  constructor(scenario: Scenario, faults: FaultPlan, shapes: MessageShapes) {
    const { seed, qos, devices, rate, mix = {}, faults: shares } = scenario;
    this.#seed = seed;
    this.#qos = qos;
    this.#devices = devices;
    this.#mix = mix;
    this.#shares = shares;
    this.#faults = faults;
    this.#shapes = shapes;
    this.#againWithin = Math.max(1, Math.min(againWithinMax, Math.floor((againMaxS * rate) / devices)));
    this.isMixed = Object.keys(mix).length > 0 || shares.again !== undefined || shares.reused !== undefined;
  }

  /** True if a message may have the id of another one. */
  get hasReuse(): boolean {
    return this.#shares.reused !== undefined;
  }

  role(index: number): MessageRole {
    const role = this.#drawn(index);
    return role === "reused" && this.#reusedOf(index) < 0 ? "plain" : role;
  }

  /**
   * The message whose id a message has: its own, or for the role `reused` an earlier one's of the same
   * device.
   */
  idIndex(index: number): number {
    if (!this.isMixed || this.#drawn(index) !== "reused") return index;
    const reused = this.#reusedOf(index);
    return reused < 0 ? index : reused;
  }

  /** The messages that are published under the id of `index`, itself first. */
  *sharingId(index: number): Generator<number> {
    yield index;
    if (this.#shares.reused === undefined) return;
    for (let distance = 1; distance <= reusedWithin; distance++) {
      const later = index + distance * this.#devices;
      if (this.idIndex(later) === index) yield later;
    }
  }

  qos(index: number): Qos {
    const { qos0 = 0, qos2 = 0 } = this.#mix;
    if (qos0 === 0 && qos2 === 0) return this.#qos;
    const draw = chance(this.#seed, stream.qos, index);
    if (draw < qos0) return 0;
    return draw < qos0 + qos2 ? 2 : this.#qos;
  }

  /**
   * The earlier message of the same device, on its connection, that is published again right after this one;
   * −1 = none.
   */
  againAfter(index: number): number {
    const { again } = this.#shares;
    if (again === undefined || chance(this.#seed, stream.again, index) >= again) return -1;
    const distance = 1 + (hash32(this.#seed, stream.distance, index) % this.#againWithin);
    const earlier = index - distance * this.#devices;
    if (earlier < 0) return -1;
    const role = this.role(earlier);
    return role === "plain" || role === "reused" ? earlier : -1;
  }

  /** True: a connection with Clean Session = 0. */
  isPersistent(connection: number): boolean {
    return chance(this.#seed, stream.persistent, connection) < (this.#mix.persistent ?? 0);
  }

  /** Poison is plain, so that the audit knows where it belongs. */
  #drawn(index: number): MessageRole {
    if (!this.isMixed || this.#faults.poison(index)) return "plain";
    let draw = chance(this.#seed, stream.role, index);
    for (const role of ["big", "sleepy", "will"] as const) {
      draw -= this.#mix[role] ?? 0;
      if (draw < 0) return role;
    }
    return draw < (this.#shares.reused ?? 0) ? "reused" : "plain";
  }

  /** −1 if there is no plain message whose id could be reused. */
  #reusedOf(index: number): number {
    const distance = 1 + (hash32(this.#seed, stream.distance, index) % reusedWithin);
    const earlier = index - distance * this.#devices;
    if (earlier < 0 || this.#faults.poison(earlier) || this.#shapes.of(earlier).format === "raw") return -1;
    return this.#drawn(earlier) === "plain" && this.qos(earlier) > 0 ? earlier : -1;
  }
}
