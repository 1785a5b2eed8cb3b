import { BridgeError } from "../../errors.ts";
import type { ObjectStore } from "../object-store.ts";
import { parquetCheckpoints } from "../parquet/parquet-checkpoints.ts";
import type { CheckpointFiles } from "./checkpoint-files.ts";
import {
  type AddAction,
  type DeltaAction,
  damagedLog,
  encodeActions,
  type MetaDataAction,
  type ProtocolAction,
  parseActions,
  type RemoveAction,
  type TxnAction,
} from "./delta-actions.ts";
import {
  type CheckpointFile,
  hintedCheckpoint,
  listedCheckpoint,
  logEntryPath,
  refuseLogHole,
} from "./delta-log.ts";

/** After a pause this long the log may have been cleaned up beyond what was read of it. */
const startOverAfterMsMax = 3_600_000;
const defaultEntriesPerCheckpoint = 100;
const defaultReadAhead = 16;

/** What the log entries after the checkpoint `base` changed; with it, the state of the table. */
export interface DeltaState {
  /** -1 = the table does not exist. */
  version: number;
  base: CheckpointFile | null;
  protocol: ProtocolAction | undefined;
  metaData: MetaDataAction | undefined;
  /** Entries after `base` changed the table's columns. */
  hasNewSchema: boolean;
  readonly txns: Map<string, TxnAction>;
  /** By decoded path. */
  readonly adds: Map<string, AddAction>;
  readonly removes: Map<string, RemoveAction>;
}

function emptyState(base: CheckpointFile | null): DeltaState {
  return {
    version: base?.version ?? -1,
    base,
    protocol: undefined,
    metaData: undefined,
    hasNewSchema: false,
    txns: new Map(),
    adds: new Map(),
    removes: new Map(),
  };
}

/** Paths in the log are URL-encoded, and writers differ in what they encode. */
export function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function applyAction(state: DeltaState, action: DeltaAction): void {
  if (action.protocol) state.protocol = action.protocol;
  if (action.metaData) {
    const { metaData: former } = state;
    state.hasNewSchema ||= former !== undefined && former.schemaString !== action.metaData.schemaString;
    state.metaData = action.metaData;
  }
  if (action.txn) state.txns.set(action.txn.appId, action.txn);
  if (action.add) {
    const path = decodePath(action.add.path);
    state.adds.set(path, action.add);
    state.removes.delete(path);
  }
  if (action.remove) {
    const path = decodePath(action.remove.path);
    state.removes.set(path, action.remove);
    state.adds.delete(path);
  }
}

function applyEntry(state: DeltaState, actions: readonly DeltaAction[]): void {
  for (const action of actions) applyAction(state, action);
  state.version++;
}

export interface DeltaTableOptions {
  readonly now?: () => number;
  readonly entriesPerCheckpoint?: number;
  /** How long entries that a checkpoint replaces are kept before any process cleans the log. */
  readonly logRetentionMs?: number;
  /** Entries asked for at a time if there may be many: over a network each answer takes its time. Default 16. */
  readonly readAhead?: number;
  /** Default: Parquet files. */
  readonly checkpoints?: CheckpointFiles;
}

/**
 * One Delta table, read incrementally: memory holds what changed since the last checkpoint, the rest stays in that file, so that
 * following a table costs the same however many files it has. Used by one caller at a time.
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
  #loadedAtMs = 0;

  constructor(store: ObjectStore, name: string, options: DeltaTableOptions = {}) {
    this.#store = store;
    this.name = name;
    this.checkpoints = options.checkpoints ?? parquetCheckpoints(store);
    this.#now = options.now ?? Date.now;
    this.#readAhead = options.readAhead ?? defaultReadAhead;
    this.#entriesPerCheckpoint = options.entriesPerCheckpoint ?? defaultEntriesPerCheckpoint;
    this.#startOverAfterMs = Math.min(
      startOverAfterMsMax,
      (options.logRetentionMs ?? Number.POSITIVE_INFINITY) / 4,
    );
  }

  /** Reads what was written since. Rejects with LAKE_DAMAGED where the log has a hole or a file that can't be read. */
  async refresh(): Promise<Readonly<DeltaState>> {
    const now = this.#now();
    const isFirst = this.#state === undefined || Math.abs(now - this.#loadedAtMs) > this.#startOverAfterMs;
    const state = isFirst || !this.#state ? await this.#start() : this.#state;
    this.#state = undefined;
    await this.#advance(state, isFirst ? this.#readAhead : 1);
    if (isFirst) await refuseLogHole(this.#store, this.name, state.version);
    if (state.version >= 0 && !(state.protocol && state.metaData))
      throw damagedLog(logEntryPath(this.name, state.version), "no protocol or metadata up to here");
    this.#state = state;
    this.#loadedAtMs = now;
    return state;
  }

  /** Creates the entry after the state that was last read, and takes it over. `exists`: somebody else's has that number. */
  async append(actions: readonly DeltaAction[]): Promise<"created" | "exists"> {
    const state = this.#state ?? (await this.refresh());
    const path = logEntryPath(this.name, state.version + 1);
    const outcome = await this.#store.putIfAbsent(path, encodeActions(actions));
    if (outcome === "created") applyEntry(state, actions);
    return outcome;
  }

  /** As of the last refresh or append. A checkpoint completes the statistics of files that lack the new columns. */
  isCheckpointDue(): boolean {
    const { version = -1, base, hasNewSchema } = this.#state ?? {};
    return hasNewSchema || version - (base?.version ?? -1) >= this.#entriesPerCheckpoint;
  }

  /** Live files, as of the last refresh. */
  async files(): Promise<AddAction[]> {
    const state = this.#state ?? (await this.refresh());
    const files = [...state.adds.values()];
    if (!state.base) return files;
    for (const { add } of await this.checkpoints.actions(state.base.paths, "add")) {
      const path = decodePath(add?.path ?? "");
      if (add && !state.adds.has(path) && !state.removes.has(path)) files.push(add);
    }
    return files;
  }

  /** Files that left the table and are remembered, as of the last refresh. */
  async tombstones(): Promise<RemoveAction[]> {
    const state = this.#state ?? (await this.refresh());
    const removes = [...state.removes.values()];
    if (!state.base) return removes;
    for (const { remove } of await this.checkpoints.actions(state.base.paths, "remove")) {
      const path = decodePath(remove?.path ?? "");
      if (remove && !state.adds.has(path) && !state.removes.has(path)) removes.push(remove);
    }
    return removes;
  }

  /** From now on `base` is the checkpoint that the state builds on; its version is the state's. */
  rebase(base: CheckpointFile): void {
    if (!this.#state || this.#state.version !== base.version) return;
    this.#state.base = base;
    this.#state.hasNewSchema = false;
    this.#state.adds.clear();
    this.#state.removes.clear();
  }

  async #start(): Promise<DeltaState> {
    const base =
      (await hintedCheckpoint(this.#store, this.name)) ??
      ((await this.#entry(0)) === null ? await listedCheckpoint(this.#store, this.name) : null);
    const state = emptyState(base);
    if (base) for (const action of await this.#head(base)) applyAction(state, action);
    return state;
  }

  async #head(base: CheckpointFile): Promise<DeltaAction[]> {
    try {
      return await this.checkpoints.head(base.paths);
    } catch (error) {
      if (error instanceof BridgeError && error.code !== "PARQUET_FAILED") throw error;
      throw damagedLog(base.paths[0] ?? "checkpoint", error);
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
