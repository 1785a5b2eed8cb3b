import { BridgeError } from "../../bridge/errors.ts";
import { quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import type { CommittedLanding } from "../../bridge/lake/commit-log/landed-file.ts";
import type { CommittedRow } from "../../bridge/lake/follow/committed-rows.ts";
import type { FollowedFiles, RowReader, StreamRange } from "../../bridge/lake/follow/row-reader.ts";
import { comparePlaces, comparePositions } from "../../bridge/lake/follow/stream-order.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { type FiledRow, readRows } from "./json-lake.ts";
import type { LandedRow, SettledRow } from "./json-landing.ts";

type Table = Pick<FollowedFiles, "key" | "name" | "version">;

/** Reads the files of `JsonBatchWriter`, `JsonLandingWriter` and `createJsonRowFiles`. */
export function jsonRowReader(store: Pick<ObjectStore, "get">): RowReader {
  return {
    async *rows(files) {
      yield (await rowsOf(store, files)).toSorted(comparePlaces);
    },
    async *landed(landing) {
      yield (await landedRows(store, landing)).toSorted(comparePlaces);
    },
    count: async (files) => (await rowsOf(store, files)).length,
    close: async () => {},
  };
}

async function rowsOf(store: Pick<ObjectStore, "get">, files: FollowedFiles): Promise<CommittedRow[]> {
  const excepted = files.except === null ? [] : await read(store, files.except);
  const places = new Set(excepted.map(placeOf));
  const rows: CommittedRow[] = [];
  for (const path of files.paths)
    for (const row of await read(store, path))
      if (isWanted(row, files.ranges) && !places.has(placeOf(row))) rows.push(committed(row, files));
  return rows;
}

async function landedRows(
  store: Pick<ObjectStore, "get">,
  { file, tables }: CommittedLanding,
): Promise<CommittedRow[]> {
  const rows = (await read(store, file.path)) as LandedRow[];
  return rows.map(({ topicVersion: _, lane: __, hour: ___, values: ____, ...row }) => {
    const key = row.reason === null ? row.topicId : quarantineKey;
    const { name, version } = tables[key] ?? missing(`${key} in ${file.path}`);
    return committed(row, { key, name, version });
  });
}

async function read(store: Pick<ObjectStore, "get">, path: string): Promise<FiledRow[]> {
  return readRows((await store.get(path)) ?? missing(path));
}

function missing(what: string): never {
  throw new BridgeError("LAKE_DAMAGED", `${what} is missing`, { retryable: true });
}

function placeOf({ streamId, partition, position, index }: FiledRow): string {
  return JSON.stringify([streamId, partition, position, index]);
}

function isWanted(row: FiledRow, ranges: readonly StreamRange[] | null): boolean {
  if (ranges === null) return true;
  return ranges.some(
    ({ streamId, partition, from, to }) =>
      row.streamId === streamId &&
      row.partition === partition &&
      comparePositions(row.position, from) > 0 &&
      comparePositions(row.position, to) <= 0,
  );
}

function committed(row: FiledRow, { key, name, version }: Table): CommittedRow {
  const { messageId, reason, topicId, columns: _, ...same }: FiledRow & Partial<SettledRow> = row;
  return {
    ...same,
    table: { key, name, version, columns: [] },
    messageId: messageId === null ? null : Buffer.from(messageId, "hex"),
    payload: new Uint8Array(0),
    values: [],
    quarantine: key === quarantineKey ? { reason: reason ?? "", detail: "", topicId, topicVersion: 0 } : null,
  };
}
