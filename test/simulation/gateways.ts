import type { BlockSeal } from "../../bridge/block/block-format.ts";
import { LaneIdentity } from "../../bridge/producer/lane-identity.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { SentMessage } from "./sent-message.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** One boot of one machine. Its clocks follow from the world's time. */
interface Machine {
  readonly bootId: string;
  /** World's time − boot clock: rises while the machine stands still, as a paused virtual machine does. */
  behindMs: number;
  /** Wall clock − world's time. */
  wallOffMs: number;
}

export interface SealedBlock {
  readonly seal: BlockSeal;
  readonly messages: readonly SentMessage[];
  readonly sealedAtMs: number;
}

export interface Lane {
  readonly partition: number;
  readonly identity: LaneIdentity;
  last: SealedBlock | null;
}

interface Gateway {
  machine: Machine;
  /** By partition. */
  lanes: Map<number, Lane>;
}

export interface GatewaysOptions {
  readonly random: SeededRandom;
  /** The world's time. */
  readonly clock: { nowMs: number };
  readonly streamId: string;
  readonly count: number;
  /** Longest silence in this run. */
  readonly silenceMaxMs: number;
  /** A lane never takes a new id. */
  readonly keepsIds: boolean;
}

/**
 * The gateways that write to the stream, each on a machine with its own clocks. They have real identities of
 * lanes, but no producer.
 */
export class Gateways {
  readonly #options: GatewaysOptions;
  readonly #gateways: Gateway[];
  #boots = 0;
  #producers = 0;

  constructor(options: GatewaysOptions) {
    this.#options = options;
    this.#gateways = Array.from({ length: options.count }, () => ({
      machine: this.#boot(),
      lanes: new Map(),
    }));
  }

  /** The lane of any gateway. */
  lane(partition: number): Lane {
    const gateway = this.#options.random.pick(this.#gateways);
    const known = gateway.lanes.get(partition);
    if (known) return known;
    const lane = { partition, identity: this.#identity(partition, gateway), last: null };
    gateway.lanes.set(partition, lane);
    return lane;
  }

  /** Lanes with acknowledged messages that no block claims so far. */
  unclaimed(): Lane[] {
    return this.#gateways.flatMap(({ lanes }) =>
      [...lanes.values()].filter(({ identity }) => identity.isTailUnclaimed),
    );
  }

  /** Restarts the process of a lane, which takes a new identity with its next block. */
  forgetLane(lane: Lane): void {
    for (const { lanes } of this.#gateways)
      if (lanes.get(lane.partition) === lane) lanes.delete(lane.partition);
  }

  /** Restarts the process of a gateway, or its machine. */
  restart(): void {
    const gateway = this.#options.random.pick(this.#gateways);
    gateway.lanes = new Map();
    if (this.#options.random.chance(0.3)) gateway.machine = this.#boot();
  }

  /** Sets the wall clock of a machine, to any time or to the right one. */
  stepWallClock(): void {
    const { random } = this.#options;
    const { machine } = random.pick(this.#gateways);
    machine.wallOffMs = random.chance(0.5) ? 0 : (random.next() - 0.5) * random.pick([hourMs, 20 * dayMs]);
  }

  /** Pauses a machine while time passes. */
  standStill(): void {
    const { random, clock, silenceMaxMs } = this.#options;
    const { machine } = random.pick(this.#gateways);
    const forMs = random.below(silenceMaxMs);
    clock.nowMs += forMs;
    machine.behindMs += forMs;
    machine.wallOffMs -= forMs;
  }

  #boot(): Machine {
    const { random, clock } = this.#options;
    const bootId = (++this.#boots).toString(16).padStart(16, "0");
    const behindMs = clock.nowMs - random.below(30 * dayMs) - dayMs;
    return { bootId, behindMs, wallOffMs: random.chance(0.7) ? 0 : random.below(dayMs) - dayMs / 2 };
  }

  #identity(partition: number, { machine }: Gateway): LaneIdentity {
    const { clock, streamId, keepsIds } = this.#options;
    const never = { idleMs: Number.POSITIVE_INFINITY, silenceMs: Number.POSITIVE_INFINITY };
    return new LaneIdentity({
      partition,
      streamId,
      clock: {
        bootId: machine.bootId,
        elapsedMs: () => clock.nowMs - machine.behindMs,
        now: () => clock.nowMs + machine.wallOffMs,
      },
      onUnclaimed: () => {},
      ...(keepsIds && { newIdAfter: never }),
      newId: () => (++this.#producers).toString(16).padStart(16, "0"),
    });
  }
}
