import { BridgeError } from "../errors.ts";
import type { CommittedMoves } from "./committed-moves.ts";
import { partitionKey } from "./partition-key.ts";
import { type FixedStreamLog, type Position, startPosition } from "./stream-log.ts";

export interface KnownStream {
  readonly streamId: string;
  /** True if an operator started the stream although the lake held positions of other streams. */
  readonly record: { readonly startedAnew: boolean };
}

export interface CheckedStream
  extends KnownStream,
    Pick<FixedStreamLog, "partitionCount" | "partitionState" | "comparePositions"> {}

export interface LakeCheck {
  /** The place of the stream, for people. */
  readonly place: string;
  /** True if this position may come from this stream before it was lost. */
  readonly isRival: (committed: Position) => boolean;
  readonly mend: string;
}

/**
 * Compares a stream with the lake's commits. Call this before accepting the first publish.
 * @param stream null if there is none.
 * @throws BridgeError STREAM_GAP if stream or lake was lost, replaced or restored from an older copy. To
 * continue would lose acknowledged messages silently, or give new messages positions that the lake takes for
 * filed.
 */
export async function checkAgainstLake(
  stream: CheckedStream | null,
  lake: CommittedMoves,
  check: LakeCheck,
): Promise<void> {
  checkStreamOfLake(stream, lake, check);
  for (let partition = 0; partition < (stream?.partitionCount ?? 0); partition++)
    if (stream) await checkPartition(stream, partition, lake, check);
}

/** The part of `checkAgainstLake` for streams that do not tell their highest position. */
export function checkStreamOfLake(stream: KnownStream | null, lake: CommittedMoves, check: LakeCheck): void {
  const known = rivalsOf(lake, check);
  const names = [...known].join(", ");
  if (known.size === 0 || stream?.record.startedAnew || (stream && known.has(stream.streamId))) return;
  if (!stream) throw gap(`${check.place} is gone, but the lake holds positions of stream ${names}`, check);
  throw gap(
    `the lake holds positions of stream ${names}, but ${check.place} holds stream ${stream.streamId}, which the lake does not know. If this is the lake of another gateway, name the right one with --lake`,
    check,
  );
}

async function checkPartition(
  stream: CheckedStream,
  partition: number,
  lake: CommittedMoves,
  check: LakeCheck,
): Promise<void> {
  const committed = lake.moves.get(partitionKey(stream.streamId, partition))?.to ?? startPosition;
  const { highest, trimmedUpTo } = await stream.partitionState(partition);
  if (stream.comparePositions(highest, committed) < 0)
    throw gap(
      `the lake has committed partition ${partition} up to ${committed}, but the stream ends at "${highest}"`,
      check,
    );
  if (stream.comparePositions(trimmedUpTo, committed) > 0)
    throw gap(
      `the stream was trimmed up to ${trimmedUpTo} in partition ${partition}, but the lake has it only up to "${committed}"`,
      check,
    );
}

function rivalsOf(lake: CommittedMoves, { isRival }: LakeCheck): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const [key, move] of lake.moves) if (isRival(move.to)) ids.add(key.slice(0, key.lastIndexOf("/")));
  return ids;
}

function gap(text: string, { mend }: LakeCheck): BridgeError {
  return new BridgeError("STREAM_GAP", `${text}. ${mend}`, { retryable: false });
}
