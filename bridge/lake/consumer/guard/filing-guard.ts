import type { Logger } from "pino";
import { CodedError } from "../../../../devices/protocol/coded-error.ts";
import { type ContentFault, contentFault } from "../../../decoders/quarantine-reason.ts";
import { BridgeError } from "../../../errors.ts";
import type { Position } from "../../../streams/stream-log.ts";
import type { JudgedMessage } from "../../../tail/judge-message.ts";
import type { JudgingFaults } from "../../../tail/judging-faults.ts";
import { poisonResume } from "../../../tail/partition-halt.ts";
import type { BatchWriter, ProbedRow } from "../../batch-writer.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";

/** Failures of a batch before batches get smaller, because a disk or an engine may recover. */
const failuresBeforeHalving = 3;
/** Failures of a single block, with its messages probed one by one, before its partition halts. */
const failuresOfOneBlock = 3;
const commitsBeforeDoubling = 4;
const limitForgottenBlocks = 4096;
/**
 * How long rows of a topic version are probed before they enter a batch, after one of them could not be
 * written.
 */
const suspectMs = 60_000;
/** Bound of the remembered blocks, and of the remembered topic versions. */
const suspectsMax = 256;

export interface FilingPorts {
  readonly batch: Pick<BatchWriter, "probe" | "discard">;
  readonly logger: Logger;
  readonly elapsedMs: () => number;
}

interface Suspicion {
  readonly untilMs: number;
  /** Whether no probed row could be written, so that the topic is at fault, not a message. */
  readonly isWhole: boolean;
}

/**
 * Turns an error of a writer into FILING_FAILED. An error of the store stays as it is, because it passes or
 * ends the process.
 */
export function filingFailure(error: unknown): unknown {
  if (error instanceof CodedError && error.code !== "PARQUET_FAILED") return error;
  const text = error instanceof Error ? error.message : String(error);
  return new BridgeError("FILING_FAILED", `a batch could not be written: ${text}`, {
    retryable: true,
    cause: error,
  });
}

/**
 * Keeps a batch that cannot be written from stopping the consumer for ever. After some failures, batches from
 * the same positions get smaller, down to one block. The rows of that block are probed one by one, and those
 * that cannot be written are quarantined. If not even a known good row can be written, no message is at
 * fault: batches keep their size, and nothing is quarantined.
 */
export class FilingGuard {
  readonly #ports: FilingPorts;
  readonly #faults: JudgingFaults;
  /** Failures by partition, at its committed position `from`. */
  readonly #failures = new Map<string, { readonly from: Position; readonly count: number }>();
  #limit: number | null = null;
  #commits = 0;
  #poison: { key: string; from: Position; position: Position; error: unknown } | null = null;
  /** By partition and position, blocks whose rows are probed, and how often each failed nevertheless. */
  readonly #blocks = new Map<
    string,
    { readonly key: string; readonly from: Position; readonly count: number }
  >();
  readonly #topics = new Map<string, Suspicion>();

  constructor(ports: FilingPorts, faults: JudgingFaults) {
    this.#ports = ports;
    this.#faults = faults;
  }

  /** Maximum number of blocks in a batch. */
  get blocksMax(): number {
    return this.#limit ?? Number.POSITIVE_INFINITY;
  }

  committed(): void {
    if (this.#limit === null || ++this.#commits < commitsBeforeDoubling) return;
    this.#commits = 0;
    this.#limit = this.#limit * 2 >= limitForgottenBlocks ? null : this.#limit * 2;
  }

  /** Call it after each recovery. */
  begin(cursors: readonly PartitionCursor[]): void {
    const poison = this.#poison;
    const cursor = cursors.find(({ key }) => key === poison?.key);
    if (!poison || !cursor) return;
    if (cursor.committed !== poison.from) this.#poison = null;
    else haltUnwritable(cursor, poison.position, poison.error);
  }

  /** Call it if the open batch of these cursors could not be written. */
  async failed(cursors: readonly PartitionCursor[], error: unknown): Promise<void> {
    const open = cursors.filter(({ openBlocks }) => openBlocks > 0);
    // Counted per partition: while one is stuck, others may advance.
    const failures = Math.max(0, ...open.map((cursor) => this.#countFailure(cursor)));
    if (failures < failuresBeforeHalving) return;
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
    logger.warn(fields, "a batch can't be written: Tidegate searches for the cause with smaller batches");
    const [cursor] = open;
    if (blocks > 1 || !cursor) return;
    const { key, committed: from, position } = cursor;
    const count = (this.#blocks.get(blockOf(key, position))?.count ?? 0) + 1;
    if (this.#blocks.size >= suspectsMax) this.#blocks.clear();
    this.#blocks.set(blockOf(key, position), { key, from, count });
    if (count <= failuresOfOneBlock) return;
    this.#poison = { key, from, position, error };
    const halted = { code: "BLOCK_POISON", partition: cursor.partition, position, err: error };
    logger.error({ event: "consumer.partition.halted", ...halted }, "a block can't be written");
  }

  /**
   * The messages, with faults set on those that cannot be written. Only two kinds are probed: messages of a
   * block that could not be written alone, and for a while other messages of their topic versions.
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
    // If all rows of a topic fail, do not probe each of them.
    if (isWhole && (await this.#fails(messages, suspected))) {
      const fault = await this.#fails(messages, suspected.slice(0, 1));
      if (fault !== null) for (const index of suspected) found.set(index, fault);
    }
    if (found.size === before) await this.#bisect(messages, suspected, found);
    const failed = found.size - before;
    if (failed === 0) return;
    if (this.#topics.size >= suspectsMax) this.#topics.clear();
    const untilMs = this.#ports.elapsedMs() + suspectMs;
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

  /** Why these messages cannot be written together; null if they can. */
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

/** Halts the partition of a block that cannot be written although each of its rows can. */
function haltUnwritable(cursor: PartitionCursor, position: Position, error: unknown): void {
  const message = `the block at ${position} can't be written, although each of its rows can: ${String(error)}`;
  const resume = poisonResume(cursor.partition);
  const survey = { resumeAfter: position, unaccounted: 0, marks: new Map() };
  const told = { retryAtMs: null, sinceMs: null, isTold: true };
  cursor.halt = { code: "BLOCK_POISON", message, position, resume, survey, ...told };
}

function blockOf(key: string, position: Position): string {
  return `${key}@${position}`;
}

/** A row that a sound writer can always write. */
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
