import { randomUUID } from "node:crypto";
import { type LakeState, type Move, partitionOfKey } from "../storage/commit-log.ts";
import type { SeedRows } from "../storage/seed-source.ts";
import { END_POSITION, type Position } from "../streams/stream-log.ts";
import { DEDUP_KEY_BYTES, type WindowEntries } from "../window/dedup-window.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { ExactIdColumns, sequenceOfId } from "./exact-id-columns.ts";
import { expiryOf } from "./file-messages.ts";
import type { PartitionCursor } from "./partition-cursor.ts";

/** A window further behind than this is seeded anew: that reads the files once, re-applying reads them once per commit. */
const REAPPLIED_COMMITS_MAX = 8;
/** How far back in the log the window's position is looked for. */
const SEARCHED_COMMITS_MAX = 256;

type CommittedMove = Move & { readonly number: number };

/**
 * Brings the window of one partition to its committed position: re-applies the commits that it lacks, or clears and seeds it from the
 * lake's files. False: somebody else worked on it meanwhile, or the lake moved on.
 */
export async function restoreWindow(
  context: ConsumerContext,
  cursor: PartitionCursor,
  lake: LakeState,
): Promise<boolean> {
  const applied = await context.window.applied(cursor.partition, cursor.committed);
  if (applied === cursor.committed) return true;
  const missed = applied === null ? null : await commitsAfter(context, cursor, lake, applied);
  const startMs = missed?.[0] ? await startOf(context, cursor, missed[0]) : null;
  if (missed === null || startMs === null) return seed(context, cursor, lake);
  context.metrics.windowRestored("reapplied");
  const fields = {
    partition: cursor.partition,
    applied,
    committed: cursor.committed,
    commits: missed.length,
  };
  context.logger.info({ event: "consumer.window.reapply", ...fields }, "the window lacks committed ids");
  for (const [index, move] of missed.entries())
    if (!(await reapply(context, cursor, { move, sinceMs: missed[index - 1]?.streamTimeMs ?? startMs })))
      return false;
  return true;
}

/** The moves from `applied` to the committed position, in order; null where they are too many or not to be found. */
async function commitsAfter(
  context: ConsumerContext,
  cursor: PartitionCursor,
  lake: LakeState,
  applied: Position,
): Promise<CommittedMove[] | null> {
  const moves: CommittedMove[] = [];
  const lowest = Math.max(1, lake.number - SEARCHED_COMMITS_MAX);
  for (let number = lake.number; number >= lowest; number--) {
    const entry = await context.commitLog.entry(number);
    if (entry === null) return null;
    const move = entry.moves[cursor.key];
    if (!move) continue;
    // An accepted gap may leave the position where it was; there is nothing to apply.
    if (move.from !== move.to) moves.unshift({ ...move, number });
    if (moves.length > REAPPLIED_COMMITS_MAX) return null;
    if (move.from === applied && move.from !== move.to) return moves;
  }
  return null;
}

/**
 * Ingest time of the oldest row of a commit that its re-applying needs: of exact topics that is the oldest row of all, and a batch may
 * hold more of stream time than the window lasts. null where the log has forgotten the commit before.
 */
async function startOf(
  context: ConsumerContext,
  cursor: PartitionCursor,
  { streamTimeMs, previousCommit }: CommittedMove,
): Promise<number | null> {
  if (context.topics.exactTopicIds().size === 0) return spanStart(context, streamTimeMs);
  if (!previousCommit) return 0;
  const before = await context.commitLog.entry(previousCommit);
  return before?.moves[cursor.key]?.streamTimeMs ?? null;
}

async function reapply(
  context: ConsumerContext,
  cursor: PartitionCursor,
  step: { move: CommittedMove; sinceMs: number },
): Promise<boolean> {
  const { window, stream } = context;
  const { from, to, streamTimeMs, number } = step.move;
  const isOfStep = ({ positions }: SeedRows, row: number) => {
    const position = positions[row] as Position;
    return stream.comparePositions(from, position) < 0 && stream.comparePositions(position, to) <= 0;
  };
  const chunks: WindowEntries[] = [];
  const { sinceMs } = step;
  const query = { streamId: stream.streamId, partition: cursor.partition, sinceMs, upToCommit: number };
  const exact = new ExactIdColumns();
  for await (const rows of context.seeds.rows(query))
    chunks.push(entriesOf(context, rows, { streamTimeMs, isWanted: isOfStep, exact }));
  return window.apply(cursor.partition, { from, to, streamTimeMs }, joined(chunks, exact));
}

async function seed(context: ConsumerContext, cursor: PartitionCursor, lake: LakeState): Promise<boolean> {
  const { window, logger } = context;
  const { partition, committed, streamTimeMs } = cursor;
  const token = randomUUID();
  const startedAtMs = context.now();
  let ids = 0;
  let chunks = 0;
  const wholeTopics = context.topics.exactTopicIds();
  await window.beginSeed(partition, token);
  const add = async (entries: WindowEntries) => {
    ids += Math.max(entries.length, entries.exact?.length ?? 0);
    return window.seed(partition, token, chunks++, entries);
  };
  for (const source of seedSourcesOf(context, cursor, lake))
    for await (const rows of context.seeds.rows({ ...source.query, upToCommit: lake.number, wholeTopics })) {
      const exact = new ExactIdColumns();
      const entries = entriesOf(context, rows, { streamTimeMs, isWanted: source.isWanted, exact });
      if (!(await add(joined([entries], exact)))) return false;
    }
  if (!(await window.endSeed(partition, token, { chunks, applied: committed, streamTimeMs }))) return false;
  context.metrics.windowRestored("seeded");
  const fields = { partition, applied: committed, ids, durationMs: context.now() - startedAtMs };
  logger.info({ event: "consumer.window.seeded", ...fields }, "the window was seeded from the lake");
  return true;
}

