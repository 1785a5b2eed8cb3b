import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import type { BatchWriter } from "../../bridge/lake/batch-writer.ts";
import {
  type CommitEntry,
  type Move,
  noCounters,
  quarantineKey,
  type TableAdds,
} from "../../bridge/lake/commit-log/commit-log.ts";
import { type LakeCommitLog, openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { createTablePublisher } from "../../bridge/lake/delta/table-publisher.ts";
import type { TablePublisherOptions } from "../../bridge/lake/delta/table-publisher-options.ts";
import { createParquetBatchWriter } from "../../bridge/lake/parquet/batch-writer.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import type { TablePublisher } from "../../bridge/lake/table-publishing.ts";
import {
  type LakeTopicCatalog,
  openTopicCatalog,
  writeTopicVersion,
} from "../../bridge/lake/topic-versions.ts";
import { partitionKey } from "../../bridge/streams/partition-key.ts";
import type { QuarantineFacts, Row } from "../../bridge/tail/row.ts";
import type { ColumnValue } from "../../bridge/topics/column-value.ts";
import type { TopicVersion, TypedColumn } from "../../bridge/topics/topic-catalog.ts";
import { committedFiles } from "./committed-rows.ts";
import { topicVersion } from "./topic-version.ts";

export const silentLogger = pino({ level: "silent" });

/** 2026-11-22T10:05:00Z, the start of the test rows' time. */
export const startMs = Date.UTC(2026, 10, 22, 10, 5);

export function makeTopic(fields: Partial<TopicVersion> = {}): TopicVersion {
  return topicVersion({ topicId: "topic-1", ...fields });
}

export function makeRow(number: number, fields: Partial<Row> = {}): Row {
  return {
    deviceId: `device-${number % 7}`,
    topicName: `fleet/device-${number % 7}/telemetry`,
    messageId: Buffer.from(`message-${number}`),
    eventTimeMs: startMs + number * 10,
    eventTimeMicros: 0,
    eventTimeOutside: false,
    ingestTimeMs: startMs + number * 10 + 500,
    streamTimeMs: startMs + number * 10 - 7_200_000,
    payload: Buffer.from(JSON.stringify({ id: `message-${number}`, value: number })),
    payloadCrc: (number * 2_654_435_761) | 0,
    streamId: "stream-1",
    partition: number % 2,
    position: String(Math.floor(number / 10)).padStart(20, "0"),
    index: number % 10,
    ...fields,
  };
}

export type TestRow = {
  readonly topic?: TopicVersion;
  readonly row: Row;
  readonly values?: readonly ColumnValue[];
  readonly facts?: QuarantineFacts;
};

/** A lake in a temporary folder, with its writers. */
export interface TestLake {
  readonly folder: string;
  readonly store: ObjectStore;
  readonly commitLog: LakeCommitLog;
  readonly topics: LakeTopicCatalog;
  readonly publisher: TablePublisher;
  readonly batch: BatchWriter;
  /** Another publisher, as another process would have it. */
  openPublisher(options?: Partial<TablePublisherOptions>): TablePublisher;
  /**
   * Writes the rows as one batch and commits it; publishes it too unless an option forbids it. Moves
   * partitions 0 and 1 of `stream-1`, or those named.
   */
  commit(
    rows: readonly TestRow[],
    options?: { publish?: boolean; streamTimeMs?: number; moved?: readonly number[] },
  ): Promise<number>;
  /**
   * Writes the rows as one landing file and commits it; `direct` rows become table files of the same commit.
   * Nothing is published.
   */
  land(
    rows: readonly TestRow[],
    options?: { direct?: readonly TestRow[]; moved?: readonly number[] },
  ): Promise<number>;
  /** Commits a copy of the file that `commit` wrote last for the topic: much cheaper than writing one. */
  commitCopy(): Promise<number>;
  /** Paths of the files in a commit of this topic, or of all topics, in the folder. */
  filesOf(commit: number, topicId?: string): Promise<string[]>;
  /** Commits files that `batch.write` returned, and publishes nothing. */
  append(tables: Record<string, TableAdds>, streamTimeMs: number, moved?: readonly number[]): Promise<number>;
  close(): Promise<void>;
}

/** Fills the commit log until its present entries are pruned. */
export async function forgetCommits({ commitLog }: Pick<TestLake, "commitLog">): Promise<void> {
  for (let commit = 0; commit < 205; commit++) {
    const { number } = await commitLog.load();
    const entry = {
      format: 1,
      number: number + 1,
      commitId: `c${number}`,
      committedAtMs: 1,
      moves: {},
      tables: {},
    } as const;
    await commitLog.append(entry);
  }
  const { number } = await commitLog.load();
  await commitLog.maintain({ publishedUpTo: number, settled: new Map(), retainMs: -1 });
  if ((await commitLog.entry(1)) !== null) throw new Error("the log was not pruned");
}

export async function addRows(
  batch: Pick<BatchWriter, "add" | "quarantine">,
  rows: readonly TestRow[],
): Promise<void> {
  for (const { topic = makeTopic(), row, values = [], facts } of rows) {
    const added = facts ? batch.quarantine(row, facts) : batch.add(topic, row, values);
    if (added) await added;
  }
}

export async function openTestLake(
  topicVersions: readonly TopicVersion[] = [makeTopic()],
  openStore: (folder: string) => Promise<ObjectStore> = openLocalStore,
): Promise<TestLake> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-lake-"));
  const store = await openStore(folder);
  for (const topic of topicVersions) await writeTopicVersion(store, { ...topic });
  const commitLog = await openCommitLog(store, { create: true });
  const topics = await openTopicCatalog(store);
  const batch = createParquetBatchWriter({ store, directBytes: 0 });
  const landing = createParquetBatchWriter({ store, directBytes: Number.POSITIVE_INFINITY });
  const openPublisher = (options: Partial<TablePublisherOptions> = {}) =>
    createTablePublisher({
      store,
      commitLog,
      topics,
      logger: silentLogger,
      registry: new Registry(),
      ...options,
    });
  const publisher = openPublisher();
  let template: { tables: Record<string, TableAdds>; key: string } | undefined;
  const append = async (
    tables: Record<string, TableAdds>,
    streamTimeMs: number,
    moved: readonly number[] = [0, 1],
    landing?: CommitEntry["landing"],
  ): Promise<number> => {
    const state = await commitLog.load();
    const number = state.number + 1;
    const moves = Object.fromEntries(
      moved.map((partition) => {
        const key = partitionKey("stream-1", partition);
        return [key, moveTo(number, state.moves.get(key)?.to ?? "", streamTimeMs)];
      }),
    );
    const committedAtMs = Date.now();
    const entry = {
      format: 1,
      number,
      commitId: randomUUID(),
      committedAtMs,
      moves,
      tables,
      ...(landing && { landing }),
    } as const;
    const { outcome } = await commitLog.append(entry);
    if (outcome !== "committed") throw new Error(outcome);
    return number;
  };
  return {
    folder,
    store,
    commitLog,
    topics,
    publisher,
    batch,
    openPublisher,
    append,
    commit: async (rows, options = {}) => {
      await addRows(batch, rows);
      const { tables } = await batch.write();
      const streamTimeMs = options.streamTimeMs ?? Math.max(0, ...rows.map(({ row }) => row.streamTimeMs));
      const key = Object.keys(tables).find((topicId) => topicId !== quarantineKey);
      if (key) template = { tables, key };
      const number = await append(tables, streamTimeMs, options.moved);
      if (options.publish ?? true) await publisher.publishPending();
      return number;
    },
    land: async (rows, { direct = [], moved } = {}) => {
      await addRows(landing, rows);
      await addRows(batch, direct);
      const { tables } = await batch.write();
      const streamTimeMs = Math.max(0, ...[...rows, ...direct].map(({ row }) => row.streamTimeMs));
      return append(tables, streamTimeMs, moved, (await landing.write()).landing);
    },
    filesOf: async (commit, topicId) => {
      const entry = await commitLog.entry(commit);
      return (entry ? committedFiles(entry) : [])
        .filter(({ table }) => topicId === undefined || table === topicId)
        .map(({ path }) => join(folder, path));
    },
    commitCopy: async () => {
      const table = template?.tables[template.key];
      const add = table?.adds[0];
      if (!template || !table || !add) throw new Error("nothing to copy");
      const path = add.path.replace(/[^/]+\.parquet$/, `${randomUUID()}.parquet`);
      const bytes = await store.get(`${table.name}/${add.path}`);
      if (bytes === null) throw new Error("nothing to copy");
      await store.put(`${table.name}/${path}`, bytes);
      return append({ [template.key]: { ...table, adds: [{ ...add, path }] } }, add.maxIngestMs);
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

function moveTo(number: number, from: string, streamTimeMs: number): Move {
  return { from, to: String(number).padStart(20, "0"), streamTimeMs, producers: {}, counters: noCounters };
}

export function column(name: string, type: TypedColumn["type"]): TypedColumn {
  return { name, type };
}
