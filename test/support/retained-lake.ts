import { Registry } from "prom-client";
import { openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import type { AddAction, RemoveAction, TxnAction } from "../../bridge/lake/delta/delta-actions.ts";
import { DeltaTable } from "../../bridge/lake/delta/delta-table.ts";
import { writeCheckpoint } from "../../bridge/lake/delta/table-checkpoint.ts";
import { type RetentionWork, retentionWork } from "../../bridge/lake/retention/retention-work.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { writeTopicVersion } from "../../bridge/lake/topic-versions.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import { jsonCheckpoints } from "./json-lake.ts";
import type { ManualClock } from "./manual-clock.ts";
import { ParkingLake } from "./parking-lake.ts";
import { column, makeTopic, silentLogger } from "./test-lake.ts";

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;
/** The hour of the file that `ParkingLake.commit` makes, in hours since the epoch. */
export const committedHour = Date.UTC(2026, 10, 22, 10) / hourMs;

/** A file of this event hour, in a table's log. */
export function addOf(name: string, hour: number, more: Partial<AddAction> = {}): AddAction {
  const [date = "", rest = ""] = new Date(hour * hourMs).toISOString().split("T");
  const partitionValues = { event_date: date, event_hour: String(Number(rest.slice(0, 2))) };
  const path = `event_date=${date}/event_hour=${partitionValues.event_hour}/${name}.parquet`;
  const stats = '{"numRecords":3,"nullCount":{"level":0}}';
  return { path, partitionValues, size: 10, modificationTime: 5, dataChange: true, stats, ...more };
}

/** A table with one committed file, `first`, of `committedHour`, and the files that a test adds. */
export class RetainedLake {
  readonly lake: ParkingLake;
  /** Of the work that was opened last. */
  registry = new Registry();

  private constructor(lake: ParkingLake) {
    this.lake = lake;
  }

  static async open(): Promise<RetainedLake> {
    const lake = await ParkingLake.open();
    await lake.commit(["first"]);
    await (await lake.publisher()).publishPending();
    return new RetainedLake(lake);
  }

  /** Another writer's files; as many as there are hours. */
  async add(...hours: readonly number[]): Promise<void> {
    await this.lake.foreign(...hours.map((hour, at) => ({ add: addOf(`h${hour}n${at}`, hour) })));
  }

  openTable(store: ObjectStore = this.lake.store): DeltaTable {
    return new DeltaTable(store, "telemetry", { checkpoints: jsonCheckpoints(store) });
  }

  async checkpoint(): Promise<void> {
    await writeCheckpoint(this.lake.store, this.openTable(), Date.now());
  }

  /** Gives the topic another version with this retention. */
  async retain(version: number, retentionMs?: number, more: Partial<TopicVersion> = {}): Promise<void> {
    const topic = makeTopic({ version, columns: [column("level", "long")], ...more });
    await writeTopicVersion(this.lake.store, { ...topic, ...(retentionMs !== undefined && { retentionMs }) });
  }

  async work(
    clock: Pick<ManualClock, "now" | "elapsedMs">,
    options: Partial<Parameters<typeof retentionWork>[0]> = {},
  ): Promise<RetentionWork> {
    const { store } = this.lake;
    this.registry = new Registry();
    return retentionWork({
      store,
      commitLog: await openCommitLog(store, { create: false }),
      logger: silentLogger,
      registry: this.registry,
      intervalMs: hourMs,
      quarantineMs: undefined,
      now: clock.now,
      elapsedMs: clock.elapsedMs,
      checkpoints: jsonCheckpoints(store),
      ...options,
    });
  }

  async metric(name: string): Promise<number> {
    const found = await this.registry.getSingleMetric(`tidegate_retention_${name}`)?.get();
    return found?.values[0]?.value ?? Number.NaN;
  }

  /** Hours of the live files, ascending, relative to `committedHour`. */
  async hours(): Promise<number[]> {
    const table = this.openTable();
    await table.refresh();
    const hours = (await table.files()).map(({ partitionValues: { event_date, event_hour } }) => {
      const startMs = Date.parse(`${event_date}T${String(event_hour).padStart(2, "0")}:00Z`);
      return startMs / hourMs - committedHour;
    });
    return hours.sort((left, right) => left - right);
  }

  /** Of each entry that removes files: the files, and its transactions. */
  entries(): { removes: RemoveAction[]; txns: TxnAction[] }[] {
    return this.lake
      .entries()
      .map((actions) => ({
        removes: actions.flatMap(({ remove }) => remove ?? []),
        txns: actions.flatMap(({ txn }) => txn ?? []),
      }))
      .filter(({ removes }) => removes.length > 0);
  }
}
