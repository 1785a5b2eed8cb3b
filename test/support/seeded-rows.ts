import assert from "node:assert/strict";
import type { SeedQuery } from "../../bridge/lake/seed-source.ts";
import { createSeedSource } from "../../bridge/lake/seeding/lake-seed-source.ts";
import { contentHash } from "../../bridge/tail/content-hash.ts";
import { makeRow, makeTopic, type TestLake, type TestRow } from "./test-lake.ts";

/** What seeding tells of a row. */
interface Seeded {
  readonly topicId: string;
  readonly device: string;
  readonly id: string;
  readonly hash: number;
  readonly streamMs: number;
  readonly position: string;
  readonly reused: boolean;
}

/** Rows of a partition, here those of partition 0 of `stream-1`, by stream time. */
export async function seed(
  lake: TestLake,
  query: {
    partition?: number;
    sinceMs?: number;
    upToCommit?: number;
    streamId?: string;
    wholeTopics?: ReadonlySet<string>;
    pastPartitions?: NonNullable<SeedQuery["pastPartitions"]>;
  } = {},
): Promise<Seeded[]> {
  const seeds = createSeedSource(lake);
  const found: Seeded[] = [];
  const { upToCommit = 1e9, wholeTopics, pastPartitions, ...part } = query;
  const parts = [{ streamId: "stream-1", partition: 0, sinceMs: 0, ...part }];
  const whole = { ...(wholeTopics && { wholeTopics }), ...(pastPartitions && { pastPartitions }) };
  for await (const rows of seeds.rows({ parts, upToCommit, ...whole })) {
    assert.ok(rows.length > 0 && rows.length <= 2048);
    for (let row = 0; row < rows.length; row++)
      found.push({
        topicId: rows.topicId,
        device: rows.deviceIds[row] ?? "",
        id: Buffer.from(rows.messageIds[row] ?? []).toString("hex"),
        hash: rows.contentHashes[row] ?? -1,
        streamMs: rows.streamTimesMs[row] ?? -1,
        position: rows.positions[row] ?? "",
        reused: rows.idReused[row] ?? false,
      });
  }
  return found.sort((left, right) => left.streamMs - right.streamMs || (left.id < right.id ? -1 : 1));
}

/** The same of rows that were written. */
export function expected(rows: readonly TestRow[], partition = 0): Seeded[] {
  return rows
    .filter(({ row }) => row.partition === partition && row.messageId !== null)
    .map(({ topic = makeTopic(), row, facts }) => ({
      topicId: facts?.topicId ?? topic.topicId,
      device: row.deviceId,
      id: Buffer.from(row.messageId ?? []).toString("hex"),
      hash: contentHash(row),
      streamMs: row.streamTimeMs,
      position: row.position,
      reused: facts?.reason === "id-reused",
    }))
    .sort((left, right) => left.streamMs - right.streamMs || (left.id < right.id ? -1 : 1));
}

export function quarantined(number: number, reason: string, topicId = "topic-1"): TestRow {
  return { row: makeRow(number), facts: { reason, detail: "d", topicId, topicVersion: 1 } };
}
