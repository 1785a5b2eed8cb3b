import { type LakeState, type Move, partitionKey, partitionOfKey } from "../storage/commit-log.ts";
import { isPast, moveOf } from "../storage/past-partitions.ts";
import type { Partition } from "../streams/partition-map.ts";
import { END_POSITION, type StreamLog } from "../streams/stream-log.ts";
import { type PartitionStart, partitionsOfStreamBefore, startAfter } from "./partition-start.ts";

type DividedStream = Pick<StreamLog, "streamId" | "partitions">;

/** What there is to read, and what has to wait. */
export interface ReadablePartitions {
  /** Those that the lake does not hold to their end, and all of whose parents it does. */
  readonly readable: readonly number[];
  /** Parents come first, so that what a device sent stays in order. */
  readonly waiting: readonly number[];
  /** Another process recorded them in the lake, and this one does not know them yet, nor whose place they took. */
  readonly unheard: readonly number[];
}

export function readablePartitions(stream: DividedStream, lake: LakeState): ReadablePartitions {
  const { all } = stream.partitions;
  const known = new Set(all.map(({ partition }) => partition));
  const newest = Math.max(...known);
  const unknown = unfinishedOf(stream, lake).filter((partition) => !known.has(partition));
  // Numbers only rise, and a stream never forgets its newest partition: it is open.
  const unheard = unknown.filter((partition) => partition > newest);
  // The stream has forgotten them with what was not read of them: reading says so, and nothing may pass them by.
  const forgotten = unknown.filter((partition) => partition < newest);
  const isFinished = (partition: number) => {
    const move = moveOf(lake, partitionKey(stream.streamId, partition));
    return move ? move.to === END_POSITION : !known.has(partition);
  };
  const unfinished = all.filter(({ partition }) => !isFinished(partition));
  const [readable, waiting] = [true, false].map((wanted) =>
    unfinished
      .filter(({ parents }) => parents.every(isFinished) === wanted)
      .map(({ partition }) => partition),
  ) as [number[], number[]];
  return { readable: [...forgotten, ...readable].toSorted((left, right) => left - right), waiting, unheard };
}

/** Those that the lake holds to their end; of those that are past, the ones that a process which knows this stream may know. */
export function finishedPartitions({ streamId, partitions }: DividedStream, lake: LakeState): number[] {
  const past = partitions.all.flatMap(({ partition }) =>
    isPast(lake, partitionKey(streamId, partition)) ? [partition] : [],
  );
  const ended = [...lake.moves].flatMap(([key, move]) => {
    const of = partitionOfKey(key);
    return of.streamId === streamId && move.to === END_POSITION ? [of.partition] : [];
  });
  return [...past, ...ended];
}

/** What a partition that was never read goes on from: those whose place it took. */
export interface Inheritance {
  readonly ancestors: ReadonlySet<number>;
  readonly parents: readonly (readonly [partition: number, move: Move])[];
  /** Where its stream time begins; null = with its first block. */
  readonly start: PartitionStart | null;
}

export function inheritanceOf(stream: DividedStream, lake: LakeState, partition: number): Inheritance {
  const byNumber = new Map(stream.partitions.all.map((each) => [each.partition, each]));
  const parents = (byNumber.get(partition)?.parents ?? []).flatMap((parent) => {
    const move = lake.moves.get(partitionKey(stream.streamId, parent));
    return move ? [[parent, move] as const] : [];
  });
  const before =
    parents.length === 0
      ? partitionsOfStreamBefore(stream.streamId, lake)
      : parents.map(([parent, move]) => [partitionKey(stream.streamId, parent), move] as const);
  return { ancestors: ancestorsOf(byNumber, partition), parents, start: startAfter(before, lake) };
}

function ancestorsOf(byNumber: ReadonlyMap<number, Partition>, partition: number): Set<number> {
  const ancestors = new Set<number>();
  const open = [...(byNumber.get(partition)?.parents ?? [])];
  for (let parent = open.pop(); parent !== undefined; parent = open.pop()) {
    if (ancestors.has(parent)) continue;
    ancestors.add(parent);
    open.push(...(byNumber.get(parent)?.parents ?? []));
  }
  return ancestors;
}

function unfinishedOf({ streamId }: DividedStream, lake: LakeState): number[] {
  return [...lake.moves].flatMap(([key, move]) => {
    const of = partitionOfKey(key);
    return of.streamId === streamId && move.to !== END_POSITION ? [of.partition] : [];
  });
}
