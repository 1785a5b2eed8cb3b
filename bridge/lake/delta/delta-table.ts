import { BridgeError } from "../../errors.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import type { CheckpointFiles, VisitFile } from "./checkpoint-files.ts";
import { parquetCheckpoints } from "./checkpoints/parquet-checkpoints.ts";
import {
  type AddAction,
  type DeltaAction,
  damagedLog,
  decodePath,
  encodeActions,
  parseActions,
} from "./delta-actions.ts";
import {
  type CheckpointFile,
  hasNewerCheckpoint,
  hintedCheckpoint,
  LogBeginning,
  listedCheckpoint,
  logEntryPath,
  logFolder,
  logHole,
} from "./delta-log.ts";
import { tableConflict } from "./delta-schema.ts";
import { applyAction, applyEntry, type DeltaState, emptyState, rememberHead } from "./delta-state.ts";

/** After such a pause, the log is read again from its beginning. */
const startOverAfterMsMax = 3_600_000;
const defaultEntriesPerCheckpoint = 100;
/** About 25 MB of actions. */
const changedFilesMax = 50_000;

export interface DeltaTableOptions {
  readonly now?: () => number;
  readonly entriesPerCheckpoint?: number;
  /** How long any process keeps entries that a checkpoint replaces, ms. */
  readonly logRetentionMs?: number;
  /**
   * Entries to read in parallel if many are expected, because each answer over a network takes time. Default
   * 16.
   */
  readonly readAhead?: number;
  /** Default: Parquet files. */
  readonly checkpoints?: CheckpointFiles;
}

/**
 * One Delta table, read incrementally. Memory holds the changes since the last checkpoint; older file actions
 * stay in the checkpoint. So following a table costs the same however many files it has. One caller uses it
 * at a time.
 */
export class DeltaTable {
  readonly name: string;
  readonly checkpoints: CheckpointFiles;
  readonly #store: ObjectStore;
  readonly #now: () => number;
  readonly #entriesPerCheckpoint: number;
  readonly #startOverAfterMs: number;
  readonly #readAhead: number;
  #state: DeltaState | undefined;
  readonly #beginning: LogBeginning;
  #loadedAtMs = 0;

  constructor(store: ObjectStore, name: string, options: DeltaTableOptions = {}) {
    this.#store = store;
    this.name = name;
    const { readAhead = 16, logRetentionMs = Number.POSITIVE_INFINITY } = options;
    this.checkpoints = options.checkpoints ?? parquetCheckpoints(store);
    this.#now = options.now ?? Date.now;
    this.#readAhead = readAhead;
    this.#entriesPerCheckpoint = options.entriesPerCheckpoint ?? defaultEntriesPerCheckpoint;
    this.#startOverAfterMs = Math.min(startOverAfterMsMax, logRetentionMs / 4);
    this.#beginning = new LogBeginning(store, name);
  }

  /**
   * Reads the entries written since. Rejects with LAKE_DAMAGED if the log has a hole or an unreadable file.
   */
  async refresh(): Promise<Readonly<DeltaState>> {
    const now = this.#now();
    const known = this.#isOld(now) ? undefined : await this.#beginning.ifThere(this.#state, now);
    this.#state = undefined;
    const state = known ?? (await this.#start());
    if (known) await this.#advance(state, 1);
    else this.#beginning.seenAtMs = now;
    if (state.version >= 0 && !(state.protocol && state.metaData))
      throw damagedLog(logEntryPath(this.name, state.version), "no protocol or metadata up to here");
    this.#state = state;
    this.#loadedAtMs = now;
    return state;
  }

  /**
   * Whether a checkpoint newer than the last version read exists. If so, the log may have been cleaned beyond
   * that version, and entries created since may be void.
   */
  isLeftBehind(): Promise<boolean> {
    return hasNewerCheckpoint(this.#store, this.name, this.#state?.version ?? -1);
  }

  /** What was read last: also the version to which `files` and `eachLive` belong, if they just resolved. */
  get state(): Readonly<DeltaState> {
    if (!this.#state) throw new RangeError(`table ${this.name} was not read`);
    return this.#state;
  }

  /** Forgets the state; the next `refresh` starts from the newest checkpoint. */
  startOver(): void {
    this.#state = undefined;
  }

  /**
   * For a table that seems not to exist: throws TABLE_CONFLICT if its log holds something, such as a
   * checkpoint of an unknown kind.
   */
  async refuseOtherContent(): Promise<void> {
    for await (const { path } of this.#store.list(logFolder(this.name))) {
      // Created since the table was read; the next `refresh` finds it.
      if (path === logEntryPath(this.name, 0)) return;
      if (/\/\d{20}\./.test(path))
        throw tableConflict(this.name, `its log begins with ${path}, which Tidegate can't read`);
    }
  }

  /**
   * Creates the entry after the last version read, and applies it. `exists`: another writer's entry has, or had,
   * that number. If that entry was cleaned away during a long sleep, the one created instead is void.
   */
  async append(actions: readonly DeltaAction[]): Promise<"created" | "exists"> {
    const state = this.#state ?? (await this.refresh());
    const path = logEntryPath(this.name, state.version + 1);
    const outcome = await this.#store.putIfAbsent(path, encodeActions(actions));
    if (outcome === "exists") return outcome;
    if (this.#isOld(this.#now()) && (await this.isLeftBehind())) {
      this.startOver();
      return "exists";
    }
    applyEntry(state, actions);
    return outcome;
  }

  /**
   * As of the last refresh or append. Also due after new columns, because a checkpoint completes the
   * statistics of files that lack them, and after many files, which are in memory until then.
   */
  isCheckpointDue(): boolean {
    if (!this.#state) return false;
    const { version, base, hasNewSchema, adds, removes } = this.#state;
    if (hasNewSchema || adds.size + removes.size >= changedFilesMax) return true;
    return version - (base?.version ?? -1) >= this.#entriesPerCheckpoint;
  }

  /** Live files, as of the last refresh or a newer version. */
  async files(): Promise<AddAction[]> {
    const files = new Map<string, AddAction>();
    await this.eachLive((add) => files.set(decodePath(add.path), add));
    return [...files.values()];
  }

  /**
   * Visits the live files, as of the last refresh or a newer version. May visit a file more than once.
   *
   * @param untilDate Files of later days (`event_date`) may be left out.
   */
  async eachLive(visit: (add: AddAction) => void, untilDate?: string): Promise<void> {
    await this.#onState(async (state) => {
      for (const add of state.adds.values()) visit(add);
      const visitOlder = (add: AddAction) => {
        const path = decodePath(add.path);
        if (!state.adds.has(path) && !state.removes.has(path)) visit(add);
      };
      if (state.base)
        await this.#read(state.base, (paths) => this.checkpoints.eachAdd(paths, visitOlder, untilDate));
    });
  }

  /**
   * Visits every live or replaced file of the newest version, by its decoded path. May visit a file more than
   * once.
   */
  async eachFile(visit: VisitFile): Promise<void> {
    await this.refresh();
    await this.#onState(async (state) => {
      for (const path of state.adds.keys()) visit(path, null);
      for (const [path, { deletionTimestamp }] of state.removes) visit(path, deletionTimestamp ?? 0);
      const visitOlder: VisitFile = (encoded, removedAtMs) => {
        const path = decodePath(encoded);
        if (!state.adds.has(path) && !state.removes.has(path)) visit(path, removedAtMs);
      };
      if (state.base) await this.#read(state.base, (paths) => this.checkpoints.eachFile(paths, visitOlder));
    });
  }

