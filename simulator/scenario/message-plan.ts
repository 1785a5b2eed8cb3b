import { DeviceOrder } from "./device-order.ts";
import type { Document } from "./document.ts";
import { FaultPlan } from "./faults.ts";
import type { MessageNames } from "./message-names.ts";
import { type MessageRole, MessageRoles } from "./message-roles.ts";
import { type MessageShape, MessageShapes } from "./message-shapes.ts";
import { type Qos, type Scenario, totalMessages } from "./scenario.ts";
import { chance } from "./seeded-hash.ts";
import { type TypedValues, typedValuesOf } from "./typed-values.ts";

const jitterStream = 2;

/**
 * Every message of a run as a function of its index: its sender, time and content. The fleet publishes these
 * messages, and the audit compares filed rows with them. Messages of one device have rising indexes and share
 * one connection.
 */
export class MessagePlan {
  readonly total: number;
  /** Message ids and device ids, the same in every shape; topic names of the shape `main`. */
  readonly names: MessageNames;
  /** Of the shape `main`. */
  readonly document: Document;
  readonly shapes: MessageShapes;
  readonly roles: MessageRoles;
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
    this.shapes = new MessageShapes(scenario);
    this.names = this.shapes.main.names;
    const { seed, faults } = scenario;
    this.faults = new FaultPlan(seed, faults, (index) => this.shapes.of(index).format !== "raw");
    this.roles = new MessageRoles(scenario, this.faults, this.shapes);
    this.document = this.shapes.main.document;
    this.devices = scenario.devices;
    this.connections = scenario.connections;
    this.#burst = scenario.burst;
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

  role(index: number): MessageRole {
    return this.roles.isMixed ? this.roles.role(index) : "plain";
  }

  qos(index: number): Qos {
    return this.roles.qos(index);
  }

  /** A message with a reused id has the shape of the earlier one, because an id counts within a topic. */
  shape(index: number): MessageShape {
    if (!this.roles.isMixed) return this.shapes.main;
    return this.roles.role(index) === "big"
      ? this.shapes.bigOf(index)
      : this.shapes.of(this.roles.idIndex(index));
  }

  topicName(index: number): string {
    return this.shape(index).names.topicName(this.device(index));
  }

  /** The id that the message is published with. */
  messageId(index: number): Buffer {
    const bytes = Buffer.alloc(this.names.idBytes);
    const idIndex = this.roles.idIndex(index);
    this.names.writeId(bytes, 0, this.device(idIndex), this.sequence(idIndex));
    return bytes;
  }

  /** The values of the typed columns of the message's row; null if its topic has none. */
  typedValues(index: number): TypedValues | null {
    if (this.shape(index).kind !== "typed") return null;
    return typedValuesOf(this.#seed, this.device(index), this.sequence(index));
  }

  /** µs since the epoch, as in the message's row; exact, below 2^53. */
  eventTimeUs(index: number, startedAtMs: number): number {
    const micros = this.shape(index).document.eventMicros?.(this.device(index), this.sequence(index)) ?? 0;
    return this.eventTimeMs(index, startedAtMs) * 1000 + micros;
  }

  /** The message's own time, in whole ms. */
  eventTimeMs(index: number, startedAtMs: number): number {
    return this.faults.eventTimeMs(index, startedAtMs + Math.floor(this.dueMs(index)));
  }

  /** Writes the message's document in the length of its shape, poisoned if planned. */
  writeDocument(target: Uint8Array, start: number, index: number, startedAtMs: number): void {
    const { document } = this.shape(index);
    const device = this.device(index);
    document.write(target, start, device, this.sequence(index), this.eventTimeMs(index, startedAtMs));
    if (this.roles.isMixed) this.#reuseId(target, start + document.idAt, index);
    const poison = this.faults.poison(index);
    if (poison) document.spoil(target, start, poison);
  }

  #reuseId(target: Uint8Array, idAt: number, index: number): void {
    const idIndex = this.roles.idIndex(index);
    if (idIndex !== index) this.names.writeId(target, idAt, this.device(idIndex), this.sequence(idIndex));
  }
}
