import { mkdirSync, statfsSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { GatewayError } from "../errors.ts";
import type { DeviceRecord } from "./device-record.ts";
import type { TopicRecord } from "./topic-definition.ts";

/** Reader slots: a few per process, and those that killed processes left behind until the next writer clears them. */
const maxReaders = 126;
/** What this version writes and reads. */
const format = 1;
const formatFact = "format";
/** More than a change writes. lmdb-js must not be the one that finds the disk full: it damages its own heap while it words the error. */
const spaceMinBytes = 1024 * 1024;

/**
 * The registry's database: one writer (the supervisor), any number of reading processes.
 * Whoever reads sees whole changes only; a change that resolved survives a power cut.
 */
export class RegistryStore {
  readonly #folder: string;
  readonly #root: RootDatabase;
  readonly #topics: Database<TopicRecord, [string, number]>;
  readonly #devices: Database<DeviceRecord, string>;
  readonly #facts: Database<unknown, string>;

  private constructor(folder: string, root: RootDatabase) {
    this.#folder = folder;
    this.#root = root;
    this.#topics = root.openDB({ name: "topics", encoding: "json" });
    this.#devices = root.openDB({ name: "devices", encoding: "json" });
    this.#facts = root.openDB({ name: "facts", encoding: "json" });
  }

  /** Makes the registry where there is none. Throws REGISTRY_VERSION, DISK_FULL. Every change throws DISK_FULL as well. */
  static async openForWriting(folder: string): Promise<RegistryStore> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    checkSpace(folder);
    const root = open({ path: folder, maxReaders, maxDbs: 8 });
    root.readerCheck();
    const store = new RegistryStore(folder, root);
    const found = store.fact(formatFact);
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
  static openForReading(folder: string): RegistryStore {
    return new RegistryStore(folder, open({ path: folder, maxReaders, maxDbs: 8, readOnly: true }));
  }

  /** Lets the next reads see what other processes have committed. */
  refresh(): void {
    this.#root.resetReadTxn();
  }

  /** Every version of every topic, by topic id and version. */
  allTopics(): TopicRecord[] {
    return [...this.#topics.getRange({})].map(({ value }) => value);
  }

  /** The last version of every topic, deleted ones included. */
  latestTopics(): TopicRecord[] {
    const latest = new Map<string, TopicRecord>();
    for (const record of this.allTopics()) latest.set(record.topicId, record);
    return [...latest.values()];
  }

  async addTopics(records: readonly TopicRecord[]): Promise<void> {
    checkSpace(this.#folder);
    await this.#root.transaction(() => {
      for (const record of records) void this.#topics.put([record.topicId, record.version], record);
    });
    await this.#root.flushed;
  }

  device(name: string): DeviceRecord | undefined {
    return this.#devices.get(name);
  }

  /** In order of their names, strictly after `after`. */
  devices(limit: number, after = ""): DeviceRecord[] {
    const range = this.#devices.getRange({ start: after, exclusiveStart: after !== "", limit });
    return [...range].map(({ value }) => value);
  }

  /** False (nothing changed) where the name is taken. */
  async addDevice(record: DeviceRecord): Promise<boolean> {
    checkSpace(this.#folder);
    const added = await this.#devices.ifNoExists(record.name, () => this.#devices.put(record.name, record));
    await this.#root.flushed;
    return added;
  }

  /** False where there was none. */
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

  fact(name: string): unknown {
    return this.#facts.get(name);
  }

  async setFact(name: string, value: unknown): Promise<void> {
    checkSpace(this.#folder);
    await this.#facts.put(name, value);
    await this.#root.flushed;
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
    `The disk of ${folder} is full: nothing was changed. Free some space and try again.`,
    { retryable: true },
  );
}
