import { deviceHash } from "./device-hash.ts";

export interface Partition {
  readonly partition: number;
  /** Those whose place it took: they are read to their end before it. */
  readonly parents: readonly number[];
  /** False once it takes no more blocks, since others have taken its place. */
  readonly isOpen: boolean;
}

/** The partitions of a stream at one time. Those of a stream that is divided anew get numbers that were never used before. */
export interface PartitionMap {
  /** Those that take blocks, and those that may hold some, by number. */
  readonly all: readonly Partition[];
  /** The open partition that takes the device's messages. */
  partitionOfDevice(deviceId: string): number;
  /** Whether the device's messages go to a partition, or went there while it was open. */
  takes(partition: number, deviceId: string): boolean;
}

/** A partition that takes the devices whose hash lies in [firstHash, lastHash]. */
export interface RangePartition extends Partition {
  readonly firstHash: number;
  readonly lastHash: number;
}

/** @param all The open ones divide all hashes between them. */
export function rangePartitions(all: readonly RangePartition[]): PartitionMap {
  const open = all.filter(({ isOpen }) => isOpen).toSorted((left, right) => left.firstHash - right.firstHash);
  const byNumber = new Map(all.map((each) => [each.partition, each]));
  return {
    all: all.toSorted((left, right) => left.partition - right.partition),
    partitionOfDevice(deviceId) {
      const hash = deviceHash(deviceId);
      const found = open.find(({ lastHash }) => hash <= lastHash);
      if (!found) throw new RangeError(`no open partition takes the hash ${hash}`);
      return found.partition;
    },
    takes(partition, deviceId) {
      const hash = deviceHash(deviceId);
      const range = byNumber.get(partition);
      return range !== undefined && range.firstHash <= hash && hash <= range.lastHash;
    },
  };
}

/** Partitions 0 to `count` − 1 that are never divided. */
export function fixedPartitions(count: number): PartitionMap {
  const partitionOfDevice = (deviceId: string) => deviceHash(deviceId) % count;
  return {
    all: Array.from({ length: count }, (_, partition) => ({ partition, parents: [], isOpen: true })),
    partitionOfDevice,
    takes: (partition, deviceId) => partitionOfDevice(deviceId) === partition,
  };
}
