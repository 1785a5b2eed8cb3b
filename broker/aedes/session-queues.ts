import aedesPersistence from "aedes-persistence";
import type { LiveSubscribers } from "../live-subscribers.ts";
import type { BrokerMetrics } from "../metrics.ts";

interface QueuedPacket {
  readonly payload: Uint8Array | string;
}

interface SessionClient {
  readonly id: string;
}

interface SessionSubscription {
  readonly clientId: string;
}

/** The methods of aedes-persistence 11 that are wrapped; all return promises. */
interface Persistence {
  addSubscriptions(client: SessionClient, subscriptions: readonly { topic: string }[]): Promise<unknown>;
  removeSubscriptions(client: SessionClient, filters: readonly string[]): Promise<unknown>;
  cleanSubscriptions(client: SessionClient): Promise<unknown>;
  outgoingEnqueueCombi(subscriptions: readonly SessionSubscription[], packet: QueuedPacket): Promise<unknown>;
}

/** A CommonJS module, whose types say that it has a default export. */
const memoryPersistence = aedesPersistence as unknown as () => Persistence;

interface Queue {
  messages: number;
  bytes: number;
}

/**
 * Sessions of subscribers, in memory, with what Aedes' own store lacks: bounds on what is queued for clients that are away or do not
 * acknowledge, and word to `LiveSubscribers` of what sessions of absent clients subscribe to.
 */
export class SessionQueues {
  readonly persistence: Persistence;
  readonly #live: LiveSubscribers;
  readonly #metrics: BrokerMetrics;
  readonly #bounds: { messagesMax: number; bytesMax: number };
  readonly #filters = new Map<string, Set<string>>();
  readonly #queues = new Map<string, Queue>();
  #bytes = 0;

  constructor(
    live: LiveSubscribers,
    metrics: BrokerMetrics,
    bounds: { messagesMax: number; bytesMax: number },
  ) {
    this.#live = live;
    this.#metrics = metrics;
    this.#bounds = bounds;
    this.persistence = this.#wrap(memoryPersistence());
  }

  /** A subscriber acknowledged a message. */
  acknowledged(clientId: string, packet: QueuedPacket | undefined): void {
    const queue = this.#queues.get(clientId);
    if (!queue || !packet) return;
    const bytes = packet.payload.length;
    queue.messages -= 1;
    queue.bytes -= bytes;
    this.#bytes -= bytes;
    if (queue.messages <= 0) this.#forget(clientId);
  }

  #wrap(persistence: Persistence): Persistence {
    const original = {
      add: persistence.addSubscriptions.bind(persistence),
      remove: persistence.removeSubscriptions.bind(persistence),
      clean: persistence.cleanSubscriptions.bind(persistence),
      enqueue: persistence.outgoingEnqueueCombi.bind(persistence),
    };
    persistence.addSubscriptions = (client, subscriptions) => {
      for (const { topic } of subscriptions) this.#subscribed(client.id, topic);
      return original.add(client, subscriptions);
    };
    persistence.removeSubscriptions = (client, filters) => {
      for (const filter of filters) this.#unsubscribed(client.id, filter);
      return original.remove(client, filters);
    };
    persistence.cleanSubscriptions = (client) => {
      for (const filter of this.#filters.get(client.id) ?? []) this.#live.removed(filter);
      this.#filters.delete(client.id);
      this.#forget(client.id);
      return original.clean(client);
    };
    persistence.outgoingEnqueueCombi = (subscriptions, packet) =>
      original.enqueue(
        subscriptions.filter(({ clientId }) => this.#reserve(clientId, packet.payload.length)),
        packet,
      );
    return persistence;
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

  #forget(clientId: string): void {
    this.#bytes -= this.#queues.get(clientId)?.bytes ?? 0;
    this.#queues.delete(clientId);
  }
}
