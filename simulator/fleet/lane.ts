import { recordMs } from "./fleet-counters.ts";
import { slotUse } from "./in-flight.ts";
import { pubrelPacket } from "./mqtt-packets.ts";
import type { Publishing } from "./publishing.ts";

/**
 * The messages of one connection, in their order: which is next, and which wait for their acknowledgement.
 */
export class Lane {
  readonly #connection: number;
  readonly #publishing: Publishing;
  /** Index of the next message; after the last one if there is none. */
  #cursor: number;
  /** A message that the faults `duplicate` and `again` publish once more next; −1 = none. */
  #copyOf = -1;
  /** The identifier of the packet written last. */
  #packetId: number;
  #unacked = 0;
  /** True: the device has forgotten that it published its unacknowledged messages. */
  #hasForgotten = false;

  constructor(connection: number, publishing: Publishing) {
    this.#connection = connection;
    this.#publishing = publishing;
    this.#cursor = publishing.plan.first(connection);
    this.#packetId = publishing.inFlight.window;
  }

  /** Bytes of the longest packet that the lane writes. */
  get packetBytesMax(): number {
    return this.#publishing.encoder.packetBytesMax;
  }

  /** Packet identifiers in use. */
  get unacked(): number {
    return this.#unacked;
  }

  /** True if a message below `index` was not published yet. */
  isBehind(index: number): boolean {
    return this.#cursor < index || this.#copyOf >= 0;
  }

