import { test } from "node:test";
import { quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import type { FollowPosition } from "../../bridge/lake/commit-log/follow-position.ts";
import type { CommittedChunk, CommittedRows } from "../../bridge/lake/follow/committed-rows.ts";
import { type CommittedRowsOptions, createCommittedRows } from "../../bridge/lake/follow/followed-rows.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import type { Row } from "../../bridge/tail/row.ts";
import { column, makeRow, makeTopic, openTestLake, type TestLake, type TestRow } from "./test-lake.ts";

export const telemetry = makeTopic({
  columns: [
    column("level", "long"),
    column("ratio", "double"),
    column("note", "string"),
    column("seen", "timestamp"),
    column("on", "boolean"),
  ],
});
export const alarms = makeTopic({ topicId: "topic-2", name: "alarms" });
export const facts = { reason: "schema", detail: "no level", topicId: "topic-1", topicVersion: 1 };
const values = [
  [9_007_199_254_740_993n, 0.1, "🚀".repeat(33), 1_700_000_000_000_123, true],
  [-5, null, "", -1, false],
  [null, null, null, null, null],
];

export const beginning: FollowPosition = { commit: 1, row: 0 };

export async function chunksOf(
  rows: CommittedRows,
  from: FollowPosition = beginning,
): Promise<CommittedChunk[]> {
  const chunks: CommittedChunk[] = [];
  for await (const chunk of rows.read(from)) chunks.push(chunk);
  return chunks;
}

export async function placesOf(rows: CommittedRows, from?: FollowPosition): Promise<string[]> {
  const chunks = await chunksOf(rows, from);
  return chunks.flatMap(({ commit, rows: each }) =>
    each.map(
      ({ partition, position, index, table }) =>
        `${commit}: ${table.name} ${partition}/${Number(position)}/${index}`,
    ),
  );
}

/** A row of this commit, at the position to which `TestLake.commit` moves its partition. */
export function rowOf(commit: number, index: number, fields: Partial<Row> = {}): Row {
  const position = String(commit).padStart(20, "0");
  return makeRow(index, { position, index, partition: index % 2, ...fields });
}

/** Fifteen rows of three tables, their messages one after another in two partitions. */
export function someRows(commit: number): TestRow[] {
  return Array.from({ length: 15 }, (_, index): TestRow => {
    // Event times run backwards, so that the files have another order of rows than the stream.
    const row = rowOf(commit, index, {
      eventTimeMs: makeRow(100 - index).eventTimeMs,
      eventTimeMicros: index,
    });
    if (index % 5 === 3) return { topic: alarms, row: { ...row, messageId: null, eventTimeOutside: true } };
    if (index % 5 === 4) return { row, facts };
    return { topic: telemetry, row, values: values[index % 3] ?? [] };
  });
}

export function filed(rows: readonly TestRow[]) {
  return rows
    .map(({ row, values: typed = [], topic, facts: quarantine = null }) => {
      const place = quarantine ? quarantineKey : (topic ?? telemetry).topicId;
      return { ...row, key: place, values: [...typed], quarantine };
    })
    .sort((left, right) => left.partition - right.partition || left.index - right.index)
    .map((row) => ({ ...row, payload: hex(row.payload), messageId: row.messageId && hex(row.messageId) }));
}

export function seen(chunks: readonly CommittedChunk[]) {
  return chunks.flatMap(({ rows }) =>
    rows.map(({ table, ...row }) => ({
      ...row,
      key: table.key,
      payload: hex(row.payload),
      messageId: row.messageId && hex(row.messageId),
    })),
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export type OpenStore = (folder: string) => Promise<ObjectStore>;
export type OpenFollower = (options?: Partial<CommittedRowsOptions>) => CommittedRows;

/**
 * Tests of followers, each with a lake of its own.
 * @param openStore Opens the store of a folder as another process does.
 */
export function followerPromises(
  name: string,
  openStore: OpenStore,
  topics = [telemetry, alarms],
): (what: string, work: (lake: TestLake, open: OpenFollower) => Promise<void>) => void {
  return (what, work) => {
    test(`follower ${name}: ${what}`, async () => {
      const lake = await openTestLake(topics, openStore);
      const { store, commitLog } = lake;
      try {
        await work(lake, (options = {}) => createCommittedRows({ store, commitLog, ...options }));
      } finally {
        await lake.close();
      }
    });
  };
}
