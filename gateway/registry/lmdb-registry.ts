import { statfsSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { makeFolderDurably, syncEntry } from "../../devices/protocol/durable-folder.ts";
import { GatewayError } from "../errors.ts";
import type { DeviceRecord } from "./device-record.ts";
import {
  type RegistryListener,
  type RegistryStatus,
  type RegistryStore,
  topicKey,
} from "./registry-store.ts";
import type { TopicRecord } from "./topic-definition.ts";

/** Reader slots: a few per process, and those of killed processes until the next writer clears them. */
const maxReaders = 126;
/** The format that this version writes and reads. */
const format = 1;
const formatFact = "format";
/**
 * More than a change writes. lmdb-js must not meet a full disk: it damages its own heap while it composes the
 * error.
 */
const spaceMinBytes = 1024 * 1024;

/**
 * The registry in the data folder: one writer (the supervisor), any number of reading processes. Readers see
 * whole changes only; a change that resolved survives a power cut.
 */
export class LmdbRegistry implements RegistryStore {
  readonly #folder: string;
  readonly #root: RootDatabase;
  readonly #topics: Database<TopicRecord, [string, number]>;
  readonly #devices: Database<DeviceRecord, string>;
  readonly #facts: Database<unknown, string>;
  readonly #reserved = new Map<string, TopicRecord>();
  readonly #listeners: RegistryListener[] = [];

  private constructor(folder: string, root: RootDatabase) {
    this.#folder = folder;
    this.#root = root;
    this.#topics = root.openDB({ name: "topics", encoding: "json" });
    this.#devices = root.openDB({ name: "devices", encoding: "json" });
    this.#facts = root.openDB({ name: "facts", encoding: "json" });
  }

  /**
   * Creates the registry if it is missing. Throws REGISTRY_VERSION, DISK_FULL. Changes throw DISK_FULL as
   * well.
   */
  static async openForWriting(folder: string): Promise<LmdbRegistry> {
    makeFolderDurably(folder, { mode: 0o700 });
    checkSpace(folder);
    const root = open({ path: folder, maxReaders, maxDbs: 8 });
    root.readerCheck();
    const store = new LmdbRegistry(folder, root);
    const found = await store.fact(formatFact);
    // lmdb flushes the content of its file, not its name.
    syncEntry(folder);
    if (found === undefined) await store.setFact(formatFact, format);
    else if (found !== format) {
      await store.close();
      throw new GatewayError(
        "REGISTRY_VERSION",
        `The registry in ${folder} has format ${found}; this Tidegate knows ${format}. Use the version that wrote it, or a newer one.`,
        { retryable: false },
      );
    }
    return store;
  }

  /** The folder must have been opened for writing once before. */
  static openForReading(folder: string): LmdbRegistry {
    return new LmdbRegistry(folder, open({ path: folder, maxReaders, maxDbs: 8, readOnly: true }));
  }

  /** The next reads see the commits of other processes. */
  async refresh(): Promise<void> {
    this.#root.resetReadTxn();
    for (const listener of this.#listeners) listener.topicsChanged?.();
  }

  allTopics(): TopicRecord[] {
    return [...this.#topics.getRange({})].map(({ value }) => value);
  }

  reservedTopics(): TopicRecord[] {
    return [...this.#reserved.values()];
  }

  get topicsVersion(): number {
    return this.#topics.getCount() + this.#reserved.size;
  }

  /**
   * Reservations are in memory: there is one writer, and after its death a reserved version is in the lake or
   * does not exist.
   */
  async reserveTopics(records: readonly TopicRecord[], topicsVersion: number): Promise<boolean> {
    if (this.topicsVersion !== topicsVersion) return false;
    for (const record of records) this.#reserved.set(topicKey(record), record);
    return true;
  }

  async publishTopics(records: readonly TopicRecord[]): Promise<void> {
    checkSpace(this.#folder);
    const reserved = records.filter((record) => this.#reserved.has(topicKey(record)));
    await this.#root.transaction(() => {
      for (const record of reserved) void this.#topics.put([record.topicId, record.version], record);
    });
    await this.#root.flushed;
    await this.releaseTopics(reserved);
  }

  async releaseTopics(records: readonly TopicRecord[]): Promise<void> {
    for (const record of records) this.#reserved.delete(topicKey(record));
  }

  async device(name: string): Promise<DeviceRecord | undefined> {
    this.#root.resetReadTxn();
    return this.#devices.get(name);
  }

  async devices(limit: number, after = ""): Promise<DeviceRecord[]> {
    const range = this.#devices.getRange({ start: after, exclusiveStart: after !== "", limit });
    return [...range].map(({ value }) => value);
  }

  async addDevice(record: DeviceRecord): Promise<boolean> {
    checkSpace(this.#folder);
    const added = await this.#devices.ifNoExists(record.name, () => this.#devices.put(record.name, record));
    await this.#root.flushed;
    return added;
  }

  async removeDevice(name: string): Promise<boolean> {
    checkSpace(this.#folder);
    const removed = await this.#root.transaction(() => {
      if (!this.#devices.doesExist(name)) return false;
      void this.#devices.remove(name);
      return true;
    });
    await this.#root.flushed;
    return removed;
  }

  async fact(name: string): Promise<unknown> {
    return this.#facts.get(name);
  }

  async setFact(name: string, value: unknown): Promise<void> {
    checkSpace(this.#folder);
    await this.#facts.put(name, value);
    await this.#root.flushed;
  }

  /** Changes by other processes are reported by messages, which call `refresh`. */
  listen(listener: RegistryListener): void {
    this.#listeners.push(listener);
  }

  status(): RegistryStatus {
    return { kind: "lmdb", trouble: null };
  }

  async close(): Promise<void> {
    await this.#root.close();
  }
}

function checkSpace(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= spaceMinBytes) return;
  throw new GatewayError(
    "DISK_FULL",
    `The disk of ${folder} is full: the change was not made. Free some space and try again.`,
    { retryable: true },
  );
}
