import { SimulatorError } from "../errors.ts";
import { CommitLog, type CommitLogState } from "./commit-log.ts";
import { DeltaTable, tableNames } from "./delta-table.ts";
import { type FileSource, landingSource, liveSource, unsettledSource } from "./file-source.ts";
import type { LakeFiles } from "./lake-files.ts";
import { type Cut, unsettledRows } from "./live-rows.ts";

/** Reads the logs of a lake, and no rows. */
export class LakeLook {
  /** The parts that could not be read at the last look. */
  faults: SimulatorError[] = [];
  readonly #lake: LakeFiles;
  readonly #log: CommitLog;
  readonly #tables = new Map<string, DeltaTable>();
  #cut: Cut | SimulatorError | undefined;

  /** See `CommitLog`. */
  constructor(lake: LakeFiles, sinceMs: number) {
    this.#lake = lake;
    this.#log = new CommitLog(lake, sinceMs);
  }

  /** By name, as of the last look. */
  get tables(): ReadonlyMap<string, DeltaTable> {
    return this.#tables;
  }

  /** The last look at the lake; an error if the commit log could not be read, undefined before the first. */
  get cut(): Cut | SimulatorError | undefined {
    return this.#cut;
  }

  /** null = it is not known. */
  get lakeId(): string | null {
    return this.#cut && !(this.#cut instanceof SimulatorError) ? this.#cut.after.lakeId : null;
  }

  /** The files whose rows count, by key. See `Cut` for the order of reading. Throws AUDIT_LAKE_UNSUPPORTED. */
  async take(): Promise<ReadonlyMap<string, FileSource>> {
    this.faults = [];
    const before = await this.readLog();
    const sources = await this.#liveFiles();
    const after = await this.readLog();
    const unread = [before, after].find((state) => state instanceof SimulatorError);
    this.#cut = unread ?? {
      before: before as CommitLogState,
      tables: this.#tables,
      after: after as CommitLogState,
    };
    if (this.#cut instanceof SimulatorError) return sources;
    const { landings, files } = unsettledRows(this.#cut);
    const unsettled = [
      ...files.map((file) => unsettledSource(file, sources.has(file.file.path))),
      ...landings.map(landingSource),
    ];
    for (const source of unsettled) sources.set(source.key, source);
    return sources;
  }

  /** The commit log as it is now, or why it can't be read. Throws AUDIT_LAKE_UNSUPPORTED. */
  async readLog(): Promise<CommitLogState | SimulatorError> {
    try {
      return await this.#log.read();
    } catch (error) {
      if (!(error instanceof SimulatorError) || !error.retryable) throw error;
      return error;
    }
  }

  async #liveFiles(): Promise<Map<string, FileSource>> {
    const names = await this.#noting(() => tableNames(this.#lake));
    for (const name of names ?? [])
      if (!this.#tables.has(name)) this.#tables.set(name, new DeltaTable(this.#lake, name));
    const files = new Map<string, FileSource>();
    for (const table of this.#tables.values()) {
      await this.#noting(() => table.refresh());
      for (const [path, file] of table.files) files.set(path, liveSource(file));
    }
    return files;
  }

  /** An unreadable part may be readable at the next look; until then it counts as a fault. */
  async #noting<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SimulatorError)) throw error;
      this.faults.push(error);
      return undefined;
    }
  }
}
