import { recordMs } from "./fleet-counters.ts";
import { slotUse } from "./in-flight.ts";
import type { Publishing } from "./publishing.ts";

/** The messages of one connection, in their order: which is next, and which wait for their acknowledgement. */
export class Lane {
  readonly #connection: number;
  readonly #publishing: Publishing;
  /** Index of the next message; beyond the last one where there is none. */
  #cursor: number;
  /** A message that the fault `duplicate` publishes again next; −1 = none. */
  #copyOf = -1;
  /** The identifier of the packet written last. */
  #packetId: number;
  #unacked = 0;

  constructor(connection: number, publishing: Publishing) {
    this.#connection = connection;
    this.#publishing = publishing;
    this.#cursor = publishing.plan.first(connection);
    this.#packetId = publishing.inFlight.window;
  }

  /** Length of each PUBLISH that it writes. */
  get packetBytes(): number {
    return this.#publishing.encoder.packetBytes;
  }

  get unacked(): number {
    return this.#unacked;
  }

  /** True where a message below `index` was not published yet. */
  isBehind(index: number): boolean {
    return this.#cursor < index || this.#copyOf >= 0;
  }

  /** Writes the next PUBLISH at `at`, where one is due and the window has room. */
  writeNext(target: Uint8Array, at: number, nowMs: number): boolean {
    const { inFlight, encoder, ledger, qos, dueCount } = this.#publishing;
    const isCopy = this.#copyOf >= 0;
    const index = isCopy ? this.#copyOf : this.#cursor;
    if (!isCopy && index >= dueCount) return false;
    const packetId = (this.#packetId % inFlight.window) + 1;
    if (inFlight.use(this.#connection, packetId) !== slotUse.free || !ledger.reach(index)) return false;
    if (qos === 1) {
      const use = isCopy ? slotUse.copy : slotUse.original;
      inFlight.take(this.#connection, packetId, { index, use, nowMs });
      this.#packetId = packetId;
      this.#unacked++;
    }
    if (isCopy) this.#tookCopy();
    else this.#took(index);
    encoder.write(target, at, index, packetId, false);
    return true;
  }

  #tookCopy(): void {
    this.#copyOf = -1;
    this.#publishing.counters.copies++;
  }

  #took(index: number): void {
    const { plan, ledger, counters } = this.#publishing;
    ledger.sent(index);
    counters.sent++;
    if (plan.faults.poison(index)) counters.poison++;
    this.#cursor = plan.next(index);
    if (plan.faults.isPublishedTwice(index)) this.#copyOf = index;
  }

  /** The packet identifiers that wait for their acknowledgement, oldest first. */
  *unackedPacketIds(): Generator<number> {
    const { inFlight } = this.#publishing;
    for (let turn = 0; turn < inFlight.window; turn++) {
      const packetId = ((this.#packetId + turn) % inFlight.window) + 1;
      if (inFlight.use(this.#connection, packetId) !== slotUse.free) yield packetId;
    }
  }

  /** Writes the PUBLISH of an unacknowledged packet identifier again, with DUP = 1. */
  writeAgain(target: Uint8Array, at: number, packetId: number): void {
    const { inFlight, encoder, counters } = this.#publishing;
    encoder.write(target, at, inFlight.index(this.#connection, packetId), packetId, true);
    counters.resent++;
  }

  acknowledge(packetId: number, nowMs: number): void {
    const { inFlight, counters, ledger, plan, startedAtMs } = this.#publishing;
    const use = inFlight.use(this.#connection, packetId);
    if (use === slotUse.free) {
      counters.strayAcks++;
      return;
    }
    const index = inFlight.index(this.#connection, packetId);
    this.#free(packetId);
    ledger.acked(index);
    if (use === slotUse.copy) return;
    counters.acked++;
    recordMs(counters.ackLatency, nowMs - inFlight.writtenAtMs(this.#connection, packetId));
    recordMs(counters.dueLatency, nowMs - startedAtMs - plan.dueMs(index));
  }

  /** Forgets all that waits for its acknowledgement, and notes it in the ledger. */
  giveUp(): void {
    const { inFlight, counters, ledger } = this.#publishing;
    for (const packetId of this.unackedPacketIds()) {
      if (inFlight.use(this.#connection, packetId) === slotUse.original) {
        counters.gaveUp++;
        ledger.gaveUp(inFlight.index(this.#connection, packetId));
      }
      this.#free(packetId);
    }
    this.#copyOf = -1;
  }

  #free(packetId: number): void {
    this.#publishing.inFlight.free(this.#connection, packetId);
    this.#unacked--;
  }
}