interface SeedPart {
  readonly query: { readonly streamId: string; readonly partition: number; readonly sinceMs: number };
  readonly isWanted: (rows: SeedRows, row: number) => boolean;
}

/**
 * Where the ids of a partition's window stand: in its own rows, and in those of other streams whose time reaches into its span: after a
 * new stream was started, devices send again what the old one had taken. Of these, and of partitions of this stream that took no more
 * (of which this one's ancestors are some), the devices that are in this partition now. Exact topics have no span: all their rows,
 * whatever the stream.
 */
function seedSourcesOf(context: ConsumerContext, cursor: PartitionCursor, lake: LakeState): SeedPart[] {
  const { streamId, partitions } = context.stream;
  const isOurs = (rows: SeedRows, row: number) =>
    partitions.takes(cursor.partition, rows.deviceIds[row] as string);
  const hasExact = context.topics.exactTopicIds().size > 0;
  return [...lake.moves].flatMap(([key, move]): SeedPart[] => {
    const sinceMs = spanStart(context, cursor.streamTimeMs || move.streamTimeMs);
    const query = { ...partitionOfKey(key), sinceMs };
    if (key === cursor.key) return [{ query, isWanted: () => true }];
    const isPast = move.streamTimeMs < sinceMs && !hasExact;
    const isOfOthers = query.streamId === streamId && move.to !== END_POSITION;
    if (isOfOthers || isPast) return [];
    return [{ query, isWanted: isOurs }];
  });
}

/** Ingest time of the oldest row whose id may still be known: expiries are rounded up to whole seconds. */
function spanStart(context: ConsumerContext, streamTimeMs: number): number {
  return streamTimeMs - context.topics.longestWindowMs() - 1000;
}

/** The ids of rows that are still in their window at `streamTimeMs`; `exact` is given those of the SDK in exact topics, whatever their time. */
function entriesOf(
  context: ConsumerContext,
  rows: SeedRows,
  options: { streamTimeMs: number; isWanted: SeedPart["isWanted"]; exact: ExactIdColumns },
): WindowEntries {
  const windowMs = windowOfTopic(context, rows.topicId);
  const isExact = context.topics.exactTopicIds().has(rows.topicId);
  const keys = Buffer.alloc(rows.length * DEDUP_KEY_BYTES);
  const payloadHashes = new Uint32Array(rows.length);
  const expiresAtSeconds = new Uint32Array(rows.length);
  let length = 0;
  for (let row = 0; row < rows.length; row++) {
    const expiry = expiryOf(rows.ingestTimesMs[row] as number, windowMs);
    const isLiving = expiry * 1000 > options.streamTimeMs;
    if ((!isLiving && !isExact) || !options.isWanted(rows, row)) continue;
    const id = {
      topicId: rows.topicId,
      deviceId: rows.deviceIds[row] as string,
      messageId: rows.messageIds[row] as Uint8Array,
    };
    const sequence = isExact && !rows.idReused[row] ? sequenceOfId(id.messageId) : null;
    const ingestTimeMs = rows.ingestTimesMs[row] as number;
    if (sequence !== null) options.exact.add(context.keys, { ...id, sequence, ingestTimeMs });
    if (!isLiving) continue;
    const payloadHash = rows.payloadHashes[row] as number;
    const reused = rows.idReused[row] ? { reusedPayloadHash: payloadHash } : {};
    context.keys.write(keys, length * DEDUP_KEY_BYTES, { ...id, ...reused });
    payloadHashes[length] = payloadHash;
    expiresAtSeconds[length] = expiry;
    length += 1;
  }
  return {
    length,
    keys: keys.subarray(0, length * DEDUP_KEY_BYTES),
    payloadHashes: payloadHashes.subarray(0, length),
    expiresAtSeconds: expiresAtSeconds.subarray(0, length),
  };
}

/** Rows do not say which version filed them: the longest window that any version of the topic has keeps every id long enough. */
function windowOfTopic(context: ConsumerContext, topicId: string): number {
  let longestMs: number | undefined;
  for (let version = 1; ; version++) {
    const topic = context.topics.version(topicId, version);
    if (!topic) return longestMs ?? context.topics.longestWindowMs();
    longestMs = Math.max(longestMs ?? 0, topic.dedupeWindowMs);
  }
}

function joined(chunks: readonly WindowEntries[], exactColumns: ExactIdColumns): WindowEntries {
  const exact = exactColumns.ids();
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const keys = new Uint8Array(length * DEDUP_KEY_BYTES);
  const payloadHashes = new Uint32Array(length);
  const expiresAtSeconds = new Uint32Array(length);
  let start = 0;
  for (const chunk of chunks) {
    keys.set(chunk.keys, start * DEDUP_KEY_BYTES);
    payloadHashes.set(chunk.payloadHashes, start);
    expiresAtSeconds.set(chunk.expiresAtSeconds, start);
    start += chunk.length;
  }
  return { length, keys, payloadHashes, expiresAtSeconds, ...(exact && { exact }) };
}
