import assert from "node:assert/strict";
import { test } from "node:test";
import type { PutRecordsRequestEntry, PutRecordsResultEntry } from "@aws-sdk/client-kinesis";
import fc from "fast-check";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { KinesisAppender } from "../../../../../bridge/streams/kinesis/kinesis-appender.ts";
import { type KinesisConfig, kinesisConfigOf } from "../../../../../bridge/streams/kinesis/kinesis-config.ts";
import { type Shard, shardsOf } from "../../../../../bridge/streams/kinesis/shard.ts";

type Answer = (
  records: PutRecordsRequestEntry[],
) => Promise<PutRecordsResultEntry[]> | PutRecordsResultEntry[];

const keys = 2n ** 128n;
const shardCount = 4;

function shardId(number: number): string {
  return `shardId-${String(number).padStart(12, "0")}`;
}

function fourShards(): Shard[] {
  const width = keys / BigInt(shardCount);
  return shardsOf(
    Array.from({ length: shardCount }, (_, number) => ({
      ShardId: shardId(number),
      HashKeyRange: {
        StartingHashKey: String(width * BigInt(number)),
        EndingHashKey: String(width * BigInt(number + 1) - 1n),
      },
      SequenceNumberRange: { StartingSequenceNumber: "1000" },
    })),
  );
}

/** An appender on a connection whose answers the test gives. */
class Bench {
  readonly calls: PutRecordsRequestEntry[][] = [];
  readonly failures: string[] = [];
  nowMs = 0;
  refreshes = 0;
  hold: BridgeError | null = null;
  shards = fourShards();
  onRefresh = (): void => {};
  answer: Answer;
  readonly appender: KinesisAppender;
  #sequence = 1000;

  constructor(answer?: Answer, config: Partial<KinesisConfig> = {}) {
    this.answer = answer ?? ((records) => this.store(records));
    this.appender = new KinesisAppender({
      connection: {
        target: { region: "eu-central-1", streamName: "fleet", endpoint: undefined },
        putRecords: async (records) => {
          this.calls.push(records);
          return await this.answer(records);
        },
      },
      shards: {
        shard: (partition) => this.shards[partition] ?? assert.fail(`no shard ${partition}`),
        openShard: () => this.shards.find(({ isOpen }) => isOpen) ?? assert.fail("no open shard"),
        hold: () => this.hold,
        refresh: async () => {
          this.refreshes += 1;
          this.onRefresh();
        },
      },
      config: { ...kinesisConfigOf({ gatherMs: 0 }), ...config },
      monotonicMs: () => this.nowMs,
      random: () => 0,
      onAppended: () => {},
      onCall: () => {},
      onFailed: ({ code }) => this.failures.push(code),
    });
  }

  store(records: readonly PutRecordsRequestEntry[]): PutRecordsResultEntry[] {
    return records.map(({ ExplicitHashKey }) => ({
      SequenceNumber: String(++this.#sequence),
      ShardId: shardId(Number(BigInt(ExplicitHashKey ?? "") / (keys / BigInt(shardCount)))),
    }));
  }

  /** Positions, or codes of errors. */
  async appendTo(...partitions: number[]): Promise<string[]> {
    return await Promise.all(
      partitions.map((partition, index) =>
        this.appender
          .append(partition, Uint8Array.of(partition, index))
          .catch((error: unknown) => (error instanceof BridgeError ? error.code : String(error))),
      ),
    );
  }
}

const throttled = { ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage: "slow down" };
const internal = { ErrorCode: "InternalFailure", ErrorMessage: "oops" };

test("blocks of one turn share a call, one of each partition, each with a hash key of its shard", async () => {
  const bench = new Bench();
  assert.deepEqual(await bench.appendTo(0, 1, 2, 3), ["1001", "1002", "1003", "1004"]);
  assert.equal(bench.calls.length, 1);
  assert.deepEqual(
    bench.calls[0]?.map(({ ExplicitHashKey }) => ExplicitHashKey),
    bench.shards.map(({ firstHashKey }) => String(firstHashKey)),
  );
});

test("blocks of one partition go one after another, in the order of the calls", async () => {
  const bench = new Bench();
  assert.deepEqual(await bench.appendTo(0, 0, 1, 0), ["1001", "1003", "1002", "1004"]);
  assert.equal(bench.calls.length, 3);
});

test("for any pattern of failed entries, exactly those blocks fail, with the later ones of their partition", async () => {
  const outcome = fc.constantFrom<PutRecordsResultEntry | "stored">("stored", throttled, internal);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(outcome, { minLength: 4, maxLength: 4 }), { maxLength: 6 }),
      async (plan) => {
        let call = 0;
        const bench = new Bench((records) => {
          const planned = plan[call++] ?? [];
          const stored = bench.store(records);
          return stored.map((entry, index) => {
            const wanted = planned[index] ?? "stored";
            return wanted === "stored" ? entry : wanted;
          });
        });
        for (let round = 0; round <= plan.length; round++) {
          const answers = await bench.appendTo(0, 1, 2, 3);
          // Each entry of the answer settles the append of the record in its place.
          const sent = bench.calls.at(-1)?.map(({ Data }) => Data?.[0]) ?? [];
          for (const [partition, answer] of answers.entries()) {
            const planned = plan[round]?.[sent.indexOf(partition)] ?? "stored";
            const wanted =
              planned === "stored" ? /^\d+$/ : planned === throttled ? /THROTTLED/ : /UNAVAILABLE/;
            assert.match(answer, wanted);
          }
          bench.nowMs += 2000;
        }
      },
    ),
    { numRuns: 50 },
  );
});

