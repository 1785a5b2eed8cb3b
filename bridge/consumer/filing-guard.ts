import type { Logger } from "pino";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { BridgeError } from "../errors.ts";
import type { BatchWriter, ProbedRow } from "../storage/batch-writer.ts";
import type { Position } from "../streams/stream-log.ts";
import type { JudgedMessage } from "./judge-message.ts";
import type { JudgingFaults } from "./judging-faults.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { poisonResume } from "./partition-halt.ts";
import { type ContentFault, contentFault } from "./quarantine-reason.ts";

/** A batch that can't be written is tried so often before it is made smaller: a disk or an engine may recover. */
const FAILURES_BEFORE_HALVING = 3;
/** A block whose messages were looked at one by one is tried so often before its partition halts. */
const FAILURES_OF_ONE_BLOCK = 3;
const COMMITS_BEFORE_DOUBLING = 4;
const LIMIT_FORGOTTEN_BLOCKS = 4096;
/** For so long rows of a topic version are tried before they are put into a batch, once one of them could not be written. */
const SUSPECT_MS = 60_000;
/** Blocks and topic versions in mind at a time. */
const SUSPECTS_MAX = 256;

export interface FilingPorts {
  readonly batch: Pick<BatchWriter, "probe" | "discard">;
  readonly logger: Logger;
  readonly elapsedMs: () => number;
}

interface Suspicion {
  readonly untilMs: number;
  /** Every row that was looked at alone could not be written: it is the topic, not a message. */
  readonly isWhole: boolean;
}

/** Turns what a writer throws into FILING_FAILED, unless it is the store's own failure: that one passes, or ends the process. */
export function filingFailure(error: unknown): unknown {
  if (error instanceof CodedError && error.code !== "PARQUET_FAILED") return error;
  const text = error instanceof Error ? error.message : String(error);
  return new BridgeError("FILING_FAILED", `a batch could not be written: ${text}`, {
    retryable: true,
    cause: error,
  });
}

/**
 * Keeps a batch that can't be written, for whatever reason, from holding up everything for ever: after some tries batches from the same
 * positions get smaller, down to one block; the rows of that one are tried apart, and those that can't be written are quarantined.
 * As long as not even a row of ours can be written it is no message's fault, and nothing is made smaller or quarantined.
 */
export class FilingGuard {
  readonly #ports: FilingPorts;
  readonly #faults: JudgingFaults;
  /** By partition, since its committed position was `from`. */
  readonly #failures = new Map<string, { readonly from: Position; readonly count: number }>();
  #limit: number | null = null;
  #commits = 0;
  #poison: { key: string; from: Position; position: Position; error: unknown } | null = null;
  /** Blocks whose rows are tried apart, by partition and position, with how often each failed all the same. */
  readonly #blocks = new Map<
    string,
    { readonly key: string; readonly from: Position; readonly count: number }
  >();
  readonly #topics = new Map<string, Suspicion>();

  constructor(ports: FilingPorts, faults: JudgingFaults) {
    this.#ports = ports;
    this.#faults = faults;
  }

  /** Blocks that a batch may hold now. */
  get blocksMax(): number {
    return this.#limit ?? Number.POSITIVE_INFINITY;
  }

