import assert from "node:assert/strict";
import { test } from "node:test";
import type { Shard as ListedShard } from "@aws-sdk/client-kinesis";
import fc from "fast-check";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { deviceHash } from "../../../../../bridge/streams/device-hash.ts";
import {
  compareSequenceNumbers,
  isSequenceNumber,
} from "../../../../../bridge/streams/kinesis/sequence-number.ts";
import { shardsOf } from "../../../../../bridge/streams/kinesis/shard.ts";
import {
  descriptionOf,
  faultOf,
  warningsOf,
} from "../../../../../bridge/streams/kinesis/stream-description.ts";
import { TokenBucket } from "../../../../../bridge/streams/kinesis/token-bucket.ts";
import { rangePartitions } from "../../../../../bridge/streams/partition-map.ts";
import { endPosition, startPosition } from "../../../../../bridge/streams/stream-log.ts";

const keys = 2n ** 128n;

function listed(number: number, first: bigint, last: bigint, more: object = {}): ListedShard {
  return {
    ShardId: shardId(number),
    HashKeyRange: { StartingHashKey: String(first), EndingHashKey: String(last) },
    SequenceNumberRange: { StartingSequenceNumber: "4968" },
    ...more,
  };
}

function shardId(number: number): string {
  return `shardId-${String(number).padStart(12, "0")}`;
}

function isCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof BridgeError && error.code === code;
}

test("sequence numbers compare as the numbers that they are, with START and END around them", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 200n }), fc.bigInt({ min: 0n, max: 2n ** 200n }), (a, b) => {
      const compared = compareSequenceNumbers(String(a), String(b));
      assert.equal(Math.sign(compared), a === b ? 0 : a < b ? -1 : 1);
      assert.ok(isSequenceNumber(String(a)));
      for (const [low, high] of [
        [startPosition, String(a)],
        [String(a), endPosition],
        [startPosition, endPosition],
      ] as const) {
        assert.ok(compareSequenceNumbers(low, high) < 0);
        assert.ok(compareSequenceNumbers(high, low) > 0);
      }
    }),
  );
  for (const text of ["", "end", "007", "-1", "1.5", "1e9", " 1", undefined, "9".repeat(129)])
    assert.equal(isSequenceNumber(text), false, String(text));
});

test("for any split of shards, each device belongs to exactly the open shard of its hash key", () => {
  fc.assert(
    fc.property(
      fc.array(fc.bigInt({ min: 1n, max: keys - 1n }), { maxLength: 8 }),
      fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 4 }),
      fc.array(fc.string(), { minLength: 1 }),
      (cuts, hashes, devices) => {
        const near = hashes.flatMap((hash) => [0n, 1n].map((more) => (BigInt(hash) << 96n) + more));
        const starts = [...new Set([0n, ...cuts, ...near])].sort((a, b) => (a < b ? -1 : 1));
        const shards = shardsOf(starts.map((start, n) => listed(n, start, (starts[n + 1] ?? keys) - 1n)));
        const map = rangePartitions(shards);
        for (const device of devices) {
          const key = BigInt(deviceHash(device)) << 96n;
          const taking = shards.filter(
            ({ firstHashKey, lastHashKey }) => firstHashKey <= key && key <= lastHashKey,
          );
          assert.deepEqual(
            taking.map(({ partition }) => partition),
            [map.partitionOfDevice(device)],
          );
          for (const { partition } of shards)
            assert.equal(map.takes(partition, device), partition === taking[0]?.partition);
        }
      },
    ),
  );
});

test("splits and merges name parents; a parent is closed, even if its own entry lags behind", () => {
  const half = keys / 2n;
  const ended = { SequenceNumberRange: { StartingSequenceNumber: "1", EndingSequenceNumber: "9" } };
  const shards = shardsOf([
    listed(3, 0n, keys - 1n, { ParentShardId: shardId(1), AdjacentParentShardId: shardId(2) }),
    listed(0, 0n, keys - 1n, ended),
    listed(1, 0n, half - 1n, { ParentShardId: shardId(0) }),
    listed(2, half, keys - 1n, { ...ended, ParentShardId: shardId(0), AdjacentParentShardId: null }),
  ]);
  assert.deepEqual(
    shards.map(({ partition, parents, isOpen }) => [partition, parents, isOpen]),
    [
      [0, [], false],
      [1, [0], false],
      [2, [0], false],
      [3, [1, 2], true],
    ],
  );
});

