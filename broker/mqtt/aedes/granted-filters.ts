import type { RefusalFields } from "../../ingest/index.ts";
import type { AedesClient } from "./aedes-client.ts";

interface FilterLimits {
  readonly subscriptionsMax: number;
  readonly subscriptionsOfAllMax: number;
  readonly filterMaxBytes: number;
  readonly filterLevelsMax: number;
  readonly maxConnections: number;
}

/** The filters of persistent sessions, whether their clients are connected or not. */
export interface KeptFilters {
  readonly filterCount: number;
  has(clientId: string, filter: string): boolean;
  /** Whether there is room for the client's session. */
  hasRoom(clientId: string): boolean;
}

/** The filters of connected clients, and how many more there may be. */
export class GrantedFilters {
  readonly #limits: FilterLimits;
  readonly #kept: KeptFilters;
  readonly #filters = new WeakMap<AedesClient, Set<string>>();
  /** Filters of clients without a persistent session. */
  #ofCleanClients = 0;

  constructor(limits: FilterLimits, kept: KeptFilters) {
    this.#limits = limits;
    this.#kept = kept;
  }

  /** The limit that this filter of the client would exceed; null = none. */
  excess(client: AedesClient, filter: string): RefusalFields | null {
    const { maxConnections } = this.#limits;
    const excess = this.#textExcess(filter) ?? this.#countExcess(client, filter);
    if (excess || client.clean || this.#kept.hasRoom(client.id ?? "")) return excess;
    return { bound: "maxConnections", limit: maxConnections };
  }

  add(client: AedesClient, filter: string): void {
    const filters = this.#of(client);
    if (client.clean && !filters.has(filter)) this.#ofCleanClients += 1;
    this.#filters.set(client, filters.add(filter));
  }

  remove(client: AedesClient, removed: Iterable<string>): void {
    const filters = this.#of(client);
    for (const filter of removed) if (filters.delete(filter) && client.clean) this.#ofCleanClients -= 1;
  }

  /** The client's connection has ended. */
  end(client: AedesClient): void {
    this.remove(client, [...this.#of(client)]);
  }

  #of(client: AedesClient): Set<string> {
    return this.#filters.get(client) ?? new Set();
  }

  #textExcess(filter: string): RefusalFields | null {
    const { filterMaxBytes, filterLevelsMax } = this.#limits;
    const bytes = Buffer.byteLength(filter);
    if (bytes > filterMaxBytes) return { bound: "filterMaxBytes", limit: filterMaxBytes, actual: bytes };
    const levels = filter.split("/").length;
    if (levels <= filterLevelsMax) return null;
    return { bound: "filterLevelsMax", limit: filterLevelsMax, actual: levels };
  }

  #countExcess(client: AedesClient, filter: string): RefusalFields | null {
    const { subscriptionsMax, subscriptionsOfAllMax } = this.#limits;
    const filters = this.#of(client);
    if (filters.has(filter)) return null;
    if (filters.size >= subscriptionsMax)
      return { bound: "subscriptionsMax", limit: subscriptionsMax, actual: filters.size + 1 };
    // A persistent session that comes back has its filters already.
    if (!client.clean && this.#kept.has(client.id ?? "", filter)) return null;
    const count = this.#ofCleanClients + this.#kept.filterCount;
    if (count < subscriptionsOfAllMax) return null;
    return { bound: "subscriptionsOfAllMax", limit: subscriptionsOfAllMax, actual: count + 1 };
  }
}
