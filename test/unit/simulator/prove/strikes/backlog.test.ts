import assert from "node:assert/strict";
import { test } from "node:test";
import { Backlog } from "../../../../../simulator/prove/strikes/backlog.ts";
import type {
  PartitionView,
  StatusView,
} from "../../../../../simulator/prove/under-test/gateway-under-test.ts";

function partition(partition: number, view: Partial<PartitionView> & { read: number }): PartitionView {
  const { read, ...rest } = view;
  return {
    partition,
    state: "running",
    position: String(read),
    streamTimeMs: 1_000,
    openBytes: 0,
    lagBytes: 0,
    lagMs: 0,
    unaccounted: 0,
    halt: null,
    counters: { read, duplicates: 0, resent: 0 },
    ...rest,
  };
}

function statusOf(...partitions: PartitionView[]): StatusView {
  return {
    broker: null,
    upkeep: null,
    books: null,
    consumer: { publishesRepaired: 0, replayedBatches: 0, window: null, partitions },
  };
}

/** A gateway that says one status after the other, and then the last one again. */
function gatewaySaying(statuses: readonly (StatusView | null)[]) {
  let turn = 0;
  return {
    processOf: () => null,
    status: async () => statuses[Math.min(turn++, statuses.length - 1)] ?? null,
  };
}

test("a backlog is over once what was published at its end was read, whatever a consumer said of its lag before it stood still", async () => {
  const gateway = gatewaySaying([
    statusOf(partition(0, { read: 0, streamTimeMs: 0 }), partition(1, { read: 5 })),
    statusOf(partition(0, { read: 10 }), partition(1, { read: 5 })),
    // It goes on: its lag is from before.
    statusOf(partition(0, { read: 12 }), partition(1, { read: 5 })),
    null,
    statusOf(partition(0, { read: 300, streamTimeMs: 1_020, lagBytes: 2 ** 24 }), partition(1, { read: 5 })),
    statusOf(partition(0, { read: 400, streamTimeMs: 1_050 }), partition(1, { read: 8 })),
    statusOf(
      partition(0, { read: 500, streamTimeMs: 1_060 }),
      partition(1, { read: 9, streamTimeMs: 1_055 }),
    ),
  ]);
  const effect = await new Backlog([gateway], 50).strike();
  assert.deepEqual(effect, { isInFlight: true, detail: "494 messages in 0.05 s" });
});

test("a partition to which nothing is published holds no backlog up, one that stopped does", async () => {
  const quiet = partition(1, { read: 7 });
  const gateway = gatewaySaying([
    statusOf(partition(0, { read: 1 }), quiet),
    statusOf(partition(0, { read: 9, streamTimeMs: 2_000, halt: { code: "TOPIC_UNKNOWN" } }), quiet),
    // What it has read is not committed yet.
    statusOf(partition(0, { read: 1, streamTimeMs: 2_000 }), quiet),
    statusOf(partition(0, { read: 10, streamTimeMs: 2_000 }), quiet),
  ]);
  assert.equal((await new Backlog([gateway], 10).strike()).detail, "9 messages in 0.01 s");
});
