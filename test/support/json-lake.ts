import { BridgeError } from "../../bridge/errors.ts";
import type { BatchWriter, ProbedRow, WrittenBatch } from "../../bridge/lake/batch-writer.ts";
import { quarantineKey, type TableAdds } from "../../bridge/lake/commit-log/commit-log.ts";
import type { CheckpointContent, CheckpointFiles } from "../../bridge/lake/delta/checkpoint-files.ts";
import {
  type DeltaAction,
  decodePath,
  encodeActions,
  parseActions,
} from "../../bridge/lake/delta/delta-actions.ts";
import { FilePlan } from "../../bridge/lake/parquet/file-plan.ts";
import type { SeedFiles, SeedFilter } from "../../bridge/lake/parquet/seed-reader.ts";
import type { SeedRows } from "../../bridge/lake/seed-source.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { contentHash } from "../../bridge/tail/content-hash.ts";
import type { QuarantineFacts, Row } from "../../bridge/tail/row.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";

/** A row in a simulated data file. */
export interface FiledRow {
  readonly topicId: string;
  readonly deviceId: string;
  /** Hex; null if there is no id. */
  readonly messageId: string | null;
  readonly topicName: string;
  readonly eventTimeMs: number;
  readonly eventTimeMicros: number;
  readonly eventTimeOutside: boolean;
  readonly payloadCrc: number;
  readonly ingestTimeMs: number;
  readonly streamTimeMs: number;
  readonly streamId: string;
  readonly partition: number;
  readonly position: string;
  readonly index: number;
  readonly reason: string | null;
}

export function readRows(bytes: Uint8Array): FiledRow[] {
  return JSON.parse(Buffer.from(bytes).toString()) as FiledRow[];
}

/** A name as the product gives one to its files. */
export function dataFileName(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;
}

/** Keeps the batch's rows as JSON objects in the store. */
export class JsonBatchWriter implements BatchWriter {
  readonly #store: ObjectStore;
  readonly #nextFile: () => string;
  readonly #oneHourMs: number | undefined;
  #tables = new Map<string, { name: string; version: number; rows: FiledRow[] }>();
  #rows = 0;

  /**
   * `oneHourMs`: all rows of a table go into a file of this event hour, because rows are searched by event
   * time.
   */
  constructor(store: ObjectStore, nextFile: () => string, options: { oneHourMs?: number } = {}) {
    this.#oneHourMs = options.oneHourMs;
    this.#store = store;
    this.#nextFile = nextFile;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#rows * 100;
  }

  add(topic: TopicVersion, row: Row): void {
    this.#add(topic.topicId, topic, filedRow(row, topic.topicId, null));
  }

  quarantine(row: Row, facts: QuarantineFacts): void {
    this.#add(quarantineKey, { name: quarantineKey, version: 0 }, filedRow(row, facts.topicId, facts.reason));
  }

  async write(): Promise<WrittenBatch> {
    const tables: Record<string, TableAdds> = {};
    for (const [key, { name, version, rows }] of this.#tables) {
      tables[key] = { name, version, adds: await this.#writeFiles(name, rows) };
    }
    await this.discard();
    return { tables };
  }

  async #writeFiles(name: string, rows: readonly FiledRow[]): Promise<TableAdds["adds"]> {
    const plan = new FilePlan();
    const eventTimeMs = this.#oneHourMs;
    const fileOf = rows.map((row) =>
      plan.place(eventTimeMs === undefined ? row : { ...row, eventTimeMs, eventTimeOutside: false }, 1),
    );
    const adds: TableAdds["adds"][number][] = [];
    for (const { number, folder, eventDate, eventHour } of plan.inOrder()) {
      const path = `${folder}/${this.#nextFile()}.parquet`;
      const ofFile = rows.filter((_, index) => fileOf[index]?.number === number);
      const bytes = Buffer.from(JSON.stringify(ofFile));
      await this.#store.put(`${name}/${path}`, bytes);
      const ingestTimes = ofFile.map((row) => row.ingestTimeMs);
      const streamTimes = ofFile.map((row) => row.streamTimeMs);
      adds.push({
        path,
        eventDate,
        eventHour,
        bytes: bytes.length,
        rows: ofFile.length,
        modifiedAtMs: 0,
        minIngestMs: Math.min(...ingestTimes),
        maxIngestMs: Math.max(...ingestTimes),
        minStreamMs: Math.min(...streamTimes),
        maxStreamMs: Math.max(...streamTimes),
        stats: "{}",
      });
    }
    return adds;
  }

  async probe(_rows: readonly ProbedRow[]): Promise<void> {}

  async discard(): Promise<void> {
    this.#tables = new Map();
    this.#rows = 0;
  }

  #add(key: string, table: { name: string; version: number }, row: FiledRow): void {
    const held = this.#tables.get(key) ?? { name: table.name, version: table.version, rows: [] };
    held.version = Math.max(held.version, table.version);
    held.rows.push(row);
    this.#tables.set(key, held);
    this.#rows += 1;
  }
}

