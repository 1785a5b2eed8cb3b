import { BridgeError } from "../../errors.ts";

/**
 * Actions of the Delta protocol (PROTOCOL.md of delta-io/delta) that Tidegate writes or reads. Others are
 * ignored.
 */
export interface ProtocolAction {
  readonly minReaderVersion: number;
  readonly minWriterVersion: number;
  /** Features that a reader and a writer must know; from reader version 3 and writer version 7 on. */
  readonly readerFeatures?: readonly string[] | null;
  readonly writerFeatures?: readonly string[] | null;
}

export interface MetaDataAction {
  readonly id: string;
  readonly name?: string | null;
  readonly description?: string | null;
  readonly format: { readonly provider: string; readonly options: Readonly<Record<string, string>> };
  readonly schemaString: string;
  readonly partitionColumns: readonly string[];
  readonly configuration: Readonly<Record<string, string>>;
  readonly createdTime?: number | null;
}

export interface AddAction {
  /** URL-encoded, relative to the table's folder. */
  readonly path: string;
  readonly partitionValues: Readonly<Record<string, string | null>>;
  readonly size: number;
  readonly modificationTime: number;
  readonly dataChange: boolean;
  readonly stats?: string | null;
  /** Deleted rows of the file. Tidegate writes none. */
  readonly deletionVector?: Readonly<Record<string, unknown>> | null;
  readonly tags?: Readonly<Record<string, string | null>> | null;
}

export interface RemoveAction {
  readonly path: string;
  readonly deletionTimestamp?: number | null;
  readonly dataChange: boolean;
  readonly extendedFileMetadata?: boolean | null;
  readonly partitionValues?: Readonly<Record<string, string | null>> | null;
  readonly size?: number | null;
  readonly deletionVector?: Readonly<Record<string, unknown>> | null;
}

export interface TxnAction {
  readonly appId: string;
  readonly version: number;
  readonly lastUpdated?: number | null;
}

/** Configuration of other writers; kept unchanged. */
export interface DomainMetadataAction {
  readonly domain: string;
  readonly configuration: string;
  readonly removed: boolean;
}

export interface DeltaAction {
  readonly protocol?: ProtocolAction;
  readonly metaData?: MetaDataAction;
  readonly add?: AddAction;
  readonly remove?: RemoveAction;
  readonly txn?: TxnAction;
  readonly domainMetadata?: DomainMetadataAction;
  readonly commitInfo?: Readonly<Record<string, unknown>>;
}

/** The protocol and metadata of a table from a version on. */
export interface TableHead {
  readonly version: number;
  readonly protocol: ProtocolAction;
  readonly metaData: MetaDataAction;
}

/** A field of a Delta schema. Fields of other writers may have a nested type. */
export interface SchemaField {
  readonly name: string;
  readonly type: unknown;
  readonly nullable: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export function damagedLog(path: string, cause: unknown): BridgeError {
  const fault = cause instanceof Error ? cause.message : String(cause);
  return new BridgeError(
    "LAKE_DAMAGED",
    `${path} in the lake is damaged: ${fault}. Restore this file from a copy`,
    { retryable: false, cause, details: { path } },
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Fields without which an action cannot be applied. */
const neededFields: Readonly<Record<string, readonly (readonly [name: string, type: string])[]>> = {
  protocol: [
    ["minReaderVersion", "number"],
    ["minWriterVersion", "number"],
  ],
  metaData: [
    ["schemaString", "string"],
    ["partitionColumns", "object"],
  ],
  add: [
    ["path", "string"],
    ["partitionValues", "object"],
    ["size", "number"],
  ],
  remove: [["path", "string"]],
  txn: [
    ["appId", "string"],
    ["version", "number"],
  ],
  domainMetadata: [
    ["domain", "string"],
    ["configuration", "string"],
  ],
};

function parseAction(line: string): DeltaAction {
  const action: unknown = JSON.parse(line);
  if (!isRecord(action)) throw new Error("a line is not an action");
  for (const [kind, fields] of Object.entries(neededFields)) {
    const body = action[kind];
    if (body === undefined || body === null) continue;
    if (!isRecord(body)) throw new Error(`${kind} is not an object`);
    for (const [name, type] of fields)
      if (typeof body[name] !== type) throw new Error(`${kind}.${name} is not a ${type}`);
  }
  return action as DeltaAction;
}

/** The actions of one log entry. Throws LAKE_DAMAGED with its path. */
export function parseActions(path: string, bytes: Uint8Array): DeltaAction[] {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.split("\n").flatMap((line) => (line.trim() === "" ? [] : [parseAction(line)]));
  } catch (cause) {
    throw damagedLog(path, cause);
  }
}

export function encodeActions(actions: readonly DeltaAction[]): Uint8Array {
  return new TextEncoder().encode(actions.map((action) => `${JSON.stringify(action)}\n`).join(""));
}

/** Paths in the log are URL-encoded, and writers differ in which characters they encode. */
export function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
