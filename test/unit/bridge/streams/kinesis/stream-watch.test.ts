import assert from "node:assert/strict";
import { test } from "node:test";
import type { Shard as ListedShard, StreamDescriptionSummary } from "@aws-sdk/client-kinesis";
import { pino } from "pino";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { kinesisConfigOf } from "../../../../../bridge/streams/kinesis/kinesis-config.ts";
import { StreamWatch } from "../../../../../bridge/streams/kinesis/stream-watch.ts";

const half = 2n ** 127n;
const last = 2n ** 128n - 1n;

function shard(number: number, first: bigint, end: bigint, parent?: number): ListedShard {
  const id = (each: number) => `shardId-${String(each).padStart(12, "0")}`;
  return {
    ShardId: id(number),
    ...(parent === undefined ? {} : { ParentShardId: id(parent) }),
    HashKeyRange: { StartingHashKey: String(first), EndingHashKey: String(end) },
    SequenceNumberRange: { StartingSequenceNumber: "1000" },
  };
}

const whole = [shard(0, 0n, last)];
const divided = [shard(0, 0n, last), shard(1, 0n, half - 1n, 0), shard(2, half, last, 0)];

function watchOf() {
  const answers = {
    shards: whole as ListedShard[] | (() => Promise<ListedShard[]>),
    summary: {} as Partial<StreamDescriptionSummary>,
    failure: null as BridgeError | null,
  };
  const losses: string[] = [];
  const log: { level: number; event: string }[] = [];
  let calls = 0;
  const watch = new StreamWatch({
    connection: {
      target: { region: "eu-central-1", streamName: "fleet", endpoint: undefined },
      describe: async () => {
        if (answers.failure) throw answers.failure;
        return {
          StreamName: "fleet",
          StreamARN: "arn:aws:kinesis:eu-central-1:000000000000:stream/fleet",
          StreamStatus: "ACTIVE",
          RetentionPeriodHours: 24,
          StreamCreationTimestamp: new Date(1_795_000_000_000),
          EnhancedMonitoring: [],
          OpenShardCount: 1,
          ...answers.summary,
        };
      },
      listShards: async () => {
        calls += 1;
        return typeof answers.shards === "function" ? await answers.shards() : answers.shards;
      },
    },
    config: kinesisConfigOf({}),
    logger: pino({ base: null }, { write: (line: string) => log.push(JSON.parse(line)) }),
    random: () => 0,
    onLost: ({ message }) => losses.push(message),
  });
  return { watch, answers, losses, log, calls: () => calls };
}

function open(watch: StreamWatch): number[] {
  return watch.partitions.all.filter(({ isOpen }) => isOpen).map(({ partition }) => partition);
}

test("a reshard is reported once, and older lists of shards change nothing", async () => {
  const { watch, answers } = watchOf();
  await watch.start();
  let changes = 0;
  watch.onPartitionsChange(() => {
    changes += 1;
  });
  const before = watch.partitions;
  await watch.refresh();
  assert.equal(watch.partitions, before);
  answers.shards = divided;
  await watch.refresh();
  await watch.refresh();
  assert.deepEqual([open(watch), changes], [[1, 2], 1]);
  answers.shards = whole;
  await watch.refresh();
  answers.shards = [shard(1, 0n, half - 1n, 0)];
  await assert.rejects(watch.refresh(), { code: "KINESIS_UNAVAILABLE" });
  assert.deepEqual([open(watch), changes], [[1, 2], 1]);
  // Deleted shards stay known, but are not listed.
  answers.shards = divided.slice(1);
  await watch.refresh();
  assert.deepEqual(
    [watch.isListed(0), watch.isKnown(0), watch.shard(0).isOpen, changes],
    [false, true, false, 2],
  );
  assert.throws(() => watch.shard(7), RangeError);
  watch.stop();
});

test("a refresh asked for during another one begins after the request", async () => {
  const { watch, answers, calls } = watchOf();
  await watch.start();
  const releases: (() => void)[] = [];
  answers.shards = () =>
    new Promise((resolve) => releases.push(() => resolve(releases.length === 1 ? whole : divided)));
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const first = watch.refresh();
  await settle();
  const [second, third] = [watch.refresh(), watch.refresh()];
  releases[0]?.();
  await first;
  assert.deepEqual(open(watch), [0]);
  await settle();
  releases[1]?.();
  await Promise.all([second, third]);
  assert.deepEqual([open(watch), calls()], [[1, 2], 3]);
  watch.stop();
});

test("a deleted or replaced stream holds appends and reads; after its return they continue", async () => {
  const { watch, answers, losses } = watchOf();
  await watch.start();
  answers.failure = new BridgeError("STREAM_MISSING", "there is none", { retryable: false });
  await watch.refresh();
  assert.equal(watch.hold()?.code, "STREAM_GAP");
  assert.match(watch.hold()?.message ?? "", /with `tidegate stream new --create`/);
  answers.failure = null;
  answers.summary = { StreamCreationTimestamp: new Date(1_795_000_001_000) };
  await watch.refresh();
  assert.match(watch.hold()?.message ?? "", /another stream of its name.*with `tidegate stream new`/);
  answers.summary = {};
  await watch.refresh();
  assert.equal(watch.hold(), null);
  assert.equal(losses.length, 2);
  answers.summary = { RecordDistributionStrategy: "AUTO" };
  await watch.refresh();
  assert.equal(watch.hold()?.code, "KINESIS_UNSUPPORTED");
  watch.stop();
});

test("a failed refresh changes nothing, and rejects", async () => {
  const { watch, answers } = watchOf();
  await watch.start();
  answers.failure = new BridgeError("KINESIS_THROTTLED", "slow down", { retryable: true });
  await assert.rejects(watch.refresh(), { code: "KINESIS_THROTTLED" });
  assert.deepEqual([open(watch), watch.hold()], [[0], null]);
  watch.stop();
});

test("a denied refresh warns until one succeeds, one that fails in passing does not", async () => {
  const { watch, answers } = watchOf();
  await watch.start();
  answers.failure = new BridgeError("KINESIS_UNAVAILABLE", "it is away", { retryable: true });
  await assert.rejects(watch.refresh());
  assert.deepEqual(watch.warnings(), []);
  answers.failure = new BridgeError("KINESIS_DENIED", "ListShards is denied", { retryable: true });
  await assert.rejects(watch.refresh(), { code: "KINESIS_DENIED" });
  assert.deepEqual(watch.warnings(), ["changes of the stream are not detected: ListShards is denied"]);
  answers.failure = null;
  await watch.refresh();
  assert.deepEqual(watch.warnings(), []);
  watch.stop();
});

test("a failure and a hold are warnings in the log, and their ends are not", async () => {
  const { watch, answers, log } = watchOf();
  await watch.start();
  answers.failure = new BridgeError("KINESIS_UNAVAILABLE", "injected", { retryable: true });
  await assert.rejects(watch.refresh());
  answers.failure = null;
  await watch.refresh();
  await watch.refresh();
  answers.summary = { StreamStatus: "DELETING" };
  await watch.refresh();
  answers.summary = {};
  await watch.refresh();
  assert.deepEqual(
    log.filter(({ event }) => event !== "stream.kinesis.fault").map(({ level, event }) => [level, event]),
    [
      [40, "stream.kinesis.refresh.failed"],
      [30, "stream.kinesis.refresh.recovered"],
      [40, "stream.kinesis.held"],
      [30, "stream.kinesis.usable"],
    ],
  );
  watch.stop();
});