export function filedRow(row: Row, topicId: string, reason: string | null): FiledRow {
  return {
    topicId,
    deviceId: row.deviceId,
    messageId: row.messageId && Buffer.from(row.messageId).toString("hex"),
    topicName: row.topicName,
    eventTimeMs: row.eventTimeMs,
    eventTimeMicros: row.eventTimeMicros,
    eventTimeOutside: row.eventTimeOutside,
    payloadCrc: row.payloadCrc,
    ingestTimeMs: row.ingestTimeMs,
    streamTimeMs: row.streamTimeMs,
    streamId: row.streamId,
    partition: row.partition,
    position: row.position,
    index: row.index,
    reason,
  };
}

/** Reads those objects back: `readRows` of a seed source. */
export async function* readJsonSeedRows(
  store: ObjectStore,
  groups: readonly SeedFiles[],
  query: SeedFilter,
  isGivenUp: (path: string, error: unknown) => boolean = () => false,
): AsyncGenerator<SeedRows> {
  const total = groups.reduce((sum, { paths }) => sum + paths.length, 0);
  let read = 0;
  query.onFiles?.(read, total);
  for (const { paths } of groups)
    for (const path of paths) {
      const bytes = await store.get(path);
      if (bytes !== null) yield* chunksOf(readRows(bytes), query);
      else {
        const text = `${path} is missing in the lake although it is named there`;
        const error = new BridgeError("LAKE_DAMAGED", text, { retryable: true });
        if (!isGivenUp(path, error)) throw error;
      }
      query.onFiles?.(++read, total);
    }
}

function partOfRow({ parts, wholeTopics, pastPartitions, ids }: SeedFilter, row: FiledRow): number {
  const { messageId } = row;
  if (messageId === null) return -1;
  if (ids) {
    const isAsked = ids.messageIds.some((id) => Buffer.from(id).toString("hex") === messageId);
    return isAsked && ids.topicId === row.topicId && ids.deviceIds.includes(row.deviceId) ? 0 : -1;
  }
  const isOfAnyTime = messageId.length === 32 && wholeTopics?.has(row.topicId);
  const part = parts.findIndex((each) => row.streamId === each.streamId && row.partition === each.partition);
  if (part >= 0) return row.streamTimeMs >= (parts[part]?.sinceMs ?? 0) || isOfAnyTime ? part : -1;
  const runs = pastPartitions?.get(row.streamId) ?? [];
  const isPast = runs.some(([first, last]) => first <= row.partition && row.partition <= last);
  return isPast && isOfAnyTime ? parts.length : -1;
}

function* chunksOf(filed: readonly FiledRow[], query: SeedFilter): Generator<SeedRows> {
  const rows = filed.filter((row) => partOfRow(query, row) >= 0);
  const kindOf = ({ topicId, reason }: FiledRow) => JSON.stringify([topicId, reason !== null]);
  for (const kind of new Set(rows.map(kindOf))) {
    const chunk = rows.filter((row) => kindOf(row) === kind);
    const [topicId, isQuarantined] = JSON.parse(kind) as [string, boolean];
    yield {
      length: chunk.length,
      parts: Uint32Array.from(chunk, (row) => partOfRow(query, row)),
      topicId,
      deviceIds: chunk.map((row) => row.deviceId),
      messageIds: chunk.map((row) => Buffer.from(row.messageId ?? "", "hex")),
      contentHashes: Uint32Array.from(chunk, contentHash),
      streamTimesMs: Float64Array.from(chunk, (row) => row.streamTimeMs),
      positions: chunk.map((row) => row.position),
      isQuarantined,
      idReused: chunk.map((row) => row.reason === "id-reused" || row.reason === "exact-unsure"),
    };
  }
}

/** Checkpoints as lines of JSON: Parquet would cost the simulation most of its time. */
export function jsonCheckpoints(store: ObjectStore): CheckpointFiles {
  const read = async ([path = ""]: readonly string[]) =>
    parseActions(path, (await store.get(path)) ?? missing(path));
  return {
    head: async (paths) => (await read(paths)).filter(({ add, remove }) => !add && !remove),
    eachAdd: async (paths, visit) => {
      for (const { add } of await read(paths)) if (add) visit(add);
    },
    eachFile: async (paths, visit) => {
      for (const { add, remove } of await read(paths)) {
        if (add) visit(add.path, null);
        if (remove) visit(remove.path, remove.deletionTimestamp ?? 0);
      }
    },
    write: async (path, content) => {
      const carried =
        content.previous.length > 0 ? (await read(content.previous)).filter(isCarried(content)) : [];
      const actions = [...content.actions, ...carried];
      const bytes = encodeActions(actions);
      await store.put(path, bytes);
      return {
        bytes: bytes.length,
        actions: actions.length,
        addFiles: actions.filter(({ add }) => add).length,
      };
    },
  };
}

function isCarried({ changedPaths, tombstonesSinceMs }: CheckpointContent): (action: DeltaAction) => boolean {
  const changed = new Set(changedPaths);
  return ({ add, remove }) => {
    const path = add?.path ?? remove?.path;
    if (path === undefined || changed.has(decodePath(path))) return false;
    return !remove || (remove.deletionTimestamp ?? 0) >= tombstonesSinceMs;
  };
}

function missing(path: string): never {
  throw new BridgeError("LAKE_DAMAGED", `${path} is missing`, { retryable: true });
}
