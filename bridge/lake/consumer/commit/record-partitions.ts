import { BridgeError } from "../../../errors.ts";
import { partitionKey, partitionOfKey } from "../../../streams/partition-key.ts";
import { type StreamLog, startPosition } from "../../../streams/stream-log.ts";
import { type LakeState, type Move, noCounters } from "../../commit-log/commit-log.ts";
import { moveOf } from "../../commit-log/past-partitions.ts";
import type { ConsumerContext } from "../consumer-ports.ts";
import { readablePartitions } from "../partitions/readable-partitions.ts";
import { commitBatch } from "./commit-batch.ts";

/**
 * Commits of others in between cause a retry. After this many, the next look records the remaining
 * partitions.
 */
const attemptsMax = 5;

const unread: Move = {
  from: startPosition,
  to: startPosition,
  streamTimeMs: 0,
  producers: {},
  counters: noCounters,
};

/**
 * Records every partition, read or not, of a stream that forgets partitions in time, and resolves with the
 * lake's state. Otherwise a partition that is forgotten before its first read would count as read to its end.
 * `readablePartitions` detects a loss only in partitions that the lake knows. If the lake knows partitions
 * that this process does not know, asks the stream for them first.
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
    const batch = { moves, written: { tables: {} }, base: lake, openedAtMs, isStanding: () => false };
    const committed = await commitBatch(context, batch);
    lake = committed.outcome === "committed" ? committed.lake : await commitLog.load();
  }
  return lake;
}

/**
 * The first move of a partition, with its parents. A partition that the stream has already forgotten has no
 * known parents.
 */
function unreadOf({ partitions }: Pick<StreamLog, "partitions">, partition: number): Move {
  const parents = partitions.all.find((each) => each.partition === partition)?.parents;
  return parents ? { ...unread, parents } : unread;
}

/**
 * If the stream cannot be asked, these partitions wait for the next look, and the others are read meanwhile.
 */
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
      "the stream doesn't answer, so partitions that other gateways have recorded in the lake are not read yet",
    );
  }
}

/**
 * Partitions that the lake does not know: those that the stream shows, and parents that the stream has
 * forgotten since the lake's first record of it.
 *
 * A new lake records all partitions, and numbers only rise. So an unknown parent was forgotten before that in
 * two cases: its number is below all known ones, or the lake knows a child of it. Otherwise the parent began
 * and ended while no consumer ran.
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
