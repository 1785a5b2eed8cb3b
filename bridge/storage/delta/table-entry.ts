import { randomUUID } from "node:crypto";
import type { TopicCatalog } from "../../consumer/topic-catalog.ts";
import { BridgeError } from "../../errors.ts";
import { type AddedFile, QUARANTINE } from "../commit-log.ts";
import { baseColumns, mergeColumns, quarantineColumns, type TableColumn } from "../table-columns.ts";
import { plainColumns, withAbsentColumns } from "./absent-columns.ts";
import type { DeltaAction } from "./delta-actions.ts";
import { checkAppend, checkNulls, newMetaData, READER_VERSION, WRITER_VERSION } from "./delta-schema.ts";
import type { DeltaState } from "./delta-table.ts";
import type { Pending } from "./lacking-commits.ts";

/** Throws TABLE_CONFLICT if files with these columns can't be appended to the table as it is. */
export function checkTable(
  name: string,
  { protocol, metaData }: Readonly<DeltaState>,
  columns: readonly TableColumn[],
): void {
  if (protocol && metaData) checkAppend(name, { protocol, metaData }, columns);
}

/** The actions of the entry by which a table shows `files`: its columns where they are new, and up to which commit it shows all. */
export function entryActions(
  name: string,
  state: Readonly<DeltaState>,
  entry: {
    readonly columns: readonly TableColumn[];
    readonly appId: string;
    readonly upTo: number;
    readonly files: readonly AddedFile[];
    readonly nowMs: number;
  },
): DeltaAction[] {
  const { columns, appId, upTo, files, nowMs } = entry;
  const actions: DeltaAction[] = [{ commitInfo: commitInfo(nowMs) }];
  const { protocol } = state;
  let { metaData } = state;
  if (protocol && metaData) {
    const extended = checkAppend(name, { protocol, metaData }, columns);
    if (extended) actions.push({ metaData: extended });
    metaData = extended ?? metaData;
    checkNulls(name, metaData, files);
  } else {
    actions.push({ protocol: { minReaderVersion: READER_VERSION, minWriterVersion: WRITER_VERSION } });
    metaData = newMetaData(name, columns, nowMs);
    actions.push({ metaData });
  }
  actions.push({ txn: { appId, version: upTo, lastUpdated: nowMs } });
  const tableColumns = plainColumns(name, metaData);
  for (const file of files) actions.push({ add: addAction(file, tableColumns) });
  return actions;
}

/** Columns of the topics' versions up to those that were filed. */
export async function columnsOf(topics: TopicCatalog, pending: readonly Pending[]): Promise<TableColumn[]> {
  if (pending.some(({ key }) => key === QUARANTINE)) return [...baseColumns, ...quarantineColumns];
  const typed = [];
  for (const { key, version } of pending)
    for (let each = 1; each <= version; each++) {
      const columns = await typedColumns(topics, key, { version: each, filed: version });
      if (columns) typed.push(columns);
    }
  return [...baseColumns, ...mergeColumns(typed)];
}

async function typedColumns(
  topics: TopicCatalog,
  topicId: string,
  { version, filed }: { readonly version: number; readonly filed: number },
) {
  if (!topics.version(topicId, version)) await topics.refresh();
  const topic = topics.version(topicId, version);
  if (!topic && version === filed) {
    const path = `_topics/${topicId}/${version}.json`;
    throw new BridgeError(
      "LAKE_DAMAGED",
      `${path} is missing in the lake although its rows are filed. Restore this file from a copy`,
      { retryable: true, details: { topicId, version, path } },
    );
  }
  return topic?.columns;
}

function commitInfo(nowMs: number): Readonly<Record<string, unknown>> {
  return {
    timestamp: nowMs,
    operation: "WRITE",
    operationParameters: { mode: "Append", partitionBy: '["event_date","event_hour"]' },
    isBlindAppend: true,
    engineInfo: "tidegate",
    txnId: randomUUID(),
  };
}

function addAction(file: AddedFile, columns: readonly { name: string }[]) {
  return {
    path: file.path,
    partitionValues: { event_date: file.eventDate, event_hour: String(file.eventHour) },
    size: file.bytes,
    modificationTime: file.modifiedAtMs,
    dataChange: true,
    stats: withAbsentColumns(file.stats, file.rows, columns),
  };
}
