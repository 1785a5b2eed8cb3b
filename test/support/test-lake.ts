import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import type { TopicVersion, TypedColumn } from "../../bridge/consumer/topic-catalog.ts";
import type { BatchWriter } from "../../bridge/storage/batch-writer.ts";
import {
  type Move,
  noCounters,
  partitionKey,
  QUARANTINE,
  type TableAdds,
} from "../../bridge/storage/commit-log.ts";
import {
  createTablePublisher,
  type TablePublisherOptions,
} from "../../bridge/storage/delta/table-publisher.ts";
import { type LakeCommitLog, openCommitLog } from "../../bridge/storage/lake-commit-log.ts";
import { openLocalStore } from "../../bridge/storage/local/local-store.ts";
import type { ObjectStore } from "../../bridge/storage/object-store.ts";
import { createParquetBatchWriter } from "../../bridge/storage/parquet/batch-writer.ts";
import type { ColumnValue, QuarantineFacts, Row } from "../../bridge/storage/row.ts";
import type { TablePublisher } from "../../bridge/storage/seed-source.ts";
import {
  type LakeTopicCatalog,
  openTopicCatalog,
  writeTopicVersion,
} from "../../bridge/storage/topic-versions.ts";
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

/** A lake in a temporary folder, with everything that writes it. */
export interface TestLake {
  readonly folder: string;
  readonly store: ObjectStore;
  readonly commitLog: LakeCommitLog;
  readonly topics: LakeTopicCatalog;
  readonly publisher: TablePublisher;
  readonly batch: BatchWriter;
  /** Another publisher, as another process would have it. */
  openPublisher(options?: Partial<TablePublisherOptions>): TablePublisher;
  /** Writes the rows as one batch and commits it; publishes it too unless told otherwise. Moves partitions 0 and 1 of `stream-1`, or those named. */
  commit(
    rows: readonly TestRow[],
    options?: { publish?: boolean; streamTimeMs?: number; moved?: readonly number[] },
  ): Promise<number>;
  /** Commits a copy of the file that `commit` wrote last for the topic: much cheaper than writing one. */
  commitCopy(): Promise<number>;
  /** Commits files that `batch.write` returned, and publishes nothing. */
  append(tables: Record<string, TableAdds>, streamTimeMs: number): Promise<number>;
  close(): Promise<void>;
}

/** Fills the commit log until it forgets all that is in it now. */
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
  await commitLog.maintain({ publishedUpTo: number, retainMs: -1 });
  if ((await commitLog.entry(1)) !== null) throw new Error("the log was not pruned");
}

export async function addRows(batch: BatchWriter, rows: readonly TestRow[]): Promise<void> {
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
  const batch = createParquetBatchWriter({ store });
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
    const entry = { format: 1, number, commitId: randomUUID(), committedAtMs, moves, tables } as const;
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
      const tables = Object.fromEntries(await batch.write());
      const streamTimeMs = options.streamTimeMs ?? Math.max(0, ...rows.map(({ row }) => row.streamTimeMs));
      const key = Object.keys(tables).find((topicId) => topicId !== QUARANTINE);
      if (key) template = { tables, key };
      const number = await append(tables, streamTimeMs, options.moved);
      if (options.publish ?? true) await publisher.publishPending();
      return number;
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
