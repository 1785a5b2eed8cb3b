import assert from "node:assert/strict";
import { pino } from "pino";
import { Registry } from "prom-client";
import { type AddedFile, quarantineKey, type TableAdds } from "../../bridge/lake/commit-log/commit-log.ts";
import { type LakeCommitLog, openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import type { DeltaAction, MetaDataAction } from "../../bridge/lake/delta/delta-actions.ts";
import { createTablePublisher } from "../../bridge/lake/delta/table-publisher.ts";
import type { TablePublisherOptions } from "../../bridge/lake/delta/table-publisher-options.ts";
import type { TablePublisher } from "../../bridge/lake/table-publishing.ts";
import { openTopicCatalog, writeTopicVersion } from "../../bridge/lake/topic-versions.ts";
import { jsonCheckpoints } from "./json-lake.ts";
import { MemoryObjectStore, type MemoryStoreOptions } from "./memory-object-store.ts";
import { column, makeTopic } from "./test-lake.ts";

const table = "telemetry";
type Fault = NonNullable<MemoryStoreOptions["fault"]>;

export function file(name: string): AddedFile {
  return {
    path: `event_date=2026-11-22/event_hour=10/${name}.parquet`,
    eventDate: "2026-11-22",
    eventHour: 10,
    bytes: 10,
    rows: 3,
    modifiedAtMs: 5,
    minIngestMs: 1,
    maxIngestMs: 2,
    stats: '{"numRecords":3,"nullCount":{"message_id":1,"level":0,"device_id":0}}',
  };
}

/** A lake in memory with the topic `telemetry`, and a clock that only the test moves. */
export class ParkingLake {
  readonly store: MemoryObjectStore;
  /** Of the publisher that was opened last. */
  registry = new Registry();
  readonly log: Record<string, unknown>[] = [];
  fault: Fault = () => null;
  elapsedMs = 0;
  /** How far the store's clock is ahead of this machine's. */
  aheadMs = 0;
  #log: LakeCommitLog | undefined;

  private constructor() {
    this.store = new MemoryObjectStore({
      fault: (operation, path) => this.fault(operation, path),
      now: () => Date.now() + this.aheadMs,
    });
  }

  static async open(): Promise<ParkingLake> {
    const lake = new ParkingLake();
    await writeTopicVersion(lake.store, { ...makeTopic({ columns: [column("level", "long")] }) });
    await openCommitLog(lake.store, { create: true });
    return lake;
  }

  /** As another process would have it. */
  async publisher(options: Partial<TablePublisherOptions> = {}): Promise<TablePublisher> {
    const { store } = this;
    this.registry = new Registry();
    return createTablePublisher({
      store,
      commitLog: await openCommitLog(store, { create: false, entriesPerSnapshot: 2 }),
      topics: await openTopicCatalog(store),
      logger: pino({}, { write: (line: string) => this.log.push(JSON.parse(line)) }),
      registry: this.registry,
      elapsedMs: () => this.elapsedMs,
      checkpoints: jsonCheckpoints(store),
      ...options,
    });
  }

  /**
   * Files of these names in `telemetry`, or in another table.
   *
   * @param stats Default: those of `file`.
   */
  async commit(names: readonly string[], name = table, stats?: string): Promise<void> {
    this.#log ??= await openCommitLog(this.store, { create: false });
    const number = (await this.#log.load()).number + 1;
    for (const each of names) await this.store.put(`${name}/${file(each).path}`, Buffer.from(each));
    const key = name === quarantineKey ? quarantineKey : "topic-1";
    const adds: TableAdds = {
      name,
      version: name === quarantineKey ? 0 : 1,
      adds: names.map((each) => ({ ...file(each), ...(stats && { stats }) })),
    };
    const entry = {
      format: 1,
      number,
      commitId: `c${number}`,
      committedAtMs: Date.now(),
      moves: {},
      tables: { [key]: adds },
    } as const;
    assert.equal((await this.#log.append(entry)).outcome, "committed");
  }

  /** Actions of every entry of a table's log. */
  entries(name = table): DeltaAction[][] {
    const found: DeltaAction[][] = [];
    for (;;) {
      const object = this.store.objects.get(entryPath(found.length, name));
      if (!object) return found;
      const lines = Buffer.from(object.bytes).toString().trimEnd().split("\n");
      found.push(lines.map((line) => JSON.parse(line) as DeltaAction));
    }
  }

  added(name = table): string[] {
    const adds = this.entries(name).flatMap((entry) => entry.flatMap(({ add }) => (add ? [add] : [])));
    return adds.map(({ path }) => /(\w+)\.parquet/.exec(path)?.[1] ?? "");
  }

  metaData(): MetaDataAction {
    return (
      this.entries()
        .flat()
        .findLast(({ metaData }) => metaData)?.metaData ?? assert.fail()
    );
  }

  async foreign(...actions: DeltaAction[]): Promise<void> {
    const text = actions.map((action) => JSON.stringify(action)).join("\n");
    await this.store.put(entryPath(this.entries().length), Buffer.from(text));
  }

  commitEntries(): number[] {
    return [...this.store.objects.keys()]
      .flatMap((path) => /^_commits\/(\d{20})\.json$/.exec(path)?.[1] ?? [])
      .map(Number)
      .sort((left, right) => left - right);
  }
}

function entryPath(version: number, name = table): string {
  return `${name}/_delta_log/${String(version).padStart(20, "0")}.json`;
}