  /**
   * Writes the next PUBLISH at `at`, if one is due and the window has room. Returns its length, 0 if there is
   * none.
   */
  writeNext(target: Uint8Array, at: number, nowMs: number): number {
    const { inFlight, encoder, ledger, plan, dueCount } = this.#publishing;
    const isCopy = this.#copyOf >= 0;
    if (!isCopy && plan.roles.isMixed && !this.#sendVisits()) return 0;
    const index = isCopy ? this.#copyOf : this.#cursor;
    if (!isCopy && index >= dueCount) return 0;
    const packetId = (this.#packetId % inFlight.window) + 1;
    if (inFlight.use(this.#connection, packetId) !== slotUse.free || !ledger.reach(index)) return 0;
    if (plan.qos(index) === 0) {
      if (!isCopy) this.#publishing.counters.settled++;
    } else {
      const use = isCopy ? slotUse.copy : slotUse.original;
      inFlight.take(this.#connection, packetId, { index, use, nowMs });
      this.#packetId = packetId;
      this.#unacked++;
    }
    if (isCopy) this.#tookCopy();
    else this.#took(index);
    return encoder.write(target, at, index, packetId, false);
  }

  /** Hands over the due message that needs a connection of its own. False if that has to wait. */
  #sendVisits(): boolean {
    const { plan, ledger, visits, dueCount } = this.#publishing;
    while (this.#cursor < dueCount) {
      const role = plan.role(this.#cursor);
      if (role === "plain" || role === "reused") return true;
      if (!visits.hasRoom || !ledger.reach(this.#cursor)) return false;
      const index = this.#cursor;
      this.#sent(index);
      visits.begin(index, role);
    }
    return true;
  }

  #tookCopy(): void {
    this.#copyOf = -1;
    this.#publishing.counters.copies++;
  }

  #took(index: number): void {
    const { plan, ledger } = this.#publishing;
    this.#sent(index);
    if (plan.faults.isPublishedTwice(index)) this.#copyOf = index;
    else if (plan.roles.isMixed) {
      this.#copyOf = plan.roles.againAfter(index);
      if (this.#copyOf >= 0) ledger.again(this.#copyOf);
    }
  }

  #sent(index: number): void {
    const { plan, ledger, counters } = this.#publishing;
    ledger.sent(index);
    counters.sent++;
    if (plan.faults.poison(index)) counters.poison++;
    this.#cursor = plan.next(index);
  }

  /** The packet identifiers in use, oldest first. */
  *unackedPacketIds(): Generator<number> {
    const { inFlight } = this.#publishing;
    for (let turn = 0; turn < inFlight.window; turn++) {
      const packetId = ((this.#packetId + turn) % inFlight.window) + 1;
      if (inFlight.use(this.#connection, packetId) !== slotUse.free) yield packetId;
    }
  }

  /**
   * A connection is open again. Without a session the gateway has forgotten which identifiers it acknowledged
   * by PUBREC.
   */
  resume(isSessionPresent: boolean): void {
    if (isSessionPresent) return;
    for (const packetId of this.unackedPacketIds()) if (this.#isReleased(packetId)) this.#free(packetId);
  }

  /** All identifiers in use have been written again. */
  resumed(): void {
    this.#hasForgotten = false;
  }

  /**
   * Writes the resend of an identifier in use: the PUBLISH with DUP = 1, or the PUBREL. Returns its length.
   */
  writeAgain(target: Uint8Array, at: number, packetId: number): number {
    const { inFlight, encoder, counters } = this.#publishing;
    if (this.#isReleased(packetId)) {
      target.set(pubrelPacket(packetId), at);
      return 4;
    }
    counters.resent++;
    const index = inFlight.index(this.#connection, packetId);
    return encoder.write(target, at, index, packetId, !this.#hasForgotten);
  }

  /** A PUBACK arrived. */
  acknowledge(packetId: number, nowMs: number): void {
    if (this.#settle(packetId, 1, nowMs)) this.#free(packetId);
  }

  /** A PUBREC arrived: the message is acknowledged, its identifier is in use until PUBCOMP. */
  received(packetId: number, nowMs: number): void {
    if (this.#settle(packetId, 2, nowMs)) this.#publishing.inFlight.release(this.#connection, packetId);
  }

  /** A PUBCOMP arrived. */
  complete(packetId: number): void {
    if (this.#isReleased(packetId)) this.#free(packetId);
    else this.#publishing.counters.strayAcks++;
  }

  /** Notes an acknowledgement. False if no message of this quality of service waits for it. */
  #settle(packetId: number, qos: 1 | 2, nowMs: number): boolean {
    const { inFlight, counters, ledger, plan, startedAtMs } = this.#publishing;
    const use = inFlight.use(this.#connection, packetId);
    const index = inFlight.index(this.#connection, packetId);
    if (use === slotUse.free || use === slotUse.released || plan.qos(index) !== qos) {
      // A repeated PUBREC asks for PUBREL again.
      if (use !== slotUse.released || qos === 1) counters.strayAcks++;
      return false;
    }
    ledger.acked(index);
    if (use === slotUse.copy) return true;
    counters.acked++;
    counters.settled++;
    recordMs(counters.ackLatency, nowMs - inFlight.writtenAtMs(this.#connection, packetId));
    recordMs(counters.dueLatency, nowMs - startedAtMs - plan.dueMs(index));
    return true;
  }

  /**
   * The device restarts without its packet identifiers, and counts from 1. With `keepsMessages`, it publishes
   * the unacknowledged ones as if for the first time. Otherwise it gives them up, and other messages get
   * their identifiers.
   */
  forget(keepsMessages: boolean, nowMs: number): void {
    const { inFlight, counters } = this.#publishing;
    const kept = keepsMessages
      ? [...this.unackedPacketIds()]
          .filter((packetId) => inFlight.use(this.#connection, packetId) === slotUse.original)
          .map((packetId) => inFlight.index(this.#connection, packetId))
      : [];
    const givenUp = this.#clear(!keepsMessages);
    // An intentional loss of messages is no failure of the run.
    counters.forgotten += givenUp;
    counters.settled += givenUp;
    this.#packetId = inFlight.window;
    for (const [at, index] of kept.entries()) {
      this.#packetId = at + 1;
      inFlight.take(this.#connection, this.#packetId, { index, use: slotUse.original, nowMs });
      this.#unacked++;
    }
    this.#hasForgotten = true;
  }

  /** Forgets all messages that wait for their acknowledgement, and notes this in the ledger. */
  giveUp(): void {
    this.#publishing.counters.gaveUp += this.#clear(true);
  }

  /** Frees all identifiers. Returns how many messages are noted as given up. */
  #clear(givesUp: boolean): number {
    const { inFlight, ledger } = this.#publishing;
    let givenUp = 0;
    for (const packetId of this.unackedPacketIds()) {
      if (givesUp && inFlight.use(this.#connection, packetId) === slotUse.original) {
        givenUp++;
        ledger.gaveUp(inFlight.index(this.#connection, packetId));
      }
      this.#free(packetId);
    }
    this.#copyOf = -1;
    return givenUp;
  }

  #isReleased(packetId: number): boolean {
    return this.#publishing.inFlight.use(this.#connection, packetId) === slotUse.released;
  }

  #free(packetId: number): void {
    this.#publishing.inFlight.free(this.#connection, packetId);
    this.#unacked--;
  }
}
