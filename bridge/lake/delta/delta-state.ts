import type {
  AddAction,
  DeltaAction,
  DomainMetadataAction,
  MetaDataAction,
  ProtocolAction,
  RemoveAction,
  TableHead,
  TxnAction,
} from "./delta-actions.ts";
import { decodePath } from "./delta-actions.ts";
import type { CheckpointFile } from "./delta-log.ts";

const headsMax = 32;

/** The state of a table: its checkpoint `base`, and what later log entries changed. */
export interface DeltaState {
  /** -1 if the table does not exist. */
  version: number;
  base: CheckpointFile | null;
  protocol: ProtocolAction | undefined;
  metaData: MetaDataAction | undefined;
  /** Whether entries after `base` changed the table's columns. */
  hasNewSchema: boolean;
  readonly txns: Map<string, TxnAction>;
  readonly domains: Map<string, DomainMetadataAction>;
  /** Protocol and metadata after each change since `base`, the newest last; at most `headsMax`. */
  readonly heads: TableHead[];
  /** By decoded path. */
  readonly adds: Map<string, AddAction>;
  readonly removes: Map<string, RemoveAction>;
}

export function emptyState(base: CheckpointFile | null): DeltaState {
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

export function applyAction(state: DeltaState, action: DeltaAction): void {
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

/**
 * An entry that removes and adds the same file replaces its deletion vector, whatever the order of the two
 * actions.
 */
export function applyEntry(state: DeltaState, actions: readonly DeltaAction[]): void {
  for (const action of actions) if (action.remove) applyAction(state, { remove: action.remove });
  for (const { remove: _, ...action } of actions) applyAction(state, action);
  state.version++;
  if (actions.some(({ protocol, metaData }) => protocol || metaData)) rememberHead(state);
}

export function rememberHead({ version, protocol, metaData, heads }: DeltaState): void {
  if (!protocol || !metaData) return;
  heads.push({ version, protocol, metaData });
  if (heads.length > headsMax) heads.shift();
}
