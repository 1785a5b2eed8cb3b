import { BridgeError } from "../errors.ts";
import {
  type LakeState,
  type Move,
  noCounters,
  partitionKey,
  partitionOfKey,
} from "../storage/commit-log.ts";
import { moveOf } from "../storage/past-partitions.ts";
import { START_POSITION, type StreamLog } from "../streams/stream-log.ts";
import { commitBatch } from "./commit-batch.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { readablePartitions } from "./readable-partitions.ts";

/** Rivals that commit in between are seen; who meets more of them than this leaves the rest for the next look. */
const attemptsMax = 5;

const unread: Move = {
  from: START_POSITION,
  to: START_POSITION,
  streamTimeMs: 0,
  producers: {},
  counters: noCounters,
};

/**
 * The lake's state, once it knows every partition of a stream that forgets them in time, read or not. Without that, one that is forgotten
 * before anything of it was read would count as read to its end: `readablePartitions` finds a loss only in what the lake knows.
 * If other processes told the lake of partitions that this one does not know, it asks the stream for them first.
 */
export async function recordPartitions(context: ConsumerContext): Promise<LakeState> {
  const { stream, commitLog, elapsedMs } = context;
  let lake = await commitLog.load();
  const { unheard } = readablePartitions(stream, lake);
  if (unheard.length > 0) await hearOfPartitions(context, unheard);
  if (stream.retentionMs === undefined) return lake;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const unknown = unknownPartitions(stream, lake);
    if (unknown.length === 0) return lake;
    const moves = Object.fromEntries(
      unknown.map((partition) => [partitionKey(stream.streamId, partition), unreadOf(stream, partition)]),
    );
    const openedAtMs = elapsedMs();
    const batch = { moves, tables: new Map(), base: lake, openedAtMs, isStanding: () => false };
    const committed = await commitBatch(context, batch);
    lake = committed.outcome === "committed" ? committed.lake : await commitLog.load();
  }
  return lake;
}

/** With those whose place it took; one that the stream has forgotten already has none that anybody knows. */
function unreadOf({ partitions }: Pick<StreamLog, "partitions">, partition: number): Move {
  const parents = partitions.all.find((each) => each.partition === partition)?.parents;
  return parents ? { ...unread, parents } : unread;
}

/** If the stream can't be asked now, those partitions wait for the next look. The others are read meanwhile. */
async function hearOfPartitions(
  { stream, logger }: Pick<ConsumerContext, "stream" | "logger">,
  unheard: readonly number[],
): Promise<void> {
  try {
    await stream.refreshPartitions();
  } catch (error) {
    if (!(error instanceof BridgeError) || !error.retryable) throw error;
    const fields = {
      event: "consumer.partitions.unheard",
      code: error.code,
      partitions: unheard,
      err: error,
    };
    logger.warn(
      fields,
      "the stream can't be asked for partitions that other gateways have recorded in the lake; they are not read until it can",
    );
  }
}

/**
 * Partitions that the lake does not know: those that the stream shows, and those that it has forgotten since the lake began with it. When a
 * lake begins, it gets to know all that there are, and numbers only rise. So a parent that neither of them knows was forgotten before if its
 * number is below all that the lake knows, or if the lake knows a child of it; otherwise it came and went while no consumer ran.
 */
export function unknownPartitions(
  { streamId, partitions }: Pick<StreamLog, "streamId" | "partitions">,
  lake: LakeState,
): number[] {
  const isInLake = (partition: number) => moveOf(lake, partitionKey(streamId, partition)) !== undefined;
  const moved = [...lake.moves.keys()]
    .map(partitionOfKey)
    .flatMap((of) => (of.streamId === streamId ? [of.partition] : []));
  const past = lake.past.get(streamId)?.ranges.map(([first]) => first) ?? [];
  const lowest = Math.min(...moved, ...past);
  const fresh = partitions.all.filter(({ partition }) => !isInLake(partition));
  const parentsOfKnown = new Set(
    partitions.all.flatMap(({ partition, parents }) => (isInLake(partition) ? parents : [])),
  );
  const missed = fresh
    .flatMap(({ parents }) => parents)
    .filter((parent) => parent > lowest && !isInLake(parent) && !parentsOfKnown.has(parent));
  const all = new Set([...fresh.map(({ partition }) => partition), ...missed]);
  return [...all].toSorted((left, right) => left - right);
}
