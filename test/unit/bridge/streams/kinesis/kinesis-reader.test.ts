import assert from "node:assert/strict";
import { test } from "node:test";
import type { GetRecordsOutput } from "@aws-sdk/client-kinesis";
import fc from "fast-check";
import type { BridgeError } from "../../../../../bridge/errors.ts";
import { type KinesisConfig, kinesisConfigOf } from "../../../../../bridge/streams/kinesis/kinesis-config.ts";
import { kinesisError } from "../../../../../bridge/streams/kinesis/kinesis-error.ts";
import { shardsOf } from "../../../../../bridge/streams/kinesis/shard.ts";
import { ShardReader } from "../../../../../bridge/streams/kinesis/shard-reader.ts";
import { endPosition, type Position, startPosition } from "../../../../../bridge/streams/stream-log.ts";

const target = { region: "eu-central-1", streamName: "fleet", endpoint: undefined };
const everything = { maxBytes: Number.MAX_SAFE_INTEGER, maxEntries: Number.MAX_SAFE_INTEGER };
const [shard] = shardsOf([
  {
    ShardId: "shardId-000000000000",
    HashKeyRange: { StartingHashKey: "0", EndingHashKey: String(2n ** 128n - 1n) },
    SequenceNumberRange: { StartingSequenceNumber: "1000" },
  },
]);
assert.ok(shard);

function exception(name: string): BridgeError {
  return kinesisError(Object.assign(new Error("no"), { name }), "GetRecords", target);
}

/** The result of a call: that many records, or a failure. */
type Step = number | "expired" | "throttled" | "internal" | "noIterator" | "again";

/** A shard with that many records. Each call of GetRecords gets as many as its step says. */
class FakeShard {
  readonly calls: number[] = [];
  readonly iterators: Position[] = [];
  state: "open" | "closed" | "forgotten" = "open";
  isEnded = false;
  readonly #records: number;
  readonly #steps: Step[];

  constructor(records: number, steps: readonly Step[]) {
    this.#records = records;
    this.#steps = [...steps];
  }

  async shardIterator(_shardId: string, after: Position): Promise<string> {
    this.iterators.push(after);
    return after === startPosition ? "1000" : after;
  }

  async getRecords(iterator: string): Promise<GetRecordsOutput> {
    this.calls.push(performance.now());
    const step = this.#steps.shift() ?? this.#records;
    if (step === "expired") throw exception("ExpiredIteratorException");
    if (step === "throttled") throw exception("ProvisionedThroughputExceededException");
    if (step === "internal") throw exception("InternalFailureException");
    // A server that returns more than was asked for.
    const first = step === "again" ? 1000 : Number(iterator);
    const count = typeof step === "number" ? step : 1;
    const last = Math.min(1000 + this.#records, Number(iterator) + count);
    const Records = Array.from({ length: last - first }, (_, index) => ({
      SequenceNumber: String(first + index + 1),
      Data: Uint8Array.of(first + index + 1 - 1000),
      PartitionKey: "0",
      ApproximateArrivalTimestamp: new Date(1_795_000_000_000 + first + index),
    }));
    const isLast = last === 1000 + this.#records;
    const MillisBehindLatest = isLast ? 0 : 5;
    if (step === "noIterator" || (isLast && this.isEnded)) return { Records, MillisBehindLatest };
    return { Records, MillisBehindLatest, NextShardIterator: String(last) };
  }

  reader(config: Partial<KinesisConfig> = {}, after: Position = startPosition): ShardReader {
    assert.ok(shard);
    return new ShardReader({
      connection: this,
      shard,
      after,
      config: kinesisConfigOf({ pollMs: 1, catchUpMs: 1, ...config }),
      monotonicMs: () => performance.now(),
      random: () => 0,
      lookUp: async () => this.state,
      onNews: () => {},
      onFailed: () => {},
      onRead: () => {},
      onUnasked: () => {},
    });
  }
}

async function readAll(reader: ShardReader, count: number): Promise<number[]> {
  const values: number[] = [];
  let after = startPosition;
  for (let turn = 0; turn < 1000 && values.length < count; turn++) {
    const entries = await reader.read(after, { maxBytes: 3, maxEntries: 3 });
    values.push(...entries.map(({ block }) => block[0] ?? -1));
    after = entries.at(-1)?.position ?? after;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return values;
}

test("for any results of calls, each record is returned once, in order", async () => {
  const step = fc.oneof(
    fc.integer({ min: 0, max: 4 }),
    fc.constantFrom<Step>("expired", "throttled", "internal", "noIterator", "again"),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 12 }),
      fc.integer({ min: 1, max: 12 }),
      async (steps, records) => {
        const reader = new FakeShard(records, steps).reader();
        const values = await readAll(reader, records);
        reader.stop();
        assert.deepEqual(
          values,
          Array.from({ length: records }, (_, index) => index + 1),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test("returned records can be read again until later ones are asked for", async () => {
  const reader = new FakeShard(4, []).reader();
  const first = await reader.read(startPosition, everything);
  assert.equal(first.length, 4);
  assert.deepEqual(await reader.read(startPosition, everything), first);
  assert.ok(reader.covers("1002"));
  assert.deepEqual(await reader.read("1002", everything), first.slice(2));
  assert.equal(reader.covers(startPosition), false);
  assert.equal(reader.covers("1001"), false);
  assert.equal(reader.hasNews, false);
  reader.stop();
});

test("the first read waits over empty answers of a shard that holds more", async () => {
  const reader = new FakeShard(1, [0, 0, 0]).reader();
  assert.equal((await reader.read(startPosition, everything)).length, 1);
  reader.stop();
});

test("the end of a closed shard follows its last record, once", async () => {
  const fake = new FakeShard(2, [1, 1]);
  fake.state = "closed";
  fake.isEnded = true;
  const reader = fake.reader();
  assert.deepEqual(await readAll(reader, 2), [1, 2]);
  assert.ok(reader.hasNews);
  const [end] = await reader.read("1002", everything);
  assert.deepEqual([end?.position, end?.isEnd, end?.block.length], [endPosition, true, 0]);
  assert.equal(reader.hasNews, false);
  assert.equal(reader.behind()?.ms, 0);
  reader.stop();
});

test("after an expired iterator, reading continues after the last record", async () => {
  const fake = new FakeShard(3, [2, "expired"]);
  const reader = fake.reader();
  await readAll(reader, 3);
  reader.stop();
  assert.deepEqual(fake.iterators, [startPosition, "1002"]);
});

test("calls are as far apart as a shard allows: by their number, and by the bytes of the last", async () => {
  const fake = new FakeShard(3, [1, 1, 1, 0]);
  const reader = fake.reader({ catchUpMs: 30, pollMs: 10, shardReadBytesPerSecond: 20 });
  await readAll(reader, 3);
  await new Promise((resolve) => setTimeout(resolve, 100));
  reader.stop();
  const gaps = fake.calls.slice(1).map((at, index) => at - (fake.calls[index] ?? 0));
  // A byte at 20 bytes a second takes 50 ms. Timers may be a ms early.
  assert.ok(
    gaps.slice(0, 2).every((gap) => gap >= 48),
    String(gaps),
  );
});

test("missing rights are reported at once, as retryable", async () => {
  const fake = new FakeShard(1, []);
  fake.getRecords = async () => {
    throw exception("AccessDeniedException");
  };
  await assert.rejects(fake.reader().read(startPosition, everything), {
    code: "KINESIS_DENIED",
    retryable: true,
  });
});
