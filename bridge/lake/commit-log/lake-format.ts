import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import { BridgeError } from "../../errors.ts";
import { commitsFolder } from "../stores/lake-folders.ts";
import { lakeFormat } from "./commit-log.ts";
import {
  entryCheck,
  knownFormats,
  type LakeSnapshot,
  lakeCheck,
  type StoredEntry,
  snapshotCheck,
} from "./lake-schemas.ts";

export const lakePath = `${commitsFolder}/lake.json`;
export const snapshotsPrefix = `${commitsFolder}/snapshots/`;

function padded(number: number): string {
  return String(number).padStart(20, "0");
}

export function entryPath(number: number): string {
  return `${commitsFolder}/${padded(number)}.json`;
}

export function snapshotPath(number: number): string {
  return `${snapshotsPrefix}${padded(number)}.json`;
}

/**
 * The number in the path of an entry, snapshot or Delta log entry (`<folder>/<20 digits>.json`); null for
 * other paths.
 */
export function numberOfPath(path: string): number | null {
  const digits = /(?:^|\/)(\d{20})\.json$/.exec(path)?.[1];
  return digits === undefined ? null : Number(digits);
}

const movedFormat = 2;
const movedSchema = Type.Object({
  format: Type.Literal(movedFormat),
  number: Type.Integer({ minimum: 1 }),
  commitId: Type.String({ minLength: 1 }),
  /** URL of the lake's new place. */
  movedTo: Type.String({ minLength: 1 }),
});
const movedCheck = TypeCompiler.Compile(movedSchema);

export function damaged(path: string, fault: string): BridgeError {
  return new BridgeError(
    "LAKE_DAMAGED",
    `${path} in the lake is damaged: ${fault}. Restore this file from a copy`,
    {
      retryable: false,
      details: { path },
    },
  );
}

/**
 * The JSON value in a file of the lake. Throws LAKE_DAMAGED, LAKE_MOVED, or LAKE_VERSION if its `format` is
 * newer than ours.
 */
export function parseLakeJson<Schema extends TSchema>(
  path: string,
  bytes: Uint8Array,
  check: TypeCheck<Schema>,
): Static<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw damaged(path, cause instanceof Error ? cause.message : "not JSON");
  }
  refuseMoved(value);
  const format = typeof value === "object" && value !== null && "format" in value ? value.format : undefined;
  if (typeof format === "number" && !knownFormats.includes(format))
    throw new BridgeError(
      "LAKE_VERSION",
      `${path} has format ${format}, this Tidegate reads up to ${lakeFormat}: install a newer version`,
      { retryable: false, details: { path, format } },
    );
  if (check.Check(value)) return value;
  const fault = check.Errors(value).First();
  throw damaged(path, fault ? `${fault.path || "/"} ${fault.message}` : "unexpected content");
}

/** Throws LAKE_MOVED if the value is the entry that closes a log. */
function refuseMoved(value: unknown): void {
  if (!movedCheck.Check(value)) return;
  const { number, movedTo } = value;
  const text = `the lake was moved to ${movedTo}: start the gateway with --lake ${movedTo}`;
  throw new BridgeError("LAKE_MOVED", text, { retryable: false, details: { number, movedTo } });
}

/**
 * The last entry of a log that continues in another place. Versions that do not know its format refuse it.
 */
export function encodeMovedEntry(entry: {
  readonly number: number;
  readonly commitId: string;
  readonly movedTo: string;
}): Uint8Array {
  return encodeJson({ format: movedFormat, ...entry } satisfies Static<typeof movedSchema>);
}

export function parseLakeFile(bytes: Uint8Array): { lakeId: string } {
  return parseLakeJson(lakePath, bytes, lakeCheck);
}

export function parseEntry(number: number, bytes: Uint8Array): StoredEntry {
  const entry = parseLakeJson(entryPath(number), bytes, entryCheck);
  const isOld = entry.format !== lakeFormat;
  if (isOld !== (entry.tables !== undefined))
    throw damaged(entryPath(number), `tables ${isOld ? "are missing" : "are of an older format"}`);
  if (entry.number !== number) throw damaged(entryPath(number), `it says number ${entry.number}`);
  return entry;
}

export function parseSnapshot(number: number, bytes: Uint8Array): LakeSnapshot {
  const snapshot = parseLakeJson(snapshotPath(number), bytes, snapshotCheck);
  if (snapshot.number !== number) throw damaged(snapshotPath(number), `it says number ${snapshot.number}`);
  return snapshot;
}

export function missingEntry(number: number): BridgeError {
  return damaged(entryPath(number), "it is missing although later entries exist");
}

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
