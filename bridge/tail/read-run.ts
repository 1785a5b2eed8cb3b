import { BridgeError } from "../errors.ts";
import type { Position, StreamEntry, StreamLog } from "../streams/stream-log.ts";
import type { RefusedBlock } from "./refused-block.ts";
import { stateOrNull } from "./state-or-null.ts";

/**
 * Time between retries of a partition that ends before its committed position, if the stream says that the
 * gap may pass.
 */
const endedRetryMs = 5000;

/** What reading depends on: neither deduplication nor filing. */
export interface ReadingPorts {
  readonly stream: Pick<StreamLog, "read" | "partitionState" | "comparePositions">;
  readonly config: { readonly readMaxBytes: number };
}

export interface ReadingPlace {
  readonly partition: number;
  readonly position: Position;
}

export interface Run {
  readonly entries: readonly StreamEntry[];
  /**
   * True if the read ended at the end of the stream, not at its limits. A block that does not fit is left
   * for the next read.
   */
  readonly isTail: boolean;
}

/** The next blocks of a partition after the reader's position, or why they can't be read. */
export async function readRun(
  context: ReadingPorts,
  cursor: ReadingPlace,
  maxEntries: number,
): Promise<Run | RefusedBlock> {
  const { readMaxBytes: maxBytes } = context.config;
  const { partition, position } = cursor;
  const entries = await readOrGap(context, cursor, { maxBytes, maxEntries });
  if (Array.isArray(entries)) {
    const bytes = entries.reduce((sum, { block }) => sum + block.length, 0);
    return { entries, isTail: entries.length < maxEntries && bytes < maxBytes / 2 };
  }
  // The gap may lie further on, so the blocks before it are read one by one.
  const first = await readOrGap(context, cursor, { maxBytes, maxEntries: 1 });
  if (Array.isArray(first)) return { entries: first, isTail: false };
  const message = `the stream has lost blocks of partition ${partition} after ${position || "its start"}`;
  const resumeAfter = await resumePosition(context, cursor, first);
  const retry = first.retryable ? { retryInMs: endedRetryMs } : {};
  return { code: "STREAM_GAP", message, position, resumeAfter, ...retry };
}

async function readOrGap(
  context: ReadingPorts,
  cursor: ReadingPlace,
  limits: { maxBytes: number; maxEntries: number },
): Promise<StreamEntry[] | BridgeError> {
  try {
    return await context.stream.read(cursor.partition, cursor.position, limits);
  } catch (error) {
    if (error instanceof BridgeError && error.code === "STREAM_GAP") return error;
    throw error;
  }
}

/** The position after which reading works again; null if the stream does not know. */
async function resumePosition(
  context: ReadingPorts,
  cursor: ReadingPlace,
  gap: BridgeError,
): Promise<Position | null> {
  const { resumeAfter } = gap.details;
  if (typeof resumeAfter === "string") return resumeAfter;
  const state = await stateOrNull(context.stream, cursor.partition);
  for (const position of state ? [state.trimmedUpTo, state.highest] : [])
    if (position !== null && context.stream.comparePositions(position, cursor.position) > 0) return position;
  return null;
}