test("with a block, the later ones of its partition fail, and no others", async () => {
  const bench = new Bench((records) => {
    const stored = bench.store(records);
    return bench.calls.length === 1 ? [internal, ...stored.slice(1)] : stored;
  });
  assert.deepEqual(await bench.appendTo(0, 0, 0, 1, 1), [
    "KINESIS_UNAVAILABLE",
    "KINESIS_UNAVAILABLE",
    "KINESIS_UNAVAILABLE",
    "1002",
    "1003",
  ]);
});

test("no success without a sequence number of the meant shard that is higher than the last", async () => {
  const wrong: PutRecordsResultEntry[] = [
    {},
    { ShardId: shardId(0) },
    { SequenceNumber: "", ShardId: shardId(0) },
    { SequenceNumber: "abc", ShardId: shardId(0) },
    { SequenceNumber: "longer than the last", ShardId: shardId(0) },
    { SequenceNumber: "0002000", ShardId: shardId(0) },
    { SequenceNumber: "2000.0", ShardId: shardId(0) },
    { SequenceNumber: "999", ShardId: shardId(0) },
    { SequenceNumber: "2000", ShardId: shardId(1) },
    { SequenceNumber: "2000" },
    { SequenceNumber: "2000", ShardId: "elsewhere" },
    { SequenceNumber: "2000", ShardId: shardId(0), ...internal },
  ];
  for (const entry of wrong) {
    const bench = new Bench(() => [entry]);
    assert.deepEqual(await bench.appendTo(0), ["KINESIS_UNAVAILABLE"], JSON.stringify(entry));
  }
  const bench = new Bench(() => [{ SequenceNumber: "1500", ShardId: shardId(0) }]);
  assert.deepEqual(await bench.appendTo(0), ["1500"]);
  assert.deepEqual(await bench.appendTo(0), ["KINESIS_UNAVAILABLE"]);
});

test("a block that landed elsewhere closes its partition only if the stream then says so", async () => {
  const bench = new Bench((records) =>
    bench.store(records).map((entry) => ({ ...entry, ShardId: shardId(3) })),
  );
  assert.deepEqual(await bench.appendTo(0, 3), ["KINESIS_UNAVAILABLE", "1002"]);
  assert.equal(bench.refreshes, 1);
  bench.onRefresh = () => {
    bench.shards = bench.shards.map((shard) => (shard.partition === 0 ? { ...shard, isOpen: false } : shard));
  };
  assert.deepEqual(await bench.appendTo(0, 0), ["STREAM_PARTITION_CLOSED", "STREAM_PARTITION_CLOSED"]);
  // The last block of a retiring lane still goes out.
  const callsBefore = bench.calls.length;
  assert.deepEqual(await bench.appendTo(0), ["STREAM_PARTITION_CLOSED"]);
  assert.equal(bench.calls.length, callsBefore + 1);
});

