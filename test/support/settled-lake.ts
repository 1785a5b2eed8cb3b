import { quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import { type Lane, lanes } from "../../bridge/lake/commit-log/lane-commits.ts";
import { type RoundOptions, settleRound } from "../../bridge/lake/settle/settle-round.ts";
import type { QuarantineFacts } from "../../bridge/tail/row.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import { openSettleProcess, type SettleProcess, type SettleProcessOptions } from "./settle-process.ts";
import { type SettledContent, settledContent } from "./settled-rows.ts";
import {
  column,
  makeRow,
  makeTopic,
  openTestLake,
  startMs,
  type TestLake,
  type TestRow,
} from "./test-lake.ts";

const hourMs = 3_600_000;
export const levels = [column("level", "long")];
export const first = makeTopic({ topicId: "id-first", name: "first", columns: levels });
export const second = makeTopic({ topicId: "id-second", name: "second", columns: levels });
/** Has the name of `first`. */
export const again = makeTopic({ topicId: "id-again", name: "first", columns: levels });

const facts: QuarantineFacts = { topicId: "id-first", topicVersion: 1, reason: "undecodable", detail: "bad" };

/** The test's time is in hour 10, so its fresh rows are in lane `even`; an earlier hour's rows came late. */
export function levelRow(topic: TopicVersion, number: number, hour = 0): TestRow {
  const eventTimeMs = startMs + hour * hourMs + number;
  const ingestTimeMs = startMs + Math.max(0, hour) * hourMs + number;
  return { topic, row: makeRow(number, { eventTimeMs, ingestTimeMs }), values: [number] };
}

export function quarantinedRow(number: number): TestRow {
  return { row: makeRow(number), facts };
}

export function allLanes(...names: string[]): Map<string, readonly Lane[]> {
  return new Map(names.map((name) => [name, lanes]));
}

type Due = ReadonlyMap<string, readonly Lane[]>;

/** Settles every lane of all tables, or those named. Resolves with the outcome of each table. */
export async function settle(
  { tables }: SettleProcess,
  due: Due = allLanes("first", "second", quarantineKey),
  options: RoundOptions = {},
): Promise<Record<string, string | boolean>> {
  const { tables: results, isComplete } = await settleRound(tables, due, options);
  const outcomes = [...results].map(([name, { outcome }]) => [name, outcome] as const);
  return { ...Object.fromEntries(outcomes), isComplete };
}

/** A lake with these topics. */
export interface SettledLake extends TestLake {
  /** As a process of its own. */
  settleOnce(options?: SettleProcessOptions, due?: Due): Promise<Record<string, string | boolean>>;
  /** Read without the code under test. */
  content(table: string, columnName?: string): Promise<SettledContent>;
  values(table: string): Promise<SettledContent["values"]>;
}

export async function openSettledLake(): Promise<SettledLake> {
  const lake = await openTestLake([first, second, again]);
  const content = (table: string, columnName = "level") => settledContent(lake.folder, table, columnName);
  return {
    ...lake,
    settleOnce: async (options = {}, due) => settle(await openSettleProcess(lake, options), due),
    content,
    values: async (table) => (await content(table)).values,
  };
}
