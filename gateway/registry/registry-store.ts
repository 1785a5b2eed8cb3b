import type { DeviceRecord } from "./device-record.ts";
import type { TopicRecord } from "./topic-definition.ts";

/** Fact of the registry: when it was first used, so that demo topics which were deleted stay so. */
export const initialisedFact = "initialisedAt";

/** Told of what others have changed. */
export interface RegistryListener {
  /** `allTopics` may answer something else now. */
  topicsChanged?(): void;
  /** The identity of this name was removed. */
  deviceRevoked?(name: string): void;
  /** Which identities were removed can't be told: whoever relies on one looks it up again. */
  identitiesInDoubt?(): void;
}

/** Where topics and identities may be: in the data folder, or where gateways share them. */
export const registryKinds = ["lmdb", "redis"] as const;

export interface RegistryStatus {
  readonly kind: (typeof registryKinds)[number];
  /** Why it can't be asked now, since when (ms since the epoch); null = it answers. */
  readonly trouble: { readonly code: string; readonly message: string; readonly sinceMs: number } | null;
}

/**
 * PORT: topics and identities, shared by the processes and, where the implementation is on a server, by the gateways that use it.
 *
 * - Topic versions are only ever added. They are read from memory as of the last `refresh`; a server's registry also refreshes itself,
 *   so that what another gateway adds, or an identity that it removes, is known and told to listeners within a second.
 * - Adding takes two steps, so that exactly one of several admins wins and the lake knows a version before any broker does:
 *   `reserveTopics`, which answers false and changes nothing unless `topicsVersion` still is what the caller decided by, and
 *   `publishTopics`, which makes reserved versions visible. Whoever finds versions reserved by somebody who died between the two may
 *   publish them, once they are in the lake. Both are idempotent.
 * - Identities are looked up when asked for, never from a cache: a removed one is refused from the moment of its removal.
 * - A change that resolved survives a power cut. Calls reject with a retryable error where the registry can't be reached or was lost.
 */
export interface RegistryStore {
  refresh(): Promise<void>;
  /** Every visible version of every topic, in no order between topics, rising versions within one. */
  allTopics(): readonly TopicRecord[];
  reservedTopics(): readonly TopicRecord[];
  /** Another number after each change of what `allTopics` and `reservedTopics` answer together. */
  readonly topicsVersion: number;
  reserveTopics(records: readonly TopicRecord[], topicsVersion: number): Promise<boolean>;
  publishTopics(records: readonly TopicRecord[]): Promise<void>;
  /** Takes reservations back that the lake is known not to hold. */
  releaseTopics(records: readonly TopicRecord[]): Promise<void>;
  device(name: string): Promise<DeviceRecord | undefined>;
  /** In order of their names, strictly after `after`. */
  devices(limit: number, after?: string): Promise<DeviceRecord[]>;
  /** False (nothing changed) where the name is taken. */
  addDevice(record: DeviceRecord): Promise<boolean>;
  /** False where there was none. */
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
