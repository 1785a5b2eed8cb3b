import { Readable } from "node:stream";
import aedesPersistence from "aedes-persistence";
import type { MqttMetrics } from "../mqtt-metrics.ts";
import { type RetainedMessage, RetainedMessages } from "./retained-messages.ts";
import type { SubscriptionStore } from "./session-subscriptions.ts";

interface QueuedPacket extends RetainedMessage {
  readonly messageId?: number;
  dup?: boolean;
}

interface SessionClient {
  readonly id: string;
}

interface SessionSubscription {
  readonly clientId: string;
}

/** The methods of aedes-persistence 11 that are wrapped; all but the stream return promises. */
interface Persistence extends SubscriptionStore {
  outgoingEnqueueCombi(subscriptions: readonly SessionSubscription[], packet: QueuedPacket): Promise<unknown>;
  outgoingUpdate(client: SessionClient, packet: QueuedPacket): Promise<unknown>;
  outgoingClearMessageId(client: SessionClient, packet: QueuedPacket): Promise<QueuedPacket | undefined>;
  outgoingStream(client: SessionClient): Readable;
  /** Also asked for PUBREL, which has no content. Rejects if there is none. */
  incomingGetPacket(client: SessionClient, packet: Partial<QueuedPacket>): Promise<QueuedPacket>;
  storeRetained(packet: RetainedMessage): Promise<unknown>;
  createRetainedStreamCombi(filters: readonly string[]): Readable;
  /** The wills that Aedes publishes every four minutes, because their broker shows no heartbeat. */
  streamWill(brokers: Readonly<Record<string, number>>): Readable;
}

/** A CommonJS module whose types declare a default export. */
const memoryPersistence = aedesPersistence as unknown as () => Persistence;

interface Queue {
  messages: number;
  bytes: number;
}

export interface SessionBounds {
  /** Messages queued for one session. */
  readonly messagesMax: number;
  /** Payload bytes queued for all sessions. */
  readonly bytesMax: number;
  /** Topic names with a retained message. */
  readonly retainedMax: number;
}

/**
 * Messages for subscribers, in memory, with two additions to Aedes' own store: bounds, and DUP on resent
 * messages.
 */
export class SessionQueues {
  readonly persistence: Persistence;
  readonly #metrics: MqttMetrics;
  readonly #bounds: SessionBounds;
  readonly #queues = new Map<string, Queue>();
  readonly #retained: RetainedMessages;
  #bytes = 0;

  constructor(bounds: SessionBounds, metrics: MqttMetrics) {
    this.#metrics = metrics;
    this.#bounds = bounds;
    this.#retained = new RetainedMessages(bounds.retainedMax);
    this.persistence = memoryPersistence();
    this.#wrapQueues(this.persistence);
    wrapReceived(this.persistence);
    this.#wrapRetained(this.persistence);
    // These wills are in this process only, so each belongs to a client of this broker. Aedes reads its own
    // heartbeats by the wall clock: after a step, or a pause of minutes, it would publish the wills of connected
    // clients, and a refusal of one would end the process.
    this.persistence.streamWill = () => Readable.from([]);
  }

  #wrapQueues(persistence: Persistence): void {
    const enqueue = persistence.outgoingEnqueueCombi.bind(persistence);
    const update = persistence.outgoingUpdate.bind(persistence);
    const clear = persistence.outgoingClearMessageId.bind(persistence);
    const stream = persistence.outgoingStream.bind(persistence);
    persistence.outgoingEnqueueCombi = (subscriptions, packet) =>
      enqueue(
        subscriptions.filter(({ clientId }) => this.#reserve(clientId, packet.payload.length)),
        packet,
      );
    // Aedes' store rejects if the queue has no room, and Aedes would close the connection. The message is
    // delivered all the same, once.
    persistence.outgoingUpdate = (client, packet) => update(client, packet).catch(() => {});
    persistence.outgoingClearMessageId = async (client, packet) => {
      const cleared = await clear(client, packet);
      if (cleared) this.#release(client.id, cleared.payload.length);
      return cleared;
    };
    // [MQTT-3.3.1-1] A message with a packet identifier was sent before.
    persistence.outgoingStream = (client) =>
      stream(client).map((packet: QueuedPacket) => {
        if (packet.messageId !== undefined) packet.dup = true;
        return packet;
      });
  }

  #wrapRetained(persistence: Persistence): void {
    persistence.storeRetained = async (packet) => {
      if (!this.#retained.store(packet)) this.#metrics.retainedDropped += 1;
    };
    persistence.createRetainedStreamCombi = (filters) => Readable.from(this.#retained.matching(filters));
  }

  /** False, and counted: the queue is full. */
  #reserve(clientId: string, bytes: number): boolean {
    const queue = this.#queues.get(clientId) ?? { messages: 0, bytes: 0 };
    const { messagesMax, bytesMax } = this.#bounds;
    if (queue.messages >= messagesMax || this.#bytes + bytes > bytesMax) {
      this.#metrics.sessionDropped += 1;
      return false;
    }
    queue.messages += 1;
    queue.bytes += bytes;
    this.#bytes += bytes;
    this.#queues.set(clientId, queue);
    return true;
  }

  #release(clientId: string, bytes: number): void {
    const queue = this.#queues.get(clientId);
    if (!queue) return;
    queue.messages -= 1;
    queue.bytes -= bytes;
    this.#bytes -= bytes;
    if (queue.messages <= 0) this.#queues.delete(clientId);
  }
}

/**
 * A message with the identifier of another one that was never released is new: Aedes would acknowledge it and
 * not deliver it.
 */
function wrapReceived(persistence: Persistence): void {
  const received = persistence.incomingGetPacket.bind(persistence);
  persistence.incomingGetPacket = async (client, packet) => {
    const known = await received(client, packet);
    const { topic, payload } = packet;
    const isOther = topic !== undefined && (topic !== known.topic || !isEqual(payload, known.payload));
    if (isOther) throw new Error("another message has this identifier");
    return known;
  };
}

function isEqual(left: Uint8Array | string = "", right: Uint8Array | string): boolean {
  return Buffer.from(left).equals(Buffer.from(right));
}