test("a call that fails as a whole fails all of its blocks, and the next one waits", async () => {
  const bench = new Bench(() => {
    throw Object.assign(new Error("Rate exceeded"), { name: "LimitExceededException" });
  });
  assert.deepEqual(await bench.appendTo(0, 1), ["KINESIS_THROTTLED", "KINESIS_THROTTLED"]);
  bench.answer = () => {
    throw Object.assign(new Error("no"), { name: "AccessDeniedException" });
  };
  assert.deepEqual(await bench.appendTo(0), ["KINESIS_DENIED"]);
});

test("blocks are refused at once if appends are held, if they are too large, or after close", async () => {
  const bench = new Bench();
  await assert.rejects(bench.appender.append(0, new Uint8Array(1024 * 1024)), { code: "MESSAGE_TOO_LARGE" });
  bench.hold = new BridgeError("STREAM_GAP", "gone", { retryable: false });
  assert.deepEqual(await bench.appendTo(0), ["STREAM_GAP"]);
  bench.hold = null;
  bench.appender.close(new BridgeError("STREAM_CLOSED", "closed", { retryable: false }));
  assert.deepEqual(await bench.appendTo(0), ["STREAM_CLOSED"]);
  assert.equal(bench.calls.length, 0);
});

test("a call holds no more than 5 MiB, keys included", async () => {
  const bench = new Bench(undefined, { shardBytesPerSecond: 2 ** 30 });
  bench.shards = shardsOf(
    Array.from({ length: 8 }, (_, number) => ({
      ShardId: shardId(number),
      HashKeyRange: {
        StartingHashKey: String((keys / 8n) * BigInt(number)),
        EndingHashKey: String((keys / 8n) * BigInt(number + 1) - 1n),
      },
      SequenceNumberRange: { StartingSequenceNumber: "1000" },
    })),
  );
  bench.answer = (records) =>
    records.map(({ ExplicitHashKey }, index) => ({
      SequenceNumber: String(2000 + index),
      ShardId: shardId(Number(BigInt(ExplicitHashKey ?? "") / (keys / 8n))),
    }));
  const block = new Uint8Array(921_600);
  await Promise.all(Array.from({ length: 8 }, (_, partition) => bench.appender.append(partition, block)));
  assert.deepEqual(
    bench.calls.map((records) => records.length),
    [5, 3],
  );
});

test("the rate of a shard is not exceeded; blocks that wait too long for it fail", async () => {
  const bench = new Bench(undefined, { shardRecordsPerSecond: 2 });
  assert.deepEqual(await bench.appendTo(0, 0), ["1001", "1002"]);
  const third = bench.appendTo(0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(bench.calls.length, 2);
  bench.nowMs = 6000;
  assert.deepEqual(await third, ["KINESIS_THROTTLED"]);
  assert.deepEqual(await bench.appendTo(0), ["1003"]);
});

test("after Kinesis has refused a block for its shard's rate the next one waits for it", async () => {
  const bench = new Bench(() => [throttled]);
  assert.deepEqual(await bench.appendTo(0), ["KINESIS_THROTTLED"]);
  bench.answer = (records) => bench.store(records);
  const next = bench.appendTo(0);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(bench.calls.length, 1);
  bench.nowMs = 1000;
  assert.deepEqual(await next, ["1001"]);
});

test("no more calls are in flight than configured", async () => {
  const answers: (() => void)[] = [];
  const bench = new Bench(
    (records) => new Promise((resolve) => answers.push(() => resolve(bench.store(records)))),
    { callsInFlightMax: 1 },
  );
  const first = bench.appendTo(0);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const second = bench.appendTo(1, 2);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(bench.calls.length, 1);
  answers.shift()?.();
  await first;
  await new Promise((resolve) => setImmediate(resolve));
  answers.shift()?.();
  assert.equal((await second).length, 2);
  assert.equal(bench.calls.length, 2);
});

test("calls begin as far apart as configured, and blocks gather meanwhile", async () => {
  const bench = new Bench(undefined, { gatherMs: 50 });
  assert.deepEqual(await bench.appendTo(0), ["1001"]);
  const next = [bench.appendTo(0), bench.appendTo(1)];
  await new Promise((resolve) => setTimeout(resolve, 10));
  const last = bench.appendTo(2);
  assert.equal(bench.calls.length, 1);
  bench.nowMs = 50;
  await Promise.all([...next, last]);
  assert.deepEqual(
    bench.calls.map((records) => records.length),
    [1, 3],
  );
});