test("a list of shards with gaps or overlaps is not believed, nor an invalid one", () => {
  const lists: ListedShard[][] = [
    [],
    [listed(0, 0n, keys - 2n)],
    [listed(0, 1n, keys - 1n)],
    [listed(0, 0n, 9n), listed(1, 11n, keys - 1n)],
    [listed(0, 0n, 11n), listed(1, 11n, keys - 1n)],
    [listed(0, 0n, keys - 1n, { ShardId: "shard-0" })],
    [listed(0, 0n, keys - 1n, { HashKeyRange: undefined })],
    [listed(0, 0n, keys - 1n, { SequenceNumberRange: undefined })],
  ];
  for (const list of lists) assert.throws(() => shardsOf(list), isCode("KINESIS_UNAVAILABLE"));
});

test("a shard whose number does not fit a block's header is refused", () => {
  assert.equal(shardsOf([listed(65_535, 0n, keys - 1n)])[0]?.partition, 65_535);
  assert.throws(() => shardsOf([listed(65_536, 0n, keys - 1n)]), isCode("KINESIS_UNSUPPORTED"));
});

const summary = {
  StreamName: "fleet",
  StreamARN: "arn:aws:kinesis:eu-central-1:000000000000:stream/fleet",
  StreamStatus: "ACTIVE" as const,
  RetentionPeriodHours: 24,
  StreamCreationTimestamp: new Date(1_795_000_000_123),
  EnhancedMonitoring: [],
  OpenShardCount: 1,
};
const target = { region: "eu-central-1", streamName: "fleet", endpoint: undefined };

test("a stream's id is unique: another stream of its name, or of another account, has another id", () => {
  const { streamId } = descriptionOf(summary);
  assert.match(streamId, /^[0-9a-f]{32}$/);
  assert.equal(descriptionOf({ ...summary, StreamStatus: "UPDATING" }).streamId, streamId);
  const recreated = { ...summary, StreamCreationTimestamp: new Date(1_795_000_000_124) };
  assert.notEqual(descriptionOf(recreated).streamId, streamId);
  assert.notEqual(descriptionOf({ ...summary, StreamARN: `${summary.StreamARN}2` }).streamId, streamId);
  assert.throws(() => descriptionOf({ ...summary, StreamARN: undefined }), isCode("KINESIS_UNAVAILABLE"));
});

test("a stream that spreads records by itself, or is going, can't be used; one that comes later can", () => {
  const faultFor = (more: object) => faultOf(descriptionOf({ ...summary, ...more }), target);
  assert.equal(faultFor({}), null);
  assert.equal(faultFor({ StreamStatus: "UPDATING" }), null);
  assert.equal(faultFor({ RecordDistributionStrategy: "USER_PARTITION_KEY" }), null);
  const auto = faultFor({ RecordDistributionStrategy: "AUTO" });
  assert.equal(auto?.code, "KINESIS_UNSUPPORTED");
  assert.match(auto?.message ?? "", /AUTO, which ignores hash keys.*USER_PARTITION_KEY/);
  const deleting = faultFor({ StreamStatus: "DELETING" });
  assert.deepEqual([deleting?.code, deleting?.retryable], ["STREAM_MISSING", false]);
  const creating = faultFor({ StreamStatus: "CREATING" });
  assert.deepEqual([creating?.code, creating?.retryable], ["STREAM_MISSING", true]);
});

test("a retention shorter than configured causes a warning", () => {
  const description = descriptionOf(summary);
  assert.deepEqual(warningsOf(description, target, 24), []);
  assert.match(warningsOf(description, target, 168).join(), /keeps records for 24 h.*asks for 168 h/);
});

test("a token bucket gives a second's worth at once, then by the second, and never more", () => {
  let nowMs = 0;
  const bucket = new TokenBucket(1000, () => nowMs);
  assert.equal(bucket.waitMs(1000), 0);
  bucket.take(1000);
  assert.equal(bucket.waitMs(1), 1);
  assert.equal(bucket.waitMs(500), 500);
  nowMs = 500;
  assert.equal(bucket.waitMs(500), 0);
  bucket.drain();
  assert.equal(bucket.waitMs(500), 500);
  nowMs = 60_000;
  bucket.take(1000);
  assert.equal(bucket.waitMs(1000), 1000);
  assert.equal(bucket.waitMs(5000), 1000);
});
