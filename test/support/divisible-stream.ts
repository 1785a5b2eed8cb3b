import { ConsumerHarness, json } from "./consumer-harness.ts";

/** Like Kinesis: partitions are split and merged, and deleted after some time. */
export function divisible(partitionCount = 1): ConsumerHarness {
  const harness = new ConsumerHarness({ partitionCount, isDivisible: true });
  harness.retentionMs = 24 * 3_600_000;
  return harness;
}

/** A json message of this device with this id. */
export const from = (deviceId: string, id: string) => ({ ...json(id), deviceId });

/** A device of each of these partitions. */
export function devicesOf(harness: ConsumerHarness, partitions: readonly number[]): string[] {
  return partitions.map((partition) => {
    for (let index = 0; ; index++)
      if (harness.stream.partitions.takes(partition, `d${index}`)) return `d${index}`;
  });
}
