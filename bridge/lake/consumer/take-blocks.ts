import type { BlockHeader, BlockMessage } from "../../block/block-format.ts";
import type { StreamEntry } from "../../streams/stream-log.ts";
import { markAfterBlock } from "../../tail/check-block.ts";
import { judgeBlock } from "../../tail/judge-block.ts";
import type { JudgedMessage } from "../../tail/judge-message.ts";
import type { RefusedBlock } from "../../tail/refused-block.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { withOtherReadings } from "./other-readings.ts";
import type { PartitionCursor } from "./partitions/partition-cursor.ts";

export interface TakenBlocks {
  /** Messages to deduplicate and file, in order. */
  readonly messages: JudgedMessage[];
  readonly refused: RefusedBlock | null;
}

/** Takes blocks into the cursor, up to the first refused one. */
export function takeBlocks(
  context: ConsumerContext,
  cursor: PartitionCursor,
  entries: readonly StreamEntry[],
): TakenBlocks {
  const messages: JudgedMessage[] = [];
  for (const entry of entries) {
    const before = messages.length;
    const refused = takeOrRefuse(context, cursor, entry, messages);
    if (!refused) continue;
    messages.length = before;
    return { messages, refused };
  }
  return { messages, refused: null };
}

/**
 * A fault of Tidegate halts the partition, not the process, and other partitions continue. The cursor does
 * not change before the block is judged.
 */
function takeOrRefuse(
  context: ConsumerContext,
  cursor: PartitionCursor,
  entry: StreamEntry,
  messages: JudgedMessage[],
): RefusedBlock | null {
  try {
    return takeBlock(context, cursor, entry, messages);
  } catch (error) {
    const { position } = entry;
    const message = `the block at ${position} can't be read because of a fault in Tidegate: ${String(error)}`;
    return { code: "BLOCK_POISON", message, position, resumeAfter: position, cause: error };
  }
}

function takeBlock(
  context: ConsumerContext,
  cursor: PartitionCursor,
  entry: StreamEntry,
  messages: JudgedMessage[],
): RefusedBlock | null {
  if (entry.isEnd) {
    cursor.position = entry.position;
    return null;
  }
  const judged = judgeBlock(context, cursor, entry);
  if ("code" in judged) return judged;
  const { block, key, verdict, placed, place } = judged;
  const { header } = block;
  for (const [index, message] of judged.messages.entries()) {
    const from = { message: block.messages[index] as BlockMessage, index, place };
    messages.push(withOtherReadings(context, cursor, message, from));
  }
  if (verdict.kind === "forgotten") tellForgotten(context, cursor, entry, header);
  else if (verdict.kind !== "fresh") {
    cursor.counters[verdict.kind] += header.messageCount;
    const fields = { partition: cursor.partition, position: entry.position, messages: header.messageCount };
    context.logger.warn({ event: `consumer.block.${verdict.kind}`, ...fields }, "a whole block was dropped");
  }
  const appendedAtMs = context.elapsedMs() - ageOf(entry, header, context.now());
  if (!cursor.hasMoved) cursor.filedUpTo(appendedAtMs);
  cursor.counters.read += header.messageCount;
  cursor.position = entry.position;
  cursor.readUpToMs = appendedAtMs;
  cursor.streamTimeMs = placed.streamTimeMs;
  cursor.clock = placed.clock;
  cursor.openBytes += entry.block.length;
  cursor.openBlocks += 1;
  if (verdict.kind !== "resent") {
    // Keep the newest producers last.
    cursor.producers.delete(key);
    const { streamTimeMs, clock } = placed;
    cursor.producers.set(key, markAfterBlock(header, { streamTimeMs, block: clock.blocks }));
  }
  return null;
}

/**
 * How long the block has been in the stream, ms. Only here are wall clocks compared; their later steps have
 * no effect. If a Redis server's clock was ahead, its stamps stand still until it has caught up; then the
 * producer's stamp is more accurate.
 */
function ageOf({ appendTimeMs }: StreamEntry, { time }: BlockHeader, nowMs: number): number {
  const sinceMs = appendTimeMs > nowMs && time ? time.wallMs : appendTimeMs;
  return Math.max(0, nowMs - sinceMs);
}

function tellForgotten(
  context: ConsumerContext,
  cursor: PartitionCursor,
  { position }: StreamEntry,
  { producerId, acknowledgedMessages }: BlockHeader,
): void {
  context.metrics.forgottenProducer();
  const fields = { partition: cursor.partition, position, producerId, acknowledgedMessages };
  context.logger.warn(
    { event: "consumer.producer.forgotten", ...fields },
    "a block is so old that its producer may have been forgotten: its claims are not checked",
  );
}
