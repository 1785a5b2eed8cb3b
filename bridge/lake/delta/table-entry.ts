import { randomUUID } from "node:crypto";
import { BridgeError } from "../../errors.ts";
import {
  baseColumns,
  mergeColumns,
  quarantineColumns,
  type TableColumn,
} from "../../topics/table-columns.ts";
import type { TopicCatalog } from "../../topics/topic-catalog.ts";
import { type AddedFile, quarantineKey } from "../commit-log/commit-log.ts";
import type { LandedVersion } from "../landing/row-files.ts";
import { plainColumns, withAbsentColumns } from "./absent-columns.ts";
import type { DeltaAction } from "./delta-actions.ts";
import { checkAppend, checkNulls, newMetaData, readerVersion, writerVersion } from "./delta-schema.ts";
import type { DeltaState } from "./delta-state.ts";
import type { Pending } from "./lacking-commits.ts";

/** Throws TABLE_CONFLICT if files with these columns cannot be appended to the table. */
export function checkTable(
  name: string,
  { protocol, metaData }: Readonly<DeltaState>,
  columns: readonly TableColumn[],
): void {
  if (protocol && metaData) checkAppend(name, { protocol, metaData }, columns);
}

/** A lane of the table, and the commit up to which the table shows all rows of the lane. */
export interface LaneTransaction {
  readonly appId: string;
  readonly upTo: number;
}

/** Actions of the entry that makes `files` visible: new columns, the files, and what the table then shows. */
export function entryActions(
  name: string,
  state: Readonly<DeltaState>,
  entry: {
    readonly columns: readonly TableColumn[];
    readonly transactions: readonly LaneTransaction[];
    readonly files: readonly AddedFile[];
    readonly nowMs: number;
  },
): DeltaAction[] {
  const { columns, transactions, files, nowMs } = entry;
  const actions: DeltaAction[] = [{ commitInfo: commitInfo(nowMs) }];
  const { protocol } = state;
  let { metaData } = state;
  if (protocol && metaData) {
    const extended = checkAppend(name, { protocol, metaData }, columns);
    if (extended) actions.push({ metaData: extended });
    metaData = extended ?? metaData;
    checkNulls(name, metaData, files);
  } else {
    actions.push({ protocol: { minReaderVersion: readerVersion, minWriterVersion: writerVersion } });
    metaData = newMetaData(name, columns, nowMs);
    actions.push({ metaData });
  }
  for (const { appId, upTo } of transactions)
    actions.push({ txn: { appId, version: upTo, lastUpdated: nowMs } });
  const tableColumns = plainColumns(name, metaData);
  for (const file of files) actions.push({ add: addAction(file, tableColumns) });
  return actions;
}

/** Columns of all topic versions up to the filed ones. */
export async function columnsOf(
  topics: TopicCatalog,
  pending: readonly FiledTopic[],
): Promise<TableColumn[]> {
  const versions = await filedVersions(topics, pending);
  if (versions === null) return [...baseColumns, ...quarantineColumns];
  return [...baseColumns, ...mergeColumns(versions.map(({ columns }) => columns))];
}

/** The key of a topic whose rows are in the table, and the highest version of its rows. */
export type FiledTopic = Pick<Pending, "key" | "version">;

/**
 * All known versions of the topics up to the filed ones; null for the quarantine. Rejects with LAKE_DAMAGED if
 * a filed version is missing.
 */
export async function filedVersions(
  topics: TopicCatalog,
  filed: readonly FiledTopic[],
): Promise<LandedVersion[] | null> {
  if (filed.some(({ key }) => key === quarantineKey)) return null;
  const versions = [];
  for (const { key, version } of filed)
    for (let each = 1; each <= version; each++) {
      const columns = await typedColumns(topics, key, { version: each, filed: version });
      if (columns) versions.push({ topicId: key, version: each, columns });
    }
  return versions;
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
