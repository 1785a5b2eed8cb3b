import type { DeviceRecord } from "./device-record.ts";
import type { TopicRecord } from "./topic-definition.ts";

/** Fact of the registry: the time of its first use. Deleted demo topics are therefore not created again. */
export const initialisedFact = "initialisedAt";

/** Receives changes by other processes. */
export interface RegistryListener {
  /** The result of `allTopics` may have changed. */
  topicsChanged?(): void;
  /** The identity of this name was removed. */
  deviceRevoked?(name: string): void;
  /** Unknown identities were removed: look up every identity in use again. */
  identitiesInDoubt?(): void;
}

/** Kinds of registries: in the data folder, or shared by gateways on a server. */
export const registryKinds = ["lmdb", "redis"] as const;

export interface RegistryStatus {
  readonly kind: (typeof registryKinds)[number];
  /** Why the registry cannot be read, and since when (ms since the epoch); null = it answers. */
  readonly trouble: { readonly code: string; readonly message: string; readonly sinceMs: number } | null;
}

/**
 * PORT: topics and identities, shared by the processes of a gateway. An implementation on a server is also
 * shared by all gateways that use it.
 *
 * - Topic versions are only added, never removed. They are read from memory as of the last `refresh`. A
 *   registry on a server also refreshes itself: listeners learn of versions that another gateway adds, and of
 *   identities that it removes, within a second.
 * - Versions are added in two steps, so that exactly one of several administrators wins, and the lake has a
 *   version before any broker uses it. `reserveTopics` returns false without a change if `topicsVersion` is
 *   no longer the caller's. `publishTopics` makes reserved versions visible. If a process dies between the
 *   two steps, any other may publish its reservations once they are in the lake. Both steps are idempotent.
 * - Identities are looked up each time, never in a cache: a removed identity is refused from its removal on.
 * - A change that resolved survives a power cut. Calls reject with a retryable error if the registry cannot
 *   be reached or was lost.
 */
export interface RegistryStore {
  refresh(): Promise<void>;
  /** Every visible version of every topic, in no order between topics, rising versions within one. */
  allTopics(): readonly TopicRecord[];
  reservedTopics(): readonly TopicRecord[];
  /** A different number after each change of `allTopics` or `reservedTopics`. */
  readonly topicsVersion: number;
  reserveTopics(records: readonly TopicRecord[], topicsVersion: number): Promise<boolean>;
  publishTopics(records: readonly TopicRecord[]): Promise<void>;
  /** Cancels reservations that the lake certainly does not hold. */
  releaseTopics(records: readonly TopicRecord[]): Promise<void>;
  device(name: string): Promise<DeviceRecord | undefined>;
  /** In order of their names, strictly after `after`. */
  devices(limit: number, after?: string): Promise<DeviceRecord[]>;
  /** False (without a change) if the name exists. */
  addDevice(record: DeviceRecord): Promise<boolean>;
  /** False if there is no such identity. */
  removeDevice(name: string): Promise<boolean>;
  fact(name: string): Promise<unknown>;
  setFact(name: string, value: unknown): Promise<void>;
  listen(listener: RegistryListener): void;
  status(): RegistryStatus;
  close(): Promise<void>;
}

/** The last visible version of every topic, deleted ones included. */
export function latestTopics(store: Pick<RegistryStore, "allTopics">): TopicRecord[] {
  const latest = new Map<string, TopicRecord>();
  for (const record of store.allTopics()) {
    const known = latest.get(record.topicId);
    if (!known || known.version < record.version) latest.set(record.topicId, record);
  }
  return [...latest.values()];
}

/** Unique among all versions of all topics. */
export function topicKey({ topicId, version }: Pick<TopicRecord, "topicId" | "version">): string {
  return `${topicId}/${version}`;
}
