import { deviceHash } from "./device-hash.ts";

export interface Partition {
  readonly partition: number;
  /** The partitions that this one replaced. They are read to their end first. */
  readonly parents: readonly number[];
  /** False once the partition is closed, because others replaced it. */
  readonly isOpen: boolean;
}

/**
 * The partitions of a stream at one time. After a reshard, new partitions get numbers that were never used
 * before.
 */
export interface PartitionMap {
  /** Open partitions, and closed ones that may still hold blocks, ordered by number. */
  readonly all: readonly Partition[];
  /** The open partition that takes the device's messages. */
  partitionOfDevice(deviceId: string): number;
  /** True if the device's messages go to the partition, or went there while it was open. */
  takes(partition: number, deviceId: string): boolean;
}

/** A partition of the devices whose hash lies in [firstHash, lastHash]. */
export interface RangePartition extends Partition {
  readonly firstHash: number;
  readonly lastHash: number;
}

/** @param all The open partitions together cover all hashes, without overlap. */
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
