import { sequenceOfId } from "../../../block/sdk-sequence.ts";
import type { SeedRows } from "../../seed-source.ts";
import { spanStart as startOfSpan } from "../../seeding/seed-span.ts";
import { dedupKeyBytes, type WindowEntries } from "../../window/dedup-window.ts";
import { columnsPart, copyColumns, windowColumns } from "../../window/window-columns.ts";
import type { ConsumerContext } from "../consumer-ports.ts";
import type { ExactIdColumns } from "../ids/exact-id-columns.ts";
import { deviceNumber, expiryOf, filedAtOf } from "../ids/id-facts.ts";

/** Stream time of the oldest row whose id may still be known. */
export function spanStart(context: ConsumerContext, streamTimeMs: number): number {
  return startOfSpan(streamTimeMs, context.topics.longestWindowMs());
}

/**
 * Ids of wanted rows that are still in their window at `streamTimeMs`. Adds the SDK's ids of exact topics to
 * `exact`, whatever their age.
 */
export function windowEntriesOf(
  context: ConsumerContext,
  rows: SeedRows,
  options: {
    readonly streamTimeMs: number;
    readonly isWanted: (row: number) => boolean;
    /** How far the stream time of the row's partition trails, ms. Default: 0. */
    readonly shiftOf?: (row: number) => number;
    readonly exact: ExactIdColumns;
  },
): WindowEntries {
  const windowMs = windowOfTopic(context, rows.topicId);
  const isExact = context.topics.exactTopicIds().has(rows.topicId);
  const columns = windowColumns(rows.length);
  const keys = Buffer.from(columns.keys.buffer);
  let length = 0;
  for (let row = 0; row < rows.length; row++) {
    const streamTimeMs = (rows.streamTimesMs[row] as number) + (options.shiftOf?.(row) ?? 0);
    const expiry = expiryOf(streamTimeMs, windowMs);
    const isLiving = expiry * 1000 > options.streamTimeMs;
    if ((!isLiving && !isExact) || !options.isWanted(row)) continue;
    const id = {
      topicId: rows.topicId,
      deviceId: rows.deviceIds[row] as string,
      messageId: rows.messageIds[row] as Uint8Array,
    };
    const sequence = isExact && !rows.idReused[row] ? sequenceOfId(id.messageId) : null;
    if (sequence !== null) options.exact.add(context.keys, { ...id, sequence, streamTimeMs });
    if (!isLiving) continue;
    const contentHash = rows.contentHashes[row] as number;
    const content = rows.isQuarantined ? { contentHash } : {};
    context.keys.write(keys, length * dedupKeyBytes, { ...id, ...content });
    columns.contentHashes[length] = contentHash;
    columns.expiresAtSeconds[length] = expiry;
    columns.filedAtSeconds[length] = filedAtOf(streamTimeMs);
    columns.devices[length] = deviceNumber(id.deviceId);
    length += 1;
  }
  return columnsPart(columns, 0, length);
}

/**
 * Rows do not tell the version that filed them. The longest window of all versions of the topic keeps every
 * id long enough.
 */
function windowOfTopic(context: ConsumerContext, topicId: string): number {
  let longestMs: number | undefined;
  for (let version = 1; ; version++) {
    const topic = context.topics.version(topicId, version);
    if (!topic) return longestMs ?? context.topics.longestWindowMs();
    longestMs = Math.max(longestMs ?? 0, topic.dedupeWindowMs);
  }
}

export function joinedEntries(chunks: readonly WindowEntries[], exactColumns: ExactIdColumns): WindowEntries {
  const exact = exactColumns.ids();
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const columns = windowColumns(length);
  let start = 0;
  for (const chunk of chunks) {
    copyColumns(columns, chunk, start);
    start += chunk.length;
  }
  return { length, ...columns, ...(exact && { exact }) };
}