  /** Makes `base` the checkpoint of the state; ignored unless both have the same version. */
  rebase(base: CheckpointFile): void {
    if (!this.#state || this.#state.version !== base.version) return;
    this.#state.base = base;
    this.#state.hasNewSchema = false;
    this.#state.adds.clear();
    this.#state.removes.clear();
  }

  /** Whether the log may have been cleaned up to beyond the last version read. */
  #isOld(now: number): boolean {
    return Math.abs(now - this.#loadedAtMs) > this.#startOverAfterMs;
  }

  async #start(): Promise<DeltaState> {
    const base =
      (await hintedCheckpoint(this.#store, this.name)) ??
      ((await this.#entry(0)) === null ? await listedCheckpoint(this.#store, this.name) : null);
    return this.#readFrom(base);
  }

  /** If files are cleaned away during the read, a newer checkpoint replaces them. */
  async #readFrom(base: CheckpointFile | null): Promise<DeltaState> {
    try {
      const state = emptyState(base);
      const head = base ? await this.#read(base, (paths) => this.checkpoints.head(paths)) : [];
      for (const action of head) applyAction(state, action);
      rememberHead(state);
      await this.#advance(state, this.#readAhead);
      const hole = await logHole(this.#store, this.name, state.version);
      if (hole === null) return state;
      throw damagedLog(hole, "it is missing although later entries exist");
    } catch (error) {
      return this.#readFrom(await this.#newerCheckpoint(base, error));
    }
  }

  /** The newest checkpoint if it is newer than `base`, which could not be read; otherwise throws `reason`. */
  async #newerCheckpoint(base: CheckpointFile | null, reason: unknown): Promise<CheckpointFile> {
    if (!(reason instanceof BridgeError) || reason.code !== "LAKE_DAMAGED") throw reason;
    const newest = await listedCheckpoint(this.#store, this.name);
    if (!newest || newest.version <= (base?.version ?? -1)) throw reason;
    return newest;
  }

  /**
   * Runs `work` on the state. If the state's checkpoint was cleaned away meanwhile, runs it again on a newer
   * state.
   */
  async #onState<Result>(work: (state: Readonly<DeltaState>) => Promise<Result>): Promise<Result> {
    const state = this.#state ?? (await this.refresh());
    try {
      return await work(state);
    } catch (error) {
      this.#state = await this.#readFrom(await this.#newerCheckpoint(state.base, error));
      return this.#onState(work);
    }
  }

  async #read<Result>(
    { paths }: CheckpointFile,
    read: (paths: readonly string[]) => Promise<Result>,
  ): Promise<Result> {
    try {
      return await read(paths);
    } catch (error) {
      if (error instanceof BridgeError && error.code !== "PARQUET_FAILED") throw error;
      throw damagedLog(paths[0] ?? "checkpoint", error);
    }
  }

  async #advance(state: DeltaState, atOnce: number): Promise<void> {
    for (;;) {
      const next = state.version + 1;
      const entries = await Promise.all(
        Array.from({ length: atOnce }, (_, index) => this.#entry(next + index)),
      );
      for (const actions of entries) {
        if (actions === null) return;
        applyEntry(state, actions);
      }
    }
  }

  async #entry(version: number): Promise<DeltaAction[] | null> {
    const path = logEntryPath(this.name, version);
    const bytes = await this.#store.get(path);
    return bytes === null ? null : parseActions(path, bytes);
  }
}
