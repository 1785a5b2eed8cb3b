import assert from "node:assert/strict";
import { test } from "node:test";
import { BridgeError } from "../../../../bridge/errors.ts";
import type { LakeState } from "../../../../bridge/lake/commit-log/commit-log.ts";
import { compareDecimalPositions, positionOf } from "../../../../bridge/streams/decimal-position.ts";
import { checkStreamAgainstLake } from "../../../../bridge/streams/embedded/lake-check.ts";
import { checkKinesisStreamAgainstLake } from "../../../../bridge/streams/kinesis/lake-check.ts";
import type { CheckedStream } from "../../../../bridge/streams/lake-check.ts";
import { checkRedisStreamAgainstLake } from "../../../../bridge/streams/redis/lake-check.ts";
import { compareRedisPositions } from "../../../../bridge/streams/redis/redis-position.ts";
import { lakeWith } from "../../../support/lake-state.ts";

function streamWith(
  partitions: { highest: number; trimmedUpTo: number }[],
  options: { streamId?: string; startedAnew?: boolean } = {},
): CheckedStream {
  return {
    streamId: options.streamId ?? "aaaa",
    partitionCount: partitions.length,
    record: { startedAnew: options.startedAnew ?? false },
    comparePositions: compareDecimalPositions,
    partitionState: async (partition) => {
      const { highest = 0, trimmedUpTo = 0 } = partitions[partition] ?? {};
      return { highest: positionOf(highest), trimmedUpTo: positionOf(trimmedUpTo), retainedBytes: 0 };
    },
  };
}

const mends = /tidegate stream new/;
async function refuses(stream: CheckedStream | null, lake: LakeState, why: RegExp): Promise<void> {
  await assert.rejects(checkStreamAgainstLake(stream, lake), (error) => {
    assert.ok(error instanceof BridgeError && error.code === "STREAM_GAP" && !error.retryable);
    assert.match(error.message, why);
    assert.match(error.message, mends);
    return true;
  });
}

test("a new gateway, and one whose stream is ahead of the lake, may start", async () => {
  await checkStreamAgainstLake(null, lakeWith({}));
  await checkStreamAgainstLake(streamWith([{ highest: 0, trimmedUpTo: 0 }]), lakeWith({}));
  await checkStreamAgainstLake(
    streamWith([
      { highest: 9, trimmedUpTo: 4 },
      { highest: 2, trimmedUpTo: 0 },
    ]),
    lakeWith({ "aaaa/0": positionOf(5), "aaaa/1": positionOf(2) }),
  );
});

test("a lost folder is refused if the lake knows an embedded stream, not if it knows only others", async () => {
  await refuses(null, lakeWith({ "aaaa/0": positionOf(5) }), /folder is gone.*aaaa/);
  await checkStreamAgainstLake(null, lakeWith({ "cccc/0": "1700000000000-0" }));
});

test("a stream that ends below the lake's position was restored from an older copy", async () => {
  const lake = lakeWith({ "aaaa/0": positionOf(1), "aaaa/1": positionOf(12) });
  const stream = streamWith([
    { highest: 9, trimmedUpTo: 0 },
    { highest: 11, trimmedUpTo: 3 },
  ]);
  await refuses(stream, lake, /partition 1/);
});

test("a lake that lacks trimmed entries was restored from an older copy", async () => {
  const stream = streamWith([{ highest: 9, trimmedUpTo: 6 }]);
  await refuses(stream, lakeWith({ "aaaa/0": positionOf(5) }), /trimmed/);
  await refuses(stream, lakeWith({}), /trimmed/);
});

test("another stream than the lake's is refused unless it was started on purpose", async () => {
  const lake = lakeWith({ "bbbb/0": positionOf(5) });
  await refuses(streamWith([{ highest: 3, trimmedUpTo: 0 }]), lake, /bbbb.*aaaa/);
  await checkStreamAgainstLake(streamWith([{ highest: 3, trimmedUpTo: 0 }], { startedAnew: true }), lake);
  await refuses(streamWith([{ highest: 3, trimmedUpTo: 2 }], { startedAnew: true }), lake, /trimmed/);
});

test("in Redis, a lake of any other stream is continued only by a stream that was started on purpose", async () => {
  const redisStream = (startedAnew: boolean, highest = "1795000000000-7"): CheckedStream => ({
    streamId: "aaaa",
    partitionCount: 1,
    record: { startedAnew },
    comparePositions: compareRedisPositions,
    partitionState: async () => ({ highest, trimmedUpTo: "", retainedBytes: 0 }),
  });
  const embedded = lakeWith({ "bbbb/0": positionOf(5) });
  const isGap = { code: "STREAM_GAP", message: /tidegate migrate.*tidegate stream new/ };
  await assert.rejects(checkRedisStreamAgainstLake(null, embedded), isGap);
  await assert.rejects(checkRedisStreamAgainstLake(redisStream(false), embedded), isGap);
  await checkRedisStreamAgainstLake(redisStream(true), embedded);
  await checkRedisStreamAgainstLake(null, lakeWith({}));
  const committed = lakeWith({ "bbbb/0": positionOf(5), "aaaa/0": "1795000000000-7" });
  await checkRedisStreamAgainstLake(redisStream(false), committed);
  await assert.rejects(checkRedisStreamAgainstLake(redisStream(true, "1795000000000-6"), committed), isGap);
});

test("in Kinesis, a stream that was deleted and created again is refused unless it was started on purpose", () => {
  const lake = lakeWith({ "bbbb/0": "4968" });
  const stream = (streamId: string, startedAnew = false) => ({ streamId, record: { startedAnew } });
  const isGap = { code: "STREAM_GAP", message: /bbbb.*aaaa.*tidegate stream new/ };
  assert.throws(() => checkKinesisStreamAgainstLake(stream("aaaa"), lake), isGap);
  assert.throws(() => checkKinesisStreamAgainstLake(null, lake), { code: "STREAM_GAP", message: /is gone/ });
  checkKinesisStreamAgainstLake(stream("bbbb"), lake);
  checkKinesisStreamAgainstLake(stream("aaaa", true), lake);
  checkKinesisStreamAgainstLake(stream("aaaa"), lakeWith({}));
  checkKinesisStreamAgainstLake(null, lakeWith({}));
});
