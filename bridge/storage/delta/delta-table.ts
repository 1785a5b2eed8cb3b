import { BridgeError } from "../../errors.ts";
import type { ObjectStore } from "../object-store.ts";
import { parquetCheckpoints } from "../parquet/parquet-checkpoints.ts";
import type { CheckpointFiles, VisitFile } from "./checkpoint-files.ts";
import {
  type AddAction,
  type DeltaAction,
  type DomainMetadataAction,
  damagedLog,
  encodeActions,
  type MetaDataAction,
  type ProtocolAction,
  parseActions,
  type RemoveAction,
  type TableHead,
  type TxnAction,
} from "./delta-actions.ts";
import {
  type CheckpointFile,
  hasNewerCheckpoint,
  hintedCheckpoint,
  listedCheckpoint,
  logEntryPath,
  logFolder,
  logHole,
} from "./delta-log.ts";
import { tableConflict } from "./delta-schema.ts";

/** After a pause this long the log may have been cleaned up beyond what was read of it. */
const startOverAfterMsMax = 3_600_000;
const defaultEntriesPerCheckpoint = 100;
const defaultReadAhead = 16;

const headsMax = 32;

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
  readonly domains: Map<string, DomainMetadataAction>;
  /** Protocol and metadata as they were changed since `base`, the newest last: at most `headsMax`. */
  readonly heads: TableHead[];
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
    domains: new Map(),
    heads: [],
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
  if (action.domainMetadata) state.domains.set(action.domainMetadata.domain, action.domainMetadata);
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

/** A file that an entry removes and adds goes on with another deletion vector, in whatever order the entry says so. */
function applyEntry(state: DeltaState, actions: readonly DeltaAction[]): void {
  for (const action of actions) if (action.remove) applyAction(state, { remove: action.remove });
  for (const { remove: _, ...action } of actions) applyAction(state, action);
  state.version++;
  if (actions.some(({ protocol, metaData }) => protocol || metaData)) rememberHead(state);
}

function rememberHead({ version, protocol, metaData, heads }: DeltaState): void {
  if (!protocol || !metaData) return;
  heads.push({ version, protocol, metaData });
  if (heads.length > headsMax) heads.shift();
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
    const isOld = Math.abs(now - this.#loadedAtMs) > this.#startOverAfterMs;
    const known = isOld ? undefined : this.#state;
    this.#state = undefined;
    const state = known ?? (await this.#start());
    if (known) await this.#advance(state, 1);
    if (state.version >= 0 && !(state.protocol && state.metaData))
      throw damagedLog(logEntryPath(this.name, state.version), "no protocol or metadata up to here");
    this.#state = state;
    this.#loadedAtMs = now;
    return state;
  }

  /**
   * True if there is a checkpoint newer than what was last read. The log may then have been cleaned up beyond that, and entries that
   * were created since may be no part of it.
   */
  isLeftBehind(): Promise<boolean> {
    return hasNewerCheckpoint(this.#store, this.name, this.#state?.version ?? -1);
  }

  /** Forgets what was read: the next `refresh` starts from the newest checkpoint. */
  startOver(): void {
    this.#state = undefined;
  }

  /** Throws TABLE_CONFLICT if the log of a table that there seems not to be holds something: a checkpoint of a kind that we can't read. */
  async refuseOtherContent(): Promise<void> {
    for await (const { path } of this.#store.list(logFolder(this.name))) {
      // Created since the table was read: the next look finds it.
      if (path === logEntryPath(this.name, 0)) return;
      if (/\/\d{20}\./.test(path))
        throw tableConflict(this.name, `its log begins with ${path}, which we can't read`);
    }
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

  /** Live files, as of the last refresh or a newer version. */
  async files(): Promise<AddAction[]> {
    const files = new Map<string, AddAction>();
    await this.eachLive((add) => files.set(decodePath(add.path), add));
    return [...files.values()];
  }

  /** Visits the live files, as of the last refresh or a newer version. May visit one more than once. */
  async eachLive(visit: (add: AddAction) => void): Promise<void> {
    await this.#onState(async (state) => {
      for (const add of state.adds.values()) visit(add);
      const visitOlder = (add: AddAction) => {
        const path = decodePath(add.path);
        if (!state.adds.has(path) && !state.removes.has(path)) visit(add);
      };
      if (state.base) await this.#read(state.base, (paths) => this.checkpoints.eachAdd(paths, visitOlder));
    });
  }

  /** Visits every file that the newest version shows or remembers as replaced, by its decoded path. May visit one more than once. */
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
    return this.#readFrom(base);
  }

  /** What is cleaned away while it is read was replaced by a newer checkpoint. */
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

  /** The newest one, if it is newer than `base`, which could not be read; otherwise throws what was the reason. */
  async #newerCheckpoint(base: CheckpointFile | null, reason: unknown): Promise<CheckpointFile> {
    if (!(reason instanceof BridgeError) || reason.code !== "LAKE_DAMAGED") throw reason;
    const newest = await listedCheckpoint(this.#store, this.name);
    if (!newest || newest.version <= (base?.version ?? -1)) throw reason;
    return newest;
  }

  /** Does `work` on the state; on a newer one if the checkpoint that it builds on was cleaned away meanwhile. */
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
