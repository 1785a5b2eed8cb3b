import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConsumerHarness } from "../../../../support/consumer-harness.ts";
import { devicesOf, divisible, from } from "../../../../support/divisible-stream.ts";

const hourMs = 3_600_000;
const silent = { producerId: "00000000000000aa", bootId: "00000000000000d1" };

/**
 * A gateway writes to partition 0 and falls silent, and others continue for three days. Then both partitions
 * are merged.
 * @returns A device of each of the two.
 */
async function mergedAfterDays(harness: ConsumerHarness): Promise<[string, string]> {
  const [left = "", right = ""] = devicesOf(harness, [0, 1]);
  harness.append([from(left, "a")], silent);
  harness.append([], silent);
  for (let day = 0; day < 4; day++) {
    harness.append([from(left, `l${day}`)]);
    harness.append([from(right, `r${day}`)], { partition: 1 });
    await harness.drain();
    harness.clock.nowMs += day === 0 ? 1000 : 25 * hourMs;
  }
  harness.stream.merge(0, 1);
  return [left, right];
}

function haltOf(harness: ConsumerHarness, partition: number) {
  return harness.drain().then((consumer) => {
    const found = consumer.status().partitions.find((each) => each.partition === partition);
    return found?.halt?.code ?? null;
  });
}

describe("a block for a merged partition, of a producer whose mark is gone", () => {
  test("its virtual machine stood still: its claims stop nothing", async () => {
    const harness = divisible(2);
    const [left] = await mergedAfterDays(harness);
    harness.append([from(left, "z")], { partition: 2 });
    const stoodStillMs = 75 * hourMs;
    harness.append([], { ...silent, landsIn: 2, stoodStillMs, isAcknowledged: false });
    assert.equal(await haltOf(harness, 2), null);
    assert.ok(harness.ids().includes("z"));
  });

  test("the same after the partition was merged once more", async () => {
    const harness = divisible(3);
    await mergedAfterDays(harness);
    const [third = ""] = devicesOf(harness, [2]);
    harness.append([from(third, "t")], { partition: 2 });
    harness.append([from(third, "u")], { partition: 3 });
    await harness.drain();
    harness.stream.merge(3, 2);
    harness.append([], { ...silent, landsIn: 4, stoodStillMs: 75 * hourMs, isAcknowledged: false });
    assert.equal(await haltOf(harness, 4), null);
  });

  test("its machine kept running, so it would have taken a new id: blocks are missing (G8)", async () => {
    const harness = divisible(2);
    const [left] = await mergedAfterDays(harness);
    harness.append([from(left, "z")], { partition: 2 });
    harness.append([], { ...silent, landsIn: 2, isAcknowledged: false });
    assert.equal(await haltOf(harness, 2), "STREAM_GAP");
  });
});
