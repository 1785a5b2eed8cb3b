import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { LandedSource } from "../../bridge/lake/landing/row-files.ts";
import { createParquetBatchWriter } from "../../bridge/lake/parquet/batch-writer.ts";
import { createParquetRowFiles } from "../../bridge/lake/parquet/parquet-row-files.ts";
import type { ColumnValue } from "../../bridge/topics/column-value.ts";
import { baseColumns } from "../../bridge/topics/table-columns.ts";
import { dataFileName } from "../support/json-lake.ts";
import { createJsonRowFiles, JsonLandingWriter, type SettledRow } from "../support/json-landing.ts";
import { MemoryObjectStore } from "../support/memory-object-store.ts";
import { openTestLake } from "../support/test-lake.ts";
import { rowFilesContract } from "./row-files-contract.ts";

const ownColumns = new Set(baseColumns.map(({ name }) => name));

rowFilesContract("Parquet", async () => {
  const lake = await openTestLake();
  const writer = createParquetBatchWriter({ store: lake.store });
  const options = { store: lake.store, now: Date.now };
  return {
    rowFiles: createParquetRowFiles(options),
    tinyFiles: createParquetRowFiles({ ...options, targetBytes: 1 }),
    land: async (commit, rows): Promise<LandedSource> => {
      for (const { topic, row, values = [], facts } of rows) {
        const added = facts ? writer.quarantine(row, facts) : writer.add(topic, row, values);
        if (added) await added;
      }
      const { landing } = await writer.write();
      return { commit, path: landing?.file.path ?? "" };
    },
    read: async (table, { path }) => {
      const bytes = readFileSync(join(lake.folder, table, path));
      const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
      const rows = await parquetReadObjects({ file, compressors, utf8: false });
      return rows.map((row) => ({
        device: String(row["device_id"]),
        eventTimeMs: Number(row["event_time"]),
        index: Number(row["_index"]),
        columns: Object.fromEntries(Object.entries(row).filter(([name]) => !ownColumns.has(name))) as Record<
          string,
          ColumnValue
        >,
      }));
    },
    files: async () =>
      readdirSync(lake.folder, { recursive: true, encoding: "utf8" }).filter(
        (path) => path.endsWith(".parquet") && !path.startsWith("_"),
      ),
    close: async () => {
      await writer.discard();
      await lake.close();
    },
  };
});

rowFilesContract("JSON, as the simulation has it", async () => {
  const store = new MemoryObjectStore();
  let number = 0;
  const nextFile = () => dataFileName(number++);
  const writer = new JsonLandingWriter(store, nextFile);
  return {
    rowFiles: createJsonRowFiles(store, nextFile),
    tinyFiles: createJsonRowFiles(store, nextFile, { rowsPerFile: 1 }),
    land: async (commit, rows) => {
      for (const { topic, row, values = [], facts } of rows)
        if (facts) writer.quarantine(row, facts);
        else writer.add(topic, row, values);
      return { commit, path: (await writer.write())?.file.path ?? "" };
    },
    read: async (table, { path }) => {
      const bytes = (await store.get(`${table}/${path}`)) ?? new Uint8Array();
      const rows = JSON.parse(Buffer.from(bytes).toString()) as SettledRow[];
      return rows.map(({ deviceId, eventTimeMs, index, columns, topicId, reason }) => ({
        device: deviceId,
        eventTimeMs,
        index,
        columns: reason === null ? longs(columns) : { topic_id: topicId, reason },
      }));
    },
    files: async () => [...store.objects.keys()].filter((path) => !path.startsWith("_")),
    close: async () => {},
  };
});

/** The column `count` of the contract is a long. */
function longs(columns: SettledRow["columns"]): Record<string, ColumnValue> {
  const { count, ...others } = columns;
  return count === undefined ? others : { ...others, count: count === null ? null : BigInt(count) };
}
