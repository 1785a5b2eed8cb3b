import { type StreamEntry, startPosition } from "../../streams/stream-log.ts";
import { acceptGapCommand, type PartitionHalt, poisonResume } from "../../tail/partition-halt.ts";
import { readRun } from "../../tail/read-run.ts";
import type { RefusedBlock } from "../../tail/refused-block.ts";
import { moveOf } from "../commit-log/past-partitions.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { fileMessages } from "./dedupe/file-messages.ts";
import { surveyGap } from "./gaps/survey-gap.ts";
import type { PartitionCursor } from "./partitions/partition-cursor.ts";
import { type TakenBlocks, takeBlocks } from "./take-blocks.ts";

/** How often to look for an unknown topic version. */
const topicRetryMs = 1000;
/**
 * A halt that resumes by itself counts as a fault, and is logged, if it lasts longer. A topic version is in
 * the lake before any broker uses it, and a stream that may show its end again does so within seconds.
 */
const toldAfterMs = 10_000;
/**
 * `idle`: nothing to read. `tail`: read all that there was. `progress`: read so much that there may be more.
 * `superseded`: a recovery is necessary first.
 */
export type ReadOutcome = "idle" | "tail" | "progress" | "superseded";

/** Reads one run of blocks into the open batch. If a block is refused, halts this partition only. */
export async function readPartition(
  context: ConsumerContext,
  cursor: PartitionCursor,
  limits: {
    readonly maxEntries: number;
    /** Called before blocks are decoded. */
    readonly beforeTaking: (entries: readonly StreamEntry[]) => Promise<void>;
    /** Called if none of the blocks was taken. */
    readonly nothingTaken: () => Promise<void>;
  },
): Promise<ReadOutcome> {
  const run = await readRun(context, cursor, limits.maxEntries);
  if ("code" in run) return halt(context, cursor, run);
  const { entries, isTail } = run;
  cursor.isCaughtUp = entries.length === 0;
  if (cursor.isCaughtUp) {
    goOn(context, cursor);
    return "idle";
  }
  const from = cursor.position;
  await limits.beforeTaking(entries);
  const taken = await takeKnown(context, cursor, entries);
  if (cursor.position === from) await limits.nothingTaken();
  if (taken.messages.length > 0) {
    context.checks.settle(taken.messages);
    const outcome = await fileMessages(context, cursor, taken.messages);
    if (outcome === "superseded") return outcome;
    await context.readings.refreshIfBehind(context.elapsedMs());
  }
  if (taken.refused) {
    if ((await halt(context, cursor, taken.refused)) === "superseded") return "superseded";
  } else goOn(context, cursor);
  if (cursor.position === from) return "idle";
  return isTail ? "tail" : "progress";
}

/**
 * Topics are created while gateways run, so an unknown version is looked up in the lake before the partition
 * halts.
 */
async function takeKnown(
  context: ConsumerContext,
  cursor: PartitionCursor,
  entries: readonly StreamEntry[],
): Promise<TakenBlocks> {
  const { messages, refused } = takeBlocks(context, cursor, entries);
  if (refused?.code !== "TOPIC_UNKNOWN") return { messages, refused };
  await context.topics.refresh();
  const at = entries.findIndex(({ position }) => position === refused.position);
  const more = takeBlocks(context, cursor, entries.slice(at));
  return { messages: [...messages, ...more.messages], refused: more.refused };
}

async function halt(
  context: ConsumerContext,
  cursor: PartitionCursor,
  refused: RefusedBlock,
): Promise<"idle" | "superseded"> {
  const { code, message, position, resumeAfter } = refused;
  // If an owner slept while another one committed and trimmed, the stream seems to have lost blocks.
  if (code !== "TOPIC_UNKNOWN" && (await isSuperseded(context, cursor))) return "superseded";
  const survey = resumeAfter === null ? null : await surveyGap(context.stream, cursor, resumeAfter);
  const retryInMs = code === "TOPIC_UNKNOWN" ? topicRetryMs : refused.retryInMs;
  const retryAtMs = retryInMs === undefined ? null : context.elapsedMs() + retryInMs;
  const resume = resumeOf(cursor, refused);
  const before = cursor.halt?.code === code && cursor.halt.resume === resume ? cursor.halt : null;
  const nowMs = context.elapsedMs();
  const sinceMs = before?.sinceMs ?? nowMs;
  const isTold = retryAtMs === null || nowMs - sinceMs >= toldAfterMs;
  cursor.halt = {
    code,
    message,
    position,
    resume,
    survey,
    retryAtMs,
    sinceMs,
    isTold,
  } satisfies PartitionHalt;
  if (!isTold || before?.isTold) return "idle";
  const { partition } = cursor;
  const fields = { code, partition, position, unaccounted: survey?.unaccounted, resume, err: refused.cause };
  context.logger.error({ event: "consumer.partition.halted", ...fields }, message);
  return "idle";
}

function goOn({ logger }: ConsumerContext, cursor: PartitionCursor): void {
  const { halt, partition } = cursor;
  cursor.halt = null;
  if (halt?.isTold)
    logger.info(
      { event: "consumer.partition.resumed", code: halt.code, partition },
      "the partition is read again",
    );
}

async function isSuperseded(context: ConsumerContext, cursor: PartitionCursor): Promise<boolean> {
  const lake = await context.commitLog.reload();
  return (moveOf(lake, cursor.key)?.to ?? startPosition) !== cursor.committed;
}

function resumeOf(cursor: PartitionCursor, { code, resumeAfter }: RefusedBlock): string {
  switch (code) {
    case "BLOCK_VERSION":
      return "upgrade Tidegate and restart it";
    case "TOPIC_UNKNOWN":
      return "resumes by itself once the topic version is in the lake's _topics folder. If the stream was written for another lake, give this lake a stream of its own";
    case "BLOCK_POISON":
      return poisonResume(cursor.partition);
    case "STREAM_GAP":
    case "BLOCK_CORRUPT":
    case "BLOCK_FOREIGN":
      return resumeAfter === null
        ? "restore the stream from a copy; or stop its gateways, give up the missing messages with `tidegate stream new`, and start the gateways again"
        : acceptGapCommand(cursor.partition);
    default:
      return code satisfies never;
  }
}
