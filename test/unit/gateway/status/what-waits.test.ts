import assert from "node:assert/strict";
import { test } from "node:test";
import { booksVerdict, droppedText } from "../../../../gateway/cli/books-verdict.ts";
import type { GatewayStatus } from "../../../../gateway/status/gateway-status.ts";
import { whatWaits } from "../../../../gateway/status/what-waits.ts";

type Consumer = NonNullable<GatewayStatus["consumer"]>;

const partition = {
  ...{ partition: 0, halt: null, openMessages: 0, openBytes: 0, askedForMs: 3 },
  ...{ lagBytes: 0 as number | null, lagMs: 0 },
};
const leases = { partitions: [{ partition: 0 }] };
const roles = ["broker", "consumer"] as const;
const broker = { replacement: null } as unknown as GatewayStatus["broker"];

function consumerWith(changes: Record<string, unknown> = {}, ...partitions: Partial<typeof partition>[]) {
  const all = partitions.length > 0 ? partitions : [{}];
  return {
    ...{ state: "running", recovery: null, replacement: null, leases },
    partitions: all.map((each, index) => ({ ...partition, partition: index, ...each })),
    ...changes,
  } as unknown as Consumer;
}

function verdictOf(consumer: Consumer, isBalanced = true, all: readonly string[] = roles): string {
  const waiting = whatWaits({ roles: all as GatewayStatus["roles"], broker, consumer });
  const books = { isBalanced } as GatewayStatus["books"];
  return booksVerdict({ books, waiting, consumer }).join("\n");
}

test("the books balance only if all acknowledged messages are in the tables", () => {
  assert.match(verdictOf(consumerWith()), /^The books balance: every acknowledged message was read/);
  assert.match(
    verdictOf(consumerWith({ leases: { partitions: [{ partition: 0 }, { partition: 1 }] } })),
    /^The books of the partitions that this gateway reads balance/,
  );
  const seeding = { files: 2, filesTotal: 40, ids: 1_000 };
  for (const [consumer, reason] of [
    [
      consumerWith({}, { openMessages: 3 }, { openMessages: 4 }),
      "7 messages were read and wait for the next commit",
    ],
    [consumerWith({}, { lagBytes: 80 }, { lagBytes: 20 }), "100 bytes of the stream are not read yet"],
    [
      consumerWith({}, { lagBytes: null, lagMs: 0 }, { lagBytes: null, lagMs: 1_500 }),
      "the consumer lags the end of the stream by 2 s",
    ],
    [
      consumerWith({}, { halt: { code: "STREAM_GAP" } as unknown as null }),
      "partition 0 is not read (STREAM_GAP)",
    ],
    [
      consumerWith({}, { askedForMs: null as unknown as number }),
      "the stream has not reported recently what waits",
    ],
    [
      consumerWith({}, { askedForMs: 6_000 }),
      "the stream has not reported recently what waits in 1 of its partitions",
    ],
    [consumerWith({ state: "backing-off" }), "the consumer is backing-off and does not file meanwhile"],
    [
      consumerWith({ state: "recovering", recovery: { step: "seeding", forMs: 9_000, seeding } }),
      "the consumer has been filling the dedupe window from the lake for 9 s: 2 of 40 files read, 1000 ids found",
    ],
    [
      consumerWith({ state: "recovering", recovery: { step: "tables", forMs: 100, seeding: null } }),
      "the consumer has been recovering for 0 s (tables)",
    ],
    [
      consumerWith({ tables: { parked: [{ table: "engine", code: "TABLE_CONFLICT" }] } }),
      "table engine does not show all commits (TABLE_CONFLICT)",
    ],
    [
      consumerWith({ replacement: { unread: { messages: 7, blocks: 1 } } }),
      "unread messages of the previous stream were discarded",
    ],
    [
      consumerWith({ replacement: { unread: null } }),
      "unread messages of the previous stream were discarded",
    ],
  ] as const) {
    const verdict = verdictOf(consumer);
    assert.doesNotMatch(verdict, /books balance/i, reason);
    assert(verdict.includes(`  - ${reason}`), verdict);
    assert.match(verdictOf(consumer, false), /^THE BOOKS DO NOT BALANCE/);
  }
  assert.match(
    verdictOf(consumerWith({ replacement: { unread: { messages: 0, blocks: 0 } } })),
    /books balance/,
  );
});

test("a stream that reports no bytes, and was read to its end, has no waiting messages", () => {
  assert.deepEqual(
    whatWaits({ roles: ["consumer"], broker: null, consumer: consumerWith({}, { lagBytes: null }) }),
    {
      openMessages: 0,
      unreadBytes: 0,
      reasons: [],
    },
  );
  assert.equal(whatWaits({ roles, broker, consumer: null }), null);
  const [silent] = whatWaits({ roles, broker: null, consumer: consumerWith() })?.reasons ?? [];
  assert.match(silent ?? "", /broker does not answer/);
});

test("drops are a line of the status", () => {
  const dropped = (changes: Record<string, number>) => {
    const { droppedQos0 = 0, failedMessages = 0, ...others } = changes;
    const counts = { untaken: 0, sessionDropped: 0, retainedDropped: 0, ...others };
    return droppedText({
      broker: {
        ...counts,
        producer: { totals: { droppedQos0, failedMessages } },
      } as unknown as GatewayStatus["broker"],
    });
  };
  assert.deepEqual(dropped({}), []);
  assert.deepEqual(droppedText({ broker: null }), []);
  assert.deepEqual(
    dropped({ droppedQos0: 1, failedMessages: 2, untaken: 3, sessionDropped: 4, retainedDropped: 5 }),
    [
      "Dropped: 1 of QoS 0, because the stream was full, 2 given up unacknowledged, 3 of connections that had ended, 4 for sessions whose queues were full, 5 not retained",
    ],
  );
});
