import { BridgeError } from "../../bridge/errors.ts";
import { QUARANTINE } from "../../bridge/storage/commit-log.ts";
import type { CommittedRow } from "../../bridge/storage/follow/committed-rows.ts";
import type { FollowedFiles, RowReader, StreamRange } from "../../bridge/storage/follow/row-reader.ts";
import { comparePlaces, comparePositions } from "../../bridge/storage/follow/stream-order.ts";
import type { ObjectStore } from "../../bridge/storage/object-store.ts";
import { type FiledRow, readRows } from "./json-lake.ts";

/** Reads what `JsonBatchWriter` wrote. */
export function jsonRowReader(store: ObjectStore): RowReader {
  return {
    async *rows(files) {
      yield (await rowsOf(store, files)).toSorted(comparePlaces);
    },
    count: async (files) => (await rowsOf(store, files)).length,
    close: async () => {},
  };
}

async function rowsOf(store: ObjectStore, files: FollowedFiles): Promise<CommittedRow[]> {
  const rows: CommittedRow[] = [];
  for (const path of files.paths) {
    const bytes = await store.get(path);
    if (bytes === null) throw new BridgeError("LAKE_DAMAGED", `${path} is missing`, { retryable: true });
    for (const row of readRows(bytes)) if (isWanted(row, files.ranges)) rows.push(committed(row, files));
  }
  return rows;
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

function committed(row: FiledRow, { key, name, version }: FollowedFiles): CommittedRow {
  const { messageId, reason, topicId, ...same } = row;
  return {
    ...same,
    table: { key, name, version, columns: [] },
    messageId: messageId === null ? null : Buffer.from(messageId, "hex"),
    payload: new Uint8Array(0),
    values: [],
    quarantine: key === QUARANTINE ? { reason: reason ?? "", detail: "", topicId, topicVersion: 0 } : null,
  };
}
