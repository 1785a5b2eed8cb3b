import type { BlockHeader, BlockMessage } from "../block/block-format.ts";
import type { StreamEntry } from "../streams/stream-log.ts";
import { markAfterBlock } from "./check-block.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { judgeBlock } from "./judge-block.ts";
import type { JudgedMessage } from "./judge-message.ts";
import { withOtherReadings } from "./other-readings.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import type { RefusedBlock } from "./refused-block.ts";

export interface TakenBlocks {
  /** Messages to be deduplicated and filed, in order. */
  readonly messages: JudgedMessage[];
  readonly refused: RefusedBlock | null;
}

/** Takes blocks one after another into the cursor, up to the first that can't be. */
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

/** A fault of ours costs the partition, not the process: others go on. Until the block is judged the cursor stays as it is. */
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
    const message = `the block at ${position} can't be read for a fault of Tidegate: ${String(error)}`;
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
    context.logger.warn({ event: `consumer.block.${verdict.kind}`, ...fields }, "dropped a block whole");
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
    // The newest ones stand last.
    cursor.producers.delete(key);
    const { streamTimeMs, clock } = placed;
    cursor.producers.set(key, markAfterBlock(header, { streamTimeMs, block: clock.blocks }));
  }
  return null;
}

/**
 * For how long the block has stood in the stream, ms. Wall clocks are compared here alone; later steps of either change nothing. Redis holds
 * on to the time of a clock that was ahead until it has caught up: the producer's then says more.
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
    "a block was sealed so long before it came that its producer may have been forgotten: what it says was acknowledged is not checked",
  );
}
