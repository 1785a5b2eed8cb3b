import { landedLanes } from "../../bridge/lake/commit-log/lane-commits.ts";
import { type DeltaAction, encodeActions } from "../../bridge/lake/delta/delta-actions.ts";
import { logEntryPath } from "../../bridge/lake/delta/delta-log.ts";
import { DeltaTable } from "../../bridge/lake/delta/delta-table.ts";
import { fenceId, transactionId } from "../../bridge/lake/delta/lane-transactions.ts";
import { writeCheckpoint } from "../../bridge/lake/delta/table-checkpoint.ts";
import { jsonCheckpoints, readRows } from "../support/json-lake.ts";
import { lakeId } from "./process-factory.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { TableRecord } from "./table-record.ts";
import type { World } from "./world.ts";

const constraint = { "delta.constraints.theirs": "false" };

/**
 * Another program that may write to the tables. It forbids our rows for a while, and compacts a table into
 * one file an hour; its vacuum deletes the old files at once or never. On demand, its checkpoints drop our
 * transactions of landed rows once the commit log has recorded them.
 */
export class AnotherWriter {
  readonly #world: World;
  readonly #random: SeededRandom;
  /** null = it drops none. */
  readonly #dropping: SeededRandom | null;
  readonly #forbidden = new Set<string>();
  #files = 0;
  /** How often it forbade our rows, and how often it deleted files. */
  conflicts = 0;
  vacuums = 0;
  /** Checkpoints without our transactions. */
  drops = 0;

  constructor(world: World, random: SeededRandom, dropping: SeededRandom | null) {
    this.#world = world;
    this.#random = random;
    this.#dropping = dropping;
  }

  async act(): Promise<void> {
    const tables = [...this.#world.lake.tables].filter(([, { versions }]) => versions.length > 0);
    if (tables.length === 0) return;
    const [name, table] = this.#random.pick(tables);
    if (this.#dropping?.chance(0.5)) await this.#drop(name, table);
    else if (this.#random.chance(0.5)) await this.#compact(name, table);
    else if (this.#forbidden.has(name)) await this.#allow(name, table);
    else await this.#forbid(name, table);
  }

  /** Allows our rows in all tables again, and restores our transactions. */
  async settle(): Promise<void> {
    for (const [name, table] of this.#world.lake.tables) {
      if (this.#forbidden.has(name)) await this.#allow(name, table);
      const lost = [...(table.versions.at(-1)?.lost ?? [])];
      const txns = lost.map((lane) => ({
        txn: { appId: transactionId(lakeId, lane), version: table.shown[lane] },
      }));
      if (lost.length > 0) await this.#append(name, table, txns);
    }
  }

  async #drop(name: string, table: TableRecord): Promise<void> {
    const { store, lake } = this.#world;
    const recorded = lake.live.recorded(name);
    const { shown } = table;
    const lost = landedLanes.filter((lane) => shown[lane] > 0 && recorded[lane] >= shown[lane]);
    if (lost.length === 0) return;
    this.drops += 1;
    const log = new DeltaTable(store, name, { checkpoints: jsonCheckpoints(store) });
    const { txns } = await log.refresh();
    for (const appId of [fenceId(lakeId), ...lost.map((lane) => transactionId(lakeId, lane))])
      (txns as Map<string, unknown>).delete(appId);
    table.losing(lost);
    await writeCheckpoint(store, log, await store.now());
  }

  async #forbid(name: string, table: TableRecord): Promise<void> {
    this.#forbidden.add(name);
    this.conflicts += 1;
    await this.#append(name, table, [{ metaData: { ...table.metaData, configuration: constraint } }]);
  }

  async #allow(name: string, table: TableRecord): Promise<void> {
    this.#forbidden.delete(name);
    await this.#append(name, table, [{ metaData: { ...table.metaData, configuration: {} } }]);
  }

  async #compact(name: string, table: TableRecord): Promise<void> {
    const live = fullestHour([...(table.versions.at(-1)?.live ?? [])]);
    const [folder = ""] = live.map(folderOf);
    const { store, lake } = this.#world;
    const contents = live.map((path) => store.objects.get(`${name}/${path}`)?.bytes);
    if (live.length < 2 || contents.includes(undefined)) return;
    const rows = contents.flatMap((bytes) => (bytes ? readRows(bytes) : []));
    const merged = `${folder}/merged-${++this.#files}.parquet`;
    const bytes = Buffer.from(JSON.stringify(rows));
    await store.put(`${name}/${merged}`, bytes);
    const deletionTimestamp = await store.now();
    const removes = live.map((path) => ({ remove: { path, dataChange: false, deletionTimestamp } }));
    const times = { size: bytes.length, modificationTime: 0, dataChange: false };
    const tags = { standsFor: JSON.stringify(live) };
    await this.#append(name, table, [
      ...removes,
      { add: { path: merged, partitionValues: hourOfFolder(folder), stats: "{}", tags, ...times } },
    ]);
    if (this.#random.chance(0.3)) return;
    this.vacuums += 1;
    for (const path of live) {
      lake.replacing(`${name}/${path}`, store.objects.get(`${name}/${path}`)?.bytes);
      await store.delete(`${name}/${path}`);
    }
  }

  async #append(name: string, { versions }: TableRecord, actions: DeltaAction[]): Promise<void> {
    const info = { commitInfo: { operation: "of another writer" } };
    await this.#world.store.put(logEntryPath(name, versions.length), encodeActions([info, ...actions]));
  }
}

/** `event_date=…/event_hour=…` */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function hourOfFolder(folder: string): Record<string, string> {
  const [date = "", hour = ""] = folder.split("/").map((part) => part.split("=")[1] ?? "");
  return { event_date: date, event_hour: String(Number(hour)) };
}

/** The files of the event hour that has most of them. */
function fullestHour(paths: readonly string[]): string[] {
  const byFolder = new Map<string, string[]>();
  for (const path of paths) byFolder.set(folderOf(path), [...(byFolder.get(folderOf(path)) ?? []), path]);
  return [...byFolder.values()].reduce((most, each) => (each.length > most.length ? each : most), []);
}
