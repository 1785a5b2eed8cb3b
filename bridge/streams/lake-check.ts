import { BridgeError } from "../errors.ts";
import { type LakeState, partitionKey } from "../storage/commit-log.ts";
import { type FixedStreamLog, type Position, START_POSITION } from "./stream-log.ts";

export interface KnownStream {
  readonly streamId: string;
  /** True where an operator started it on purpose beside positions of other streams. */
  readonly record: { readonly startedAnew: boolean };
}

export interface CheckedStream
  extends KnownStream,
    Pick<FixedStreamLog, "partitionCount" | "partitionState" | "comparePositions"> {}

export interface LakeCheck {
  /** Where the stream stands, for people. */
  readonly place: string;
  /** Whether a stream with such positions may have been this one before it was lost. */
  readonly isRival: (committed: Position) => boolean;
  readonly mend: string;
}

/**
 * Compares a stream with what the lake has committed of it; to be called before the first publish is accepted.
 * @param stream null where there is none.
 * @throws BridgeError STREAM_GAP where one of the two was lost, replaced or restored from an older copy: going on would lose
 * acknowledged messages silently, or file new ones at positions the lake holds for filed already.
 */
export async function checkAgainstLake(
  stream: CheckedStream | null,
  lake: LakeState,
  check: LakeCheck,
): Promise<void> {
  checkStreamOfLake(stream, lake, check);
  for (let partition = 0; partition < (stream?.partitionCount ?? 0); partition++)
    if (stream) await checkPartition(stream, partition, lake, check);
}

/** The part that any stream must pass: `checkAgainstLake` for those that don't say how far they go. */
export function checkStreamOfLake(stream: KnownStream | null, lake: LakeState, check: LakeCheck): void {
  const known = rivalsOf(lake, check);
  const names = [...known].join(", ");
  if (known.size === 0 || stream?.record.startedAnew || (stream && known.has(stream.streamId))) return;
  if (!stream) throw gap(`${check.place} is gone, but the lake holds positions of stream ${names}`, check);
  throw gap(
    `the lake holds positions of stream ${names}, but ${check.place} holds stream ${stream.streamId}, of which it knows nothing. If this is the lake of another gateway, name the right one with --lake`,
    check,
  );
}

async function checkPartition(
  stream: CheckedStream,
  partition: number,
  lake: LakeState,
  check: LakeCheck,
): Promise<void> {
  const committed = lake.moves.get(partitionKey(stream.streamId, partition))?.to ?? START_POSITION;
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

function rivalsOf(lake: LakeState, { isRival }: LakeCheck): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const [key, move] of lake.moves) if (isRival(move.to)) ids.add(key.slice(0, key.lastIndexOf("/")));
  return ids;
}

function gap(text: string, { mend }: LakeCheck): BridgeError {
  return new BridgeError("STREAM_GAP", `${text}. ${mend}`, { retryable: false });
}
