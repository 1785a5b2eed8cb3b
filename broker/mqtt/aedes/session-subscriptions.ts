import type { LiveSubscribers } from "../live-subscribers.ts";
import type { KeptFilters } from "./granted-filters.ts";
import type { PacedWork } from "./paced-work.ts";

interface SessionClient {
  readonly id: string;
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

/** The methods of aedes-persistence 11 that keep subscriptions. */
export interface SubscriptionStore {
  addSubscriptions(client: SessionClient, subscriptions: readonly AskedSubscription[]): Promise<unknown>;
  removeSubscriptions(client: SessionClient, filters: readonly string[]): Promise<unknown>;
  cleanSubscriptions(client: SessionClient): Promise<unknown>;
  subscriptionsByClient(client: SessionClient): Promise<readonly object[]>;
}

export interface SubscriptionParts {
  readonly live: LiveSubscribers;
  /** The subscription that was granted last. */
  readonly granted: () => AskedSubscription;
  /** Whether state of the client's session was kept from an earlier connection. */
  readonly isResumed: (clientId: string) => boolean;
  readonly removals: PacedWork;
  /** Sessions with subscriptions. */
  readonly sessionsMax: number;
}

/**
 * The subscriptions of persistent sessions. Their clients may be absent, so this class tells
 * `LiveSubscribers`.
 *
 * Filters are removed in turns of the event loop. All other work for the same client id waits for the end of
 * the removal: another connection of the client may come meanwhile.
 */
export class SessionSubscriptions implements KeptFilters {
  readonly #parts: SubscriptionParts;
  readonly #filters = new Map<string, Set<string>>();
  /** By client id, while filters are being removed. */
  readonly #removals = new Map<string, Promise<void>>();
  readonly #removeStored: SubscriptionStore["removeSubscriptions"];
  #filterCount = 0;

  constructor(store: SubscriptionStore, parts: SubscriptionParts) {
    this.#parts = parts;
    const add = store.addSubscriptions.bind(store);
    const clean = store.cleanSubscriptions.bind(store);
    const ofClient = store.subscriptionsByClient.bind(store);
    this.#removeStored = store.removeSubscriptions.bind(store);
    store.subscriptionsByClient = async (client) => {
      await this.#removed(client.id);
      const subscriptions = await ofClient(client);
      return subscriptions.length === 0 && parts.isResumed(client.id) ? [sessionMarker] : subscriptions;
    };
    // Aedes passes all subscriptions of a packet, including refused ones, right after each granted one.
    store.addSubscriptions = async (client) => {
      const granted = parts.granted();
      if (this.#removals.has(client.id)) await this.#removed(client.id);
      this.#add(client.id, granted.topic);
      return add(client, [granted]);
    };
    store.removeSubscriptions = (client, filters) => this.#remove(client, () => filters);
    store.cleanSubscriptions = async (client) => {
      await this.#remove(client, () => this.#filters.get(client.id) ?? []);
      return clean(client);
    };
  }

  get filterCount(): number {
    return this.#filterCount;
  }

  has(clientId: string, filter: string): boolean {
    return this.#filters.get(clientId)?.has(filter) ?? false;
  }

  hasRoom(clientId: string): boolean {
    return this.#filters.has(clientId) || this.#filters.size < this.#parts.sessionsMax;
  }

  #add(clientId: string, filter: string): void {
    const filters = this.#filters.get(clientId) ?? new Set();
    this.#filters.set(clientId, filters);
    if (filters.has(filter)) return;
    filters.add(filter);
    this.#filterCount += 1;
    this.#parts.live.added(filter);
  }

  /** After the removals of this client id that were asked for before. */
  async #remove(client: SessionClient, filtersOf: () => Iterable<string>): Promise<void> {
    const { id } = client;
    const earlier = this.#removals.get(id);
    if (!earlier && !this.#filters.has(id)) return;
    const removal = (earlier ?? Promise.resolve()).then(() => this.#removeInTurns(client, filtersOf()));
    this.#removals.set(id, removal);
    try {
      await removal;
    } finally {
      if (this.#removals.get(id) === removal) this.#removals.delete(id);
    }
  }

  async #removeInTurns(client: SessionClient, filters: Iterable<string>): Promise<void> {
    const removed = [...filters].map(
      (filter) =>
        new Promise((resolve) => {
          this.#parts.removals.add(() => {
            this.#forget(client.id, filter);
            resolve(this.#removeStored(client, [filter]));
          });
        }),
    );
    await Promise.all(removed);
  }

  #forget(clientId: string, filter: string): void {
    const filters = this.#filters.get(clientId);
    if (!filters?.delete(filter)) return;
    this.#filterCount -= 1;
    this.#parts.live.removed(filter);
    if (filters.size === 0) this.#filters.delete(clientId);
  }

  /** Resolves after all removals of this client id. */
  async #removed(clientId: string): Promise<void> {
    for (let removal = this.#removals.get(clientId); removal; removal = this.#removals.get(clientId))
      await removal.catch(() => {});
  }
}
