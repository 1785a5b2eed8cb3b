import { connect, type Socket } from "node:net";
import { fullJitterDelayMs } from "../../devices/protocol/backoff.ts";
import type { LedgerWriter } from "../ledger/ledger-writer.ts";
import type { MessagePlan } from "../scenario/message-plan.ts";
import type { ConnectionOptions, GatewayAddress } from "./connection.ts";
import type { FleetCounters } from "./fleet-counters.ts";
import { disconnectPacket, encodeConnect, PacketReader, pubrelPacket } from "./mqtt-packets.ts";
import type { PublishEncoder } from "./publish-encoder.ts";
import type { VisitRole, VisitSink } from "./publishing.ts";

export interface VisitsOptions {
  readonly plan: MessagePlan;
  readonly encoder: PublishEncoder;
  readonly ledger: LedgerWriter;
  readonly counters: FleetCounters;
  readonly startedAtMs: number;
  /** Keep alive of the connection for a message. */
  connection(index: number): ConnectionOptions;
  readonly random: () => number;
}

const visitsMax = 32;
const keepAliveS = 60;
/** A sleeping device receives no more after this; one with a big message connects again. */
const visitTimeoutMs = 10_000;
/** A gateway that stays up this long after a visit had the time to read the visit's messages. */
const livesOnMs = 3_000;
const backoff = { baseMs: 200, maxMs: 5_000 } as const;
const publishId = 1;

interface Left {
  readonly index: number;
  readonly sinceMs: number;
  readonly leftAtMs: number;
}

/** Messages that leave on connections of their own: big ones, those of devices that sleep, and wills. */
export class Visits implements VisitSink {
  readonly #options: VisitsOptions;
  readonly #open = new Map<number, Socket | null>();
  readonly #retries = new Set<NodeJS.Timeout>();
  /** Messages that cannot be acknowledged, in the order in which they were left with a gateway. */
  readonly #left: Left[] = [];
  #troubleAtMs = Number.NEGATIVE_INFINITY;
  #turns = 0;
  #isLeaving = false;

  constructor(options: VisitsOptions) {
    this.#options = options;
  }

  get hasRoom(): boolean {
    return this.#open.size < visitsMax;
  }

  /** Visits whose outcome is still open. */
  get pending(): number {
    return this.#open.size + this.#left.length;
  }

  begin(index: number, role: VisitRole): void {
    this.#open.set(index, null);
    this.#attempt(index, role, 0);
  }

  /** A gateway ended a connection: it may have died with the messages of visits. */
  noteTrouble(nowMs: number): void {
    this.#troubleAtMs = nowMs;
  }

  /** Call this every few ms. Notes delivered messages. */
  tick(nowMs: number): void {
    for (let oldest = this.#left[0]; oldest && nowMs - oldest.leftAtMs >= livesOnMs; oldest = this.#left[0]) {
      this.#left.shift();
      if (this.#troubleAtMs >= oldest.sinceMs) continue;
      this.#options.ledger.delivered(oldest.index);
      this.#options.counters.delivered++;
    }
  }

  /** Gives up open visits. */
  leave(): void {
    this.#isLeaving = true;
    for (const retry of this.#retries) clearTimeout(retry);
    for (const [index, socket] of this.#open) {
      socket?.destroy();
      this.#gaveUp(index);
    }
    this.#open.clear();
  }

  #attempt(index: number, role: VisitRole, attempt: number): void {
    const { counters, random } = this.#options;
    const sinceMs = performance.now();
    const visit = new Visit(this.#options, { index, role, turn: this.#turns++ }, (outcome) => {
      if (this.#isLeaving) return;
      const mustRetry = role === "big" && outcome === "lost";
      if (!mustRetry) {
        this.#open.delete(index);
        if (outcome === "left") this.#left.push({ index, sinceMs, leftAtMs: performance.now() });
        if (outcome === "lost") this.#forgot(index);
        counters.settled++;
        return;
      }
      const retry = setTimeout(
        () => {
          this.#retries.delete(retry);
          this.#attempt(index, role, attempt + 1);
        },
        fullJitterDelayMs(attempt, backoff, random),
      );
      this.#retries.add(retry);
    });
    this.#open.set(index, visit.socket);
  }

  /** A device that sleeps or has left does not retry. */
  #forgot(index: number): void {
    this.#options.counters.forgotten++;
    this.#options.ledger.gaveUp(index);
  }

