import type { BatchWriter } from "../../bridge/lake/batch-writer.ts";
import { openRowReader } from "../../bridge/lake/follow/parquet/row-reader.ts";
import { alarms, telemetry } from "../support/followed-rows.ts";
import { dataFileName, JsonBatchWriter } from "../support/json-lake.ts";
import { JsonLandingWriter } from "../support/json-landing.ts";
import { jsonRowReader } from "../support/json-row-reader.ts";
import { MemoryObjectStore } from "../support/memory-object-store.ts";
import { addRows, openTestLake, type TestRow } from "../support/test-lake.ts";
import { rowReaderContract } from "./row-reader-contract.ts";

async function writeFiles(batch: BatchWriter, rows: readonly TestRow[]): Promise<string[]> {
  await addRows(batch, rows);
  const { name, adds } = (await batch.write()).tables[telemetry.topicId] ?? { name: "", adds: [] };
  return adds.map(({ path }) => `${name}/${path}`);
}

function missing(): never {
  throw new Error("nothing was written");
}

rowReaderContract("Parquet", async () => {
  const lake = await openTestLake([telemetry, alarms]);
  const reader = await openRowReader(lake.store);
  return {
    reader,
    land: async (rows) =>
      (await lake.commitLog.entry(await lake.land(rows, { moved: [] })))?.landing ?? missing(),
    file: (rows) => writeFiles(lake.batch, rows),
    remove: (path) => lake.store.delete(path),
    close: async () => {
      await reader.close();
      await lake.close();
    },
  };
});

rowReaderContract("JSON, as the simulation has it", async () => {
  const store = new MemoryObjectStore();
  let number = 0;
  const nextFile = () => dataFileName(number++);
  const batch = new JsonBatchWriter(store, nextFile);
  const landing = new JsonLandingWriter(store, nextFile);
  return {
    reader: jsonRowReader(store),
    land: async (rows) => {
      await addRows(
        {
          add: (topic, row, values) => landing.add(topic, row, values),
          quarantine: (row, facts) => landing.quarantine(row, facts),
        },
        rows,
      );
      const { file, tables } = (await landing.write()) ?? missing();
      return { file, tables: Object.fromEntries(tables) };
    },
    file: (rows) => writeFiles(batch, rows),
    remove: (path) => store.delete(path),
    close: async () => {},
  };
});
