import { type DeltaAction, encodeActions } from "../../bridge/lake/delta/delta-actions.ts";
import { logEntryPath } from "../../bridge/lake/delta/delta-log.ts";
import { readRows } from "../support/json-lake.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { TableRecord } from "./table-record.ts";
import type { World } from "./world.ts";

const constraint = { "delta.constraints.theirs": "false" };

/**
 * Another program that may write to the tables. It forbids our rows for a while, and compacts a table into
 * one file an hour; its vacuum deletes the old files at once or never.
 */
export class AnotherWriter {
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #forbidden = new Set<string>();
  #files = 0;
  /** How often it forbade our rows, and how often it deleted files. */
  conflicts = 0;
  vacuums = 0;

  constructor(world: World, random: SeededRandom) {
    this.#world = world;
    this.#random = random;
  }

  async act(): Promise<void> {
    const tables = [...this.#world.lake.tables].filter(([, { versions }]) => versions.length > 0);
    if (tables.length === 0) return;
    const [name, table] = this.#random.pick(tables);
    if (this.#random.chance(0.5)) await this.#compact(name, table);
    else if (this.#forbidden.has(name)) await this.#allow(name, table);
    else await this.#forbid(name, table);
  }

  /** Allows our rows in all tables again. */
  async settle(): Promise<void> {
    for (const [name, table] of this.#world.lake.tables)
      if (this.#forbidden.has(name)) await this.#allow(name, table);
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