  #gaveUp(index: number): void {
    this.#options.counters.gaveUp++;
    this.#options.ledger.gaveUp(index);
  }
}

/** `acked`; `left` = with a gateway that answered, if no acknowledgement can come; `lost` = unknown. */
type VisitOutcome = "acked" | "left" | "lost";

/** One short connection for one message. */
class Visit {
  readonly socket: Socket;
  readonly #options: VisitsOptions;
  readonly #index: number;
  readonly #role: VisitRole;
  readonly #reader = new PacketReader();
  #isConnected = false;
  #isAcked = false;
  #hasLeft = false;

  constructor(
    options: VisitsOptions,
    { index, role, turn }: { index: number; role: VisitRole; turn: number },
    ended: (outcome: VisitOutcome) => void,
  ) {
    this.#options = options;
    this.#index = index;
    this.#role = role;
    const connection = options.connection(index);
    const { host, port } = connection.gateways[turn % connection.gateways.length] as GatewayAddress;
    this.socket = connect({ host, port, noDelay: true });
    this.socket.setTimeout(visitTimeoutMs, () => this.socket.destroy());
    this.socket.on("connect", () => this.#arrive(connection));
    this.socket.on("data", (chunk) => this.#read(chunk));
    this.socket.on("error", () => {});
    this.socket.on("close", () => ended(this.#isAcked ? "acked" : this.#hasLeft ? "left" : "lost"));
  }

  #arrive(connection: ConnectionOptions): void {
    const { plan } = this.#options;
    const qos = plan.qos(this.#index);
    if (this.#role === "will") {
      const payload = Buffer.alloc(plan.shape(this.#index).document.bytes);
      plan.writeDocument(payload, 0, this.#index, this.#options.startedAtMs);
      const will = { topicName: Buffer.from(plan.topicName(this.#index)), payload, qos };
      this.socket.write(encodeConnect({ ...connection, keepAliveS, will }));
      return;
    }
    const head = encodeConnect({ ...connection, keepAliveS });
    if (this.#role === "big") {
      this.socket.write(head);
      return;
    }
    const bytes = Buffer.concat([head, this.#packet(), disconnectPacket]);
    // Half of them wait until the gateway closes; the others leave right after the last byte.
    if (this.#index % 2 === 0) this.socket.end(bytes);
    else this.socket.write(bytes, () => this.socket.destroy());
    this.#hasLeft = true;
  }

  #packet(): Uint8Array {
    const packet = Buffer.alloc(this.#options.encoder.bytes(this.#index));
    this.#options.encoder.write(packet, 0, this.#index, publishId, false);
    return packet;
  }

  #read(chunk: Buffer): void {
    const fault = this.#reader.read(chunk, chunk.length, {
      onConnack: (returnCode) => this.#onConnack(returnCode),
      onPuback: () => this.#acked(),
      onPubrec: () => {
        this.#acked();
        if (this.#role === "big") this.socket.write(pubrelPacket(publishId));
      },
      onPubcomp: () => this.socket.end(disconnectPacket),
    });
    if (fault !== null) this.socket.destroy();
  }

  #onConnack(returnCode: number): void {
    if (returnCode !== 0) {
      this.#hasLeft = false;
      this.socket.destroy();
      return;
    }
    this.#isConnected = true;
    if (this.#role === "will") {
      this.#hasLeft = true;
      this.socket.destroy();
    } else if (this.#role === "big") {
      // Right after CONNACK, when the gateway may still apply the limits of an unknown client to the
      // connection.
      this.socket.write(this.#packet());
      if (this.#options.plan.qos(this.#index) === 0) {
        this.#hasLeft = true;
        this.socket.end(disconnectPacket);
      }
    }
  }

  #acked(): void {
    if (!this.#isConnected || this.#isAcked) return;
    this.#isAcked = true;
    const { plan, ledger, counters } = this.#options;
    ledger.acked(this.#index);
    counters.acked++;
    if (this.#role === "big" && plan.qos(this.#index) === 1) this.socket.end(disconnectPacket);
  }
}
