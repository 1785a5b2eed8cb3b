// A reader of Delta logs of its own (PROTOCOL.md of delta-io/delta): it shares no code with the writer.
import { brokenLog, type DataFile, type DeltaActions, parseEntry, readActions } from "./delta-actions.ts";
import { type LakeFiles, readWhole } from "./lake-files.ts";
import { laneOf, type Settling } from "./lane-transactions.ts";
import { readObjects } from "./parquet-file.ts";
import { entryFaults } from "./retention-bounds.ts";
import type { TableSchema } from "./table-schema.ts";

const logFolder = "_delta_log";
const entryPattern = /^(\d{20})\.json$/;
/** Classic checkpoints, in one file or in parts: `<version>.checkpoint[.<part>.<parts>].parquet`. */
const checkpointPattern = /^(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet$/;

interface Checkpoint {
  readonly version: number;
  readonly files: readonly string[];
}

interface LogFiles {
  /** Name by version. */
  readonly entries: ReadonlyMap<number, string>;
  /** The newest complete one. */
  readonly checkpoint: Checkpoint | null;
}

/** The folders of the lake that are tables. */
export async function tableNames(lake: LakeFiles): Promise<string[]> {
  const names = (await lake.list("")).sort();
  const logs = await Promise.all(names.map((name) => lake.list(`${name}/${logFolder}`)));
  return names.filter((_, index) => (logs[index]?.length ?? 0) > 0);
}

/** One table's current snapshot, updated with the new entries of its log. */
export class DeltaTable {
  readonly name: string;
  readonly #lake: LakeFiles;
  #version = -1;
  #isFromCheckpoint = false;
  #schema: TableSchema | null = null;
  #files = new Map<string, DataFile>();
  #removed = new Set<string>();
  #transactions = new Map<string, number>();
  #settlings: Settling[] = [];
  #retentionFaults: string[] = [];

  constructor(lake: LakeFiles, name: string) {
    this.#lake = lake;
    this.name = name;
  }

  /** Live data files by path. */
  get files(): ReadonlyMap<string, DataFile> {
    return this.#files;
  }

  /** null = it cannot be read. */
  get schema(): TableSchema | null {
    return this.#schema;
  }

  /** True if everything before a checkpoint is known only from the checkpoint. */
  get isFromCheckpoint(): boolean {
    return this.#isFromCheckpoint;
  }

  /** Files that left the table, according to its log. */
  get removed(): ReadonlySet<string> {
    return this.#removed;
  }

  /** By application id: the version of its last transaction. */
  get transactions(): ReadonlyMap<string, number> {
    return this.#transactions;
  }

  /** The entries that were read, and that settled landed rows. */
  get settlings(): readonly Settling[] {
    return this.#settlings;
  }

  /** What is wrong with entries of retention that were read. */
  get retentionFaults(): readonly string[] {
    return this.#retentionFaults;
  }

  /**
   * Reads on to the newest version. Throws AUDIT_LOG_BROKEN if the log has a gap, and
   * AUDIT_TABLE_UNSUPPORTED.
   */
  async refresh(): Promise<void> {
    let log = await this.#list();
    // A listing during writes may show a newer entry without an older one: look again before a verdict.
    if (this.#hole(log) !== null) log = await this.#list();
    if (this.#version < 0 || this.#hole(log) !== null) await this.#loadCheckpoint(log);
    const hole = this.#hole(log);
    if (hole !== null) throw brokenLog(this.name, `entry ${hole} is missing, though a later one exists`);
    for (;;) {
      const name = log.entries.get(this.#version + 1);
      if (name === undefined) return;
      const bytes = await readWhole(this.#lake, this.#path(name));
      if (!bytes) throw brokenLog(this.name, `entry ${name} was removed during the audit`);
      this.#apply(parseEntry(this.name, name, bytes.toString("utf8")));
      this.#version++;
    }
  }

  /** The first missing version between ours and the newest. */
  #hole({ entries, checkpoint }: LogFiles): number | null {
    const base = this.#version < 0 ? (checkpoint?.version ?? -1) : this.#version;
    const newest = Math.max(-1, ...entries.keys());
    for (let version = base + 1; version < newest; version++) if (!entries.has(version)) return version;
    return null;
  }

  async #loadCheckpoint({ checkpoint }: LogFiles): Promise<void> {
    if (!checkpoint || checkpoint.version <= this.#version) return;
    const files = new Map<string, DataFile>();
    const removed = new Set<string>();
    const transactions = new Map<string, number>();
    for (const name of checkpoint.files) {
      const file = await this.#lake.open(this.#path(name));
      if (!file) throw brokenLog(this.name, `checkpoint ${name} was removed during the audit`);
      try {
        const actions = readActions(
          this.name,
          await readObjects(file, ["add", "remove", "metaData", "protocol", "txn"]),
          null,
        );
        for (const add of actions.adds) files.set(add.path, add);
        for (const path of actions.removes) removed.add(path);
        for (const [appId, version] of actions.transactions) transactions.set(appId, version);
        if (actions.schema !== undefined) this.#schema = actions.schema;
      } finally {
        await file.close();
      }
    }
    this.#files = files;
    this.#removed = removed;
    this.#transactions = transactions;
    this.#version = checkpoint.version;
    this.#isFromCheckpoint = true;
  }

  #apply(actions: DeltaActions): void {
    const { adds, removes, schema, transactions } = actions;
    const settling = this.#settlingOf(actions);
    if (settling) this.#settlings.push(settling);
    const removed = removes.flatMap((path) => this.#files.get(path) ?? []);
    this.#retentionFaults.push(
      ...entryFaults({
        table: this.name,
        version: this.#version + 1,
        before: this.#transactions,
        transactions,
        removes: removed,
      }),
    );
    for (const [appId, version] of transactions) this.#transactions.set(appId, version);
    if (schema !== undefined) this.#schema = schema;
    for (const path of removes) {
      this.#files.delete(path);
      this.#removed.add(path);
    }
    for (const add of adds) {
      this.#files.set(add.path, add);
      this.#removed.delete(add.path);
    }
  }

  #settlingOf({ adds, transactions }: DeltaActions): Settling | null {
    const own = [...transactions].filter(([appId]) => laneOf(appId) !== undefined);
    if (own.every(([appId]) => laneOf(appId) === "direct")) return null;
    const span = ([appId, to]: readonly [string, number]) =>
      [appId, { from: this.#transactions.get(appId), to }] as const;
    const files = adds.map(({ path, rows }) => ({ path, rows }));
    return { version: this.#version + 1, lanes: new Map(own.map(span)), files };
  }

  async #list(): Promise<LogFiles> {
    const names = await this.#lake.list(`${this.name}/${logFolder}`);
    const entries = new Map<number, string>();
    const parts = new Map<string, string[]>();
    for (const name of names) {
      const version = entryPattern.exec(name)?.[1];
      if (version !== undefined) entries.set(Number(version), name);
      const [, checkpointVersion, , count = "1"] = checkpointPattern.exec(name) ?? [];
      if (checkpointVersion === undefined) continue;
      const key = `${checkpointVersion}/${Number(count)}`;
      parts.set(key, [...(parts.get(key) ?? []), name]);
    }
    return { entries, checkpoint: newestWhole(parts) };
  }

  #path(name: string): string {
    return `${this.name}/${logFolder}/${name}`;
  }
}

function newestWhole(parts: ReadonlyMap<string, string[]>): Checkpoint | null {
  let newest: Checkpoint | null = null;
  for (const [key, files] of parts) {
    const [version, count] = key.split("/").map(Number);
    if (version === undefined || files.length !== count) continue;
    if (!newest || version > newest.version) newest = { version, files };
  }
  return newest;
}
