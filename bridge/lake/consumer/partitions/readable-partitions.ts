import { partitionKey, partitionOfKey } from "../../../streams/partition-key.ts";
import type { Partition } from "../../../streams/partition-map.ts";
import { endPosition, type StreamLog } from "../../../streams/stream-log.ts";
import type { LakeState, Move } from "../../commit-log/commit-log.ts";
import { isPast, moveOf } from "../../commit-log/past-partitions.ts";
import { type PartitionStart, partitionsOfStreamBefore, startAfter } from "./partition-start.ts";

type DividedStream = Pick<StreamLog, "streamId" | "partitions">;

/** Partitions that can be read, and those that have to wait. */
export interface ReadablePartitions {
  /** Not read to their end, and all of their parents are. */
  readonly readable: readonly number[];
  /** Their parents are read first, so that messages of a device stay in order. */
  readonly waiting: readonly number[];
  /** Recorded in the lake by another process; this process knows neither them nor their parents yet. */
  readonly unheard: readonly number[];
}

export function readablePartitions(stream: DividedStream, lake: LakeState): ReadablePartitions {
  const { all } = stream.partitions;
  const known = new Set(all.map(({ partition }) => partition));
  const newest = Math.max(...known);
  const unknown = unfinishedOf(stream, lake).filter((partition) => !known.has(partition));
  // Numbers only rise, and a stream never forgets its newest partition, because it is open.
  const unheard = unknown.filter((partition) => partition > newest);
  // The stream has forgotten these partitions with their unread blocks. Reading them reports the loss; they
  // must not be skipped.
  const forgotten = unknown.filter((partition) => partition < newest);
  const isFinished = (partition: number) => {
    const move = moveOf(lake, partitionKey(stream.streamId, partition));
    return move ? move.to === endPosition : !known.has(partition);
  };
  const unfinished = all.filter(({ partition }) => !isFinished(partition));
  const [readable, waiting] = [true, false].map((wanted) =>
    unfinished
      .filter(({ parents }) => parents.every(isFinished) === wanted)
      .map(({ partition }) => partition),
  ) as [number[], number[]];
  return { readable: [...forgotten, ...readable].toSorted((left, right) => left - right), waiting, unheard };
}

/** Partitions that are read to their end. Of past partitions, only those that this stream still shows. */
export function finishedPartitions({ streamId, partitions }: DividedStream, lake: LakeState): number[] {
  const past = partitions.all.flatMap(({ partition }) =>
    isPast(lake, partitionKey(streamId, partition)) ? [partition] : [],
  );
  const ended = [...lake.moves].flatMap(([key, move]) => {
    const of = partitionOfKey(key);
    return of.streamId === streamId && move.to === endPosition ? [of.partition] : [];
  });
  return [...past, ...ended];
}

/** What a new partition takes over from its predecessors. */
export interface Inheritance {
  readonly ancestors: ReadonlySet<number>;
  readonly parents: readonly (readonly [partition: number, move: Move])[];
  /** Start of its stream time; null = at its first block. */
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
    return of.streamId === streamId && move.to !== endPosition ? [of.partition] : [];
  });
}