  committed(): void {
    if (this.#limit === null || ++this.#commits < COMMITS_BEFORE_DOUBLING) return;
    this.#commits = 0;
    this.#limit = this.#limit * 2 >= LIMIT_FORGOTTEN_BLOCKS ? null : this.#limit * 2;
  }

  /** After each recovery. */
  begin(cursors: readonly PartitionCursor[]): void {
    const poison = this.#poison;
    const cursor = cursors.find(({ key }) => key === poison?.key);
    if (!poison || !cursor) return;
    if (cursor.committed !== poison.from) this.#poison = null;
    else haltUnwritable(cursor, poison.position, poison.error);
  }

  /** The open batch of these cursors could not be written. */
  async failed(cursors: readonly PartitionCursor[], error: unknown): Promise<void> {
    const open = cursors.filter(({ openBlocks }) => openBlocks > 0);
    // Counted for each partition: while one does not move, others may.
    const failures = Math.max(0, ...open.map((cursor) => this.#countFailure(cursor)));
    if (failures < FAILURES_BEFORE_HALVING) return;
    const { batch, logger } = this.#ports;
    await batch.discard();
    const isEnvironment = await batch.probe([soundRow]).then(
      () => false,
      () => true,
    );
    if (isEnvironment) {
      this.#failures.clear();
      return;
    }
    const blocks = open.reduce((sum, { openBlocks }) => sum + openBlocks, 0);
    this.#limit = Math.max(1, Math.floor(blocks / 2));
    this.#commits = 0;
    const fields = { event: "consumer.batch.unwritable", failures, blocks, err: error };
    logger.warn(fields, "a batch can't be written: what is wrong with it is looked for in smaller ones");
    const [cursor] = open;
    if (blocks > 1 || !cursor) return;
    const { key, committed: from, position } = cursor;
    const count = (this.#blocks.get(blockOf(key, position))?.count ?? 0) + 1;
    if (this.#blocks.size >= SUSPECTS_MAX) this.#blocks.clear();
    this.#blocks.set(blockOf(key, position), { key, from, count });
    if (count <= FAILURES_OF_ONE_BLOCK) return;
    this.#poison = { key, from, position, error };
    const halted = { code: "BLOCK_POISON", partition: cursor.partition, position, err: error };
    logger.error({ event: "consumer.partition.halted", ...halted }, "a block can't be written");
  }

  /**
   * The messages, those that can't be written with their fault; they are looked for only in a block that could not be written alone, and for
   * a while among others of their topic versions.
   */
  async withUnwritable(
    cursor: PartitionCursor,
    messages: readonly JudgedMessage[],
  ): Promise<readonly JudgedMessage[]> {
    if (this.#blocks.size === 0 && this.#topics.size === 0) return messages;
    for (const [block, { key, from }] of this.#blocks)
      if (key === cursor.key && from !== cursor.committed) this.#blocks.delete(block);
    const found = new Map<number, ContentFault>();
    const byTopic = new Map<string, number[]>();
    for (const [index, { topic, row, fault }] of messages.entries()) {
      if (fault !== null) continue;
      const key = `${topic.topicId}/${topic.version}`;
      if (!this.#blocks.has(blockOf(cursor.key, row.position)) && !this.#isSuspected(key)) continue;
      byTopic.set(key, [...(byTopic.get(key) ?? []), index]);
    }
    for (const [key, suspected] of byTopic) await this.#search(key, messages, { suspected, found });
    if (found.size === 0) return messages;
    return messages.map((message, index) => ({
      ...message,
      fault: message.fault ?? found.get(index) ?? null,
    }));
  }

  async #search(
    key: string,
    messages: readonly JudgedMessage[],
    { suspected, found }: { suspected: readonly number[]; found: Map<number, ContentFault> },
  ): Promise<void> {
    const before = found.size;
    const isWhole = this.#topics.get(key)?.isWhole ?? false;
    // A topic whose rows all fail must not cost two tries for each of them.
    if (isWhole && (await this.#fails(messages, suspected))) {
      const fault = await this.#fails(messages, suspected.slice(0, 1));
      if (fault !== null) for (const index of suspected) found.set(index, fault);
    }
    if (found.size === before) await this.#bisect(messages, suspected, found);
    const failed = found.size - before;
    if (failed === 0) return;
    if (this.#topics.size >= SUSPECTS_MAX) this.#topics.clear();
    const untilMs = this.#ports.elapsedMs() + SUSPECT_MS;
    this.#topics.set(key, { untilMs, isWhole: failed === suspected.length && (failed > 1 || isWhole) });
  }

  async #bisect(
    messages: readonly JudgedMessage[],
    indexes: readonly number[],
    found: Map<number, ContentFault>,
  ): Promise<void> {
    const fault = await this.#fails(messages, indexes);
    if (fault === null) return;
    const [only, ...others] = indexes;
    if (only === undefined) return;
    if (others.length === 0) {
      found.set(only, fault);
      return;
    }
    const middle = Math.ceil(indexes.length / 2);
    await this.#bisect(messages, indexes.slice(0, middle), found);
    await this.#bisect(messages, indexes.slice(middle), found);
  }

  /** Why these can't be written together; null if they can. */
  async #fails(messages: readonly JudgedMessage[], indexes: readonly number[]): Promise<ContentFault | null> {
    try {
      await this.#ports.batch.probe(indexes.map((index) => messages[index] as JudgedMessage));
      return null;
    } catch (error) {
      const failure = filingFailure(error);
      if (!(failure instanceof BridgeError) || failure.code !== "FILING_FAILED") throw error;
      const [first] = indexes;
      if (indexes.length === 1 && first !== undefined)
        this.#faults.met(error, (messages[first] as JudgedMessage).topic);
      return contentFault("filing-failed", `Tidegate failed to write it: ${failure.message}`);
    }
  }

  #countFailure({ key, committed: from }: PartitionCursor): number {
    const before = this.#failures.get(key);
    const count = before?.from === from ? before.count + 1 : 1;
    this.#failures.set(key, { from, count });
    return count;
  }

  #isSuspected(key: string): boolean {
    const suspicion = this.#topics.get(key);
    if (!suspicion || suspicion.untilMs > this.#ports.elapsedMs()) return suspicion !== undefined;
    this.#topics.delete(key);
    return false;
  }
}

/** Halts the partition of a block that can't be written though each of its rows can. */
function haltUnwritable(cursor: PartitionCursor, position: Position, error: unknown): void {
  const message = `the block at ${position} can't be written, though each of its rows can: ${String(error)}`;
  const resume = poisonResume(cursor.partition);
  const survey = { resumeAfter: position, unaccounted: 0, marks: new Map() };
  const told = { retryAtMs: null, sinceMs: null, isTold: true };
  cursor.halt = { code: "BLOCK_POISON", message, position, resume, survey, ...told };
}

function blockOf(key: string, position: Position): string {
  return `${key}@${position}`;
}

/** A row with which nothing can be wrong. */
const soundRow: ProbedRow = {
  topic: {
    topicId: "sound",
    version: 1,
    name: "sound",
    format: "raw",
    idPath: "",
    timePath: "",
    schema: null,
    columns: [],
    dedupeWindowMs: 1000,
  },
  row: {
    deviceId: "sound",
    topicName: "sound",
    messageId: null,
    eventTimeMs: 0,
    eventTimeMicros: 0,
    eventTimeOutside: false,
    ingestTimeMs: 0,
    streamTimeMs: 0,
    payload: new Uint8Array(0),
    payloadCrc: 0,
    streamId: "",
    partition: 0,
    position: "",
    index: 0,
  },
  values: [],
};
