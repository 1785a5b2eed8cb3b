import { Readable } from "node:stream";
import aedesPersistence from "aedes-persistence";
import type { LiveSubscribers } from "../live-subscribers.ts";
import type { MqttMetrics } from "../mqtt-metrics.ts";
import { type RetainedMessage, RetainedMessages } from "./retained-messages.ts";

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

/** A filter of a SUBSCRIBE packet, with the QoS asked for. */
export interface AskedSubscription {
  readonly topic: string;
}

/**
 * Stands for the subscriptions of a session that has none: CONNACK of Aedes announces only sessions with
 * subscriptions.
 */
export const sessionMarker = Object.freeze({ topic: "$session", qos: 0 });

/** The methods of aedes-persistence 11 that are wrapped; all but the stream return promises. */
interface Persistence {
  addSubscriptions(client: SessionClient, subscriptions: readonly AskedSubscription[]): Promise<unknown>;
  removeSubscriptions(client: SessionClient, filters: readonly string[]): Promise<unknown>;
  cleanSubscriptions(client: SessionClient): Promise<unknown>;
  subscriptionsByClient(client: SessionClient): Promise<readonly object[]>;
  outgoingEnqueueCombi(subscriptions: readonly SessionSubscription[], packet: QueuedPacket): Promise<unknown>;
  outgoingUpdate(client: SessionClient, packet: QueuedPacket): Promise<unknown>;
  outgoingClearMessageId(client: SessionClient, packet: QueuedPacket): Promise<QueuedPacket | undefined>;
  outgoingStream(client: SessionClient): Readable;
  /** Also asked for PUBREL, which has no content. Rejects if there is none. */
  incomingGetPacket(client: SessionClient, packet: Partial<QueuedPacket>): Promise<QueuedPacket>;
  storeRetained(packet: RetainedMessage): Promise<unknown>;
  createRetainedStreamCombi(filters: readonly string[]): Readable;
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
  /** Sessions with subscriptions. */
  readonly sessionsMax: number;
  /** Topic names with a retained message. */
  readonly retainedMax: number;
}

/**
 * Sessions of subscribers, in memory, with three additions to Aedes' own store: bounds, DUP on resent
 * messages, and the subscriptions of absent clients for `LiveSubscribers`.
 */
export class SessionQueues {
  readonly persistence: Persistence;
  readonly #live: LiveSubscribers;
  readonly #metrics: MqttMetrics;
  readonly #bounds: SessionBounds;
  readonly #granted: () => AskedSubscription;
  readonly #isResumed: (clientId: string) => boolean;
  readonly #filters = new Map<string, Set<string>>();
  readonly #queues = new Map<string, Queue>();
  readonly #retained: RetainedMessages;
  #bytes = 0;

  constructor(
    bounds: SessionBounds,
    parts: {
      live: LiveSubscribers;
      metrics: MqttMetrics;
      /** The subscription that was granted last. */
      granted: () => AskedSubscription;
      /** Whether state of the client's session was kept from an earlier connection. */
      isResumed: (clientId: string) => boolean;
    },
  ) {
    this.#live = parts.live;
    this.#metrics = parts.metrics;
    this.#granted = parts.granted;
    this.#isResumed = parts.isResumed;
    this.#bounds = bounds;
    this.#retained = new RetainedMessages(bounds.retainedMax);
    this.persistence = memoryPersistence();
    this.#wrapSubscriptions(this.persistence);
    this.#wrapQueues(this.persistence);
    wrapReceived(this.persistence);
    this.#wrapRetained(this.persistence);
  }

  /** False if one more session would be too many. */
  hasRoom(clientId: string): boolean {
    return this.#filters.has(clientId) || this.#filters.size < this.#bounds.sessionsMax;
  }

  #wrapSubscriptions(persistence: Persistence): void {
    const add = persistence.addSubscriptions.bind(persistence);
    const remove = persistence.removeSubscriptions.bind(persistence);
    const clean = persistence.cleanSubscriptions.bind(persistence);
    const ofClient = persistence.subscriptionsByClient.bind(persistence);
    persistence.subscriptionsByClient = async (client) => {
      const subscriptions = await ofClient(client);
      return subscriptions.length === 0 && this.#isResumed(client.id) ? [sessionMarker] : subscriptions;
    };
    // Aedes passes all subscriptions of a packet, including refused ones, right after each granted one.
    persistence.addSubscriptions = (client) => {
      const granted = this.#granted();
      this.#subscribed(client.id, granted.topic);
      return add(client, [granted]);
    };
    persistence.removeSubscriptions = (client, filters) => {
      for (const filter of filters) this.#unsubscribed(client.id, filter);
      return remove(client, filters);
    };
    persistence.cleanSubscriptions = (client) => {
      for (const filter of this.#filters.get(client.id) ?? []) this.#live.removed(filter);
      this.#filters.delete(client.id);
      return clean(client);
    };
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

  #subscribed(clientId: string, filter: string): void {
    const filters = this.#filters.get(clientId) ?? new Set();
    this.#filters.set(clientId, filters);
    if (filters.has(filter)) return;
    filters.add(filter);
    this.#live.added(filter);
  }

  #unsubscribed(clientId: string, filter: string): void {
    const filters = this.#filters.get(clientId);
    if (!filters?.delete(filter)) return;
    this.#live.removed(filter);
    if (filters.size === 0) this.#filters.delete(clientId);
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
