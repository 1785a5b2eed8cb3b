import { DeviceOrder } from "./device-order.ts";
import type { Document } from "./document.ts";
import { EnvelopeDocument } from "./envelope-document.ts";
import { FaultPlan } from "./faults.ts";
import { JsonDocument } from "./json-document.ts";
import { MessageNames } from "./message-names.ts";
import { type Scenario, totalMessages } from "./scenario.ts";
import { chance } from "./seeded-hash.ts";

const jitterStream = 2;

/**
 * Every message of a run as a function of its index: who sends it, when, and what it says. Used by the fleet that publishes it and by
 * the audit that compares what was filed. Messages of one device have rising indexes and share one connection.
 */
export class MessagePlan {
  readonly total: number;
  readonly names: MessageNames;
  readonly document: Document;
  readonly faults: FaultPlan;
  /** Turns of a round: one for each device. */
  readonly devices: number;
  readonly connections: number;
  readonly #burst: number;
  readonly #seed: number;
  readonly #msPerMessage: number;
  readonly #order: DeviceOrder;

  constructor(scenario: Scenario) {
    this.total = totalMessages(scenario);
    this.names = new MessageNames(scenario);
    this.faults = new FaultPlan(scenario.seed, scenario.faults);
    this.devices = scenario.devices;
    this.connections = scenario.connections;
    this.#burst = scenario.burst;
    this.document =
      scenario.format === "json"
        ? new JsonDocument(this.names, scenario.seed, scenario.payloadBytes)
        : new EnvelopeDocument(this.names, scenario.seed, scenario.payloadBytes);
    this.#seed = scenario.seed;
    this.#msPerMessage = 1000 / scenario.rate;
    this.#order = new DeviceOrder(scenario.seed, scenario.devices);
  }

  device(index: number): number {
    return this.#order.at(index % this.devices);
  }

  /** The device's own number of the message, from 0. */
  sequence(index: number): number {
    return Math.floor(index / this.devices);
  }

  connection(index: number): number {
    return Math.floor((index % this.devices) / this.#burst) % this.connections;
  }

  /** The first message of a connection. */
  first(connection: number): number {
    return connection * this.#burst;
  }

  /** The next message of the same connection. */
  next(index: number): number {
    const slot = index % this.devices;
    const behind = slot % this.#burst;
    if (behind + 1 < this.#burst && slot + 1 < this.devices) return index + 1;
    const nextBurst = slot - behind + this.#burst * this.connections;
    if (nextBurst < this.devices) return index - slot + nextBurst;
    return index - slot + this.devices + this.first(this.connection(index));
  }

  /** Slot by device: message (device, sequence) has the index `sequence × devices + slot`. */
  slots(): Uint32Array {
    return this.#order.inverse();
  }

  /** When message `index` is due, in ms since the start of the run, with a fraction. Rises with the index. */
  dueMs(index: number): number {
    return (index + chance(this.#seed, jitterStream, index)) * this.#msPerMessage;
  }

  /** How many messages are due at that time. */
  dueCount(elapsedMs: number): number {
    if (elapsedMs < 0) return 0;
    const index = Math.min(this.total, Math.floor(elapsedMs / this.#msPerMessage));
    return index < this.total && this.dueMs(index) <= elapsedMs ? index + 1 : index;
  }

  /** What the message says of its time. */
  eventTimeMs(index: number, startedAtMs: number): number {
    return this.faults.eventTimeMs(index, startedAtMs + Math.floor(this.dueMs(index)));
  }

  /** Writes the message's document, poisoned where that is planned. */
  writeDocument(target: Uint8Array, start: number, index: number, startedAtMs: number): void {
    const eventTimeMs = this.eventTimeMs(index, startedAtMs);
    this.document.write(target, start, this.device(index), this.sequence(index), eventTimeMs);
    const poison = this.faults.poison(index);
    if (poison) this.document.spoil(target, start, poison);
  }
}
