import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { DeleteStreamCommand } from "@aws-sdk/client-kinesis";
import { pino } from "pino";
import { Registry } from "prom-client";
import type { BridgeError } from "../../bridge/errors.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { createKinesisStream } from "../../bridge/streams/kinesis/create-stream.ts";
import { openKinesisStream } from "../../bridge/streams/kinesis/kinesis-stream.ts";
import { kinesisTargetOf } from "../../bridge/streams/kinesis/kinesis-url.ts";
import {
  continueInKinesisStream,
  readKinesisStreamRecord,
} from "../../bridge/streams/kinesis/stream-record.ts";
import { partitionKey } from "../../bridge/streams/partition-key.ts";
import type { PartitionMap } from "../../bridge/streams/partition-map.ts";
import { endPosition, startPosition } from "../../bridge/streams/stream-log.ts";
import {
  type HttpFault,
  htmlAnswer,
  timeOutAfterSuccess,
} from "../../simulator/prove/fault-proxies/http-fault.ts";
import {
  accessDenied,
  autoDistribution,
  jsonAnswer,
  jsonOf,
  kinesisClockSkew,
  limitExceeded,
  resourceNotFound,
  retention,
  streamStatus,
} from "../../simulator/prove/fault-proxies/kinesis-faults.ts";
import { KinesisUnderTest, type StreamInKinesis } from "../support/kinesis-stream.ts";
import { lakeWith } from "../support/lake-state.ts";
import { until } from "../support/until.ts";

const everything = { maxBytes: Number.MAX_SAFE_INTEGER, maxEntries: Number.MAX_SAFE_INTEGER };
let kinesis: KinesisUnderTest;
let stream: StreamInKinesis;
before(async () => {
  kinesis = await KinesisUnderTest.start("kinesalite");
  stream = await kinesis.stream(2);
});
afterEach(async () => {
  kinesis.proxy.heal();
  await stream.close();
});
after(() => kinesis.destroy());

/** Edits the answer of an operation. */
function edited(name: string, edit: (body: Record<string, unknown>) => void): HttpFault {
  return {
    name,
    strike: async (call) => {
      const answer = await call.forward();
      const body = jsonOf(answer.body);
      edit(body);
      return jsonAnswer(answer.status, body);
    },
  };
}

test("a failed open reports the fix and the denied call", async () => {
  const { proxy } = kinesis;
  const cases: [HttpFault, string, string, RegExp][] = [
    [
      accessDenied("DescribeStreamSummary"),
      "DescribeStreamSummary",
      "KINESIS_DENIED",
      /Allow kinesis:DescribeStreamSummary/,
    ],
    [accessDenied("ListShards"), "ListShards", "KINESIS_DENIED", /Allow kinesis:ListShards/],
    [resourceNotFound(), "DescribeStreamSummary", "STREAM_MISSING", /Create the stream .* \(--create/],
    [autoDistribution(), "DescribeStreamSummary", "KINESIS_UNSUPPORTED", /AUTO.*USER_PARTITION_KEY/],
    [streamStatus("DELETING"), "DescribeStreamSummary", "STREAM_MISSING", /being deleted/],
    [htmlAnswer(200), "DescribeStreamSummary", "KINESIS_UNAVAILABLE", /another service, .*answers at http/],
    [htmlAnswer(503), "ListShards", "KINESIS_UNAVAILABLE", /kinesis:ListShards/],
    [
      edited("noShards", (body) => Object.assign(body, { Shards: [] })),
      "ListShards",
      "KINESIS_UNAVAILABLE",
      /list of shards/,
    ],
  ];
  for (const [fault, on, code, message] of cases) {
    const injected = proxy.inject(fault, { on: [on] });
    await assert.rejects(stream.open({ random: () => 0 }), { code, message });
    injected.remove();
  }
});

test("opening a stream waits during throttling, silence, creation and a wrong clock", async () => {
  const { proxy } = kinesis;
  proxy.inject(limitExceeded(), { on: ["DescribeStreamSummary", "ListShards"], times: 3 });
  proxy.inject(timeOutAfterSuccess(), { on: ["ListShards"], times: 1 });
  proxy.inject(streamStatus("CREATING"), { on: ["DescribeStreamSummary"], times: 3 });
  // Only once: answers of the server itself have the right time.
  proxy.inject(kinesisClockSkew(3_600_000), { times: 1 });
  const opened = await stream.open({ timeoutMs: 200, random: () => 0 });
  assert.match(opened.streamId, /^[0-9a-f]{32}$/);
  await opened.append(0, Uint8Array.of(1));
  const { limitExceeded: throttled = 0, timeOutAfterSuccess: silent, clockSkew = 0 } = proxy.counters;
  assert.ok(throttled >= 3 && silent === 1 && clockSkew > 0);
});

test("without credentials no request is sent", async () => {
  const names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HOME"] as const;
  const kept = names.map((name) => process.env[name]);
  const home = mkdtempSync(join(tmpdir(), "tidegate-home-"));
  for (const name of names) delete process.env[name];
  process.env["HOME"] = home;
  try {
    await assert.rejects(stream.open(), { code: "KINESIS_DENIED", message: /AWS_ACCESS_KEY_ID/ });
  } finally {
    for (const [index, name] of names.entries())
      if (kept[index] !== undefined) process.env[name] = kept[index];
    rmSync(home, { recursive: true });
  }
});

test("a stream is created once, on-demand streams too, and a second creation finds it", async () => {
  const target = kinesisTargetOf(`kinesis://us-east-1/created?endpoint=${kinesis.proxy.url}`);
  const first = await createKinesisStream({ target, shardCount: 3 });
  assert.equal(first.isNew, true);
  assert.deepEqual(await createKinesisStream({ target, shardCount: 1 }), { ...first, isNew: false });
  const opened = await openKinesisStream({ target, mode: "read", logger: pino({ level: "silent" }) });
  assert.deepEqual([opened.streamId, opened.status().openShards], [first.streamId, 3]);
  await assert.rejects(opened.append(0, Uint8Array.of(1)), TypeError);
  await opened.close();
  kinesis.proxy.inject(accessDenied("CreateStream"), { on: ["CreateStream"] });
  const other = { ...target, streamName: "other" };
  await assert.rejects(createKinesisStream({ target: other, shardCount: null }), {
    code: "KINESIS_DENIED",
    message: /Allow kinesis:CreateStream/,
  });
});

test("a running stream reports why a block is refused, and no call exceeds its time-out", async () => {
  const opened = await stream.open({ timeoutMs: 200, random: () => 0 });
  const { proxy } = kinesis;
  const cases: [HttpFault, string, boolean][] = [
    [accessDenied("PutRecords"), "KINESIS_DENIED", false],
    [resourceNotFound(), "STREAM_MISSING", false],
    [limitExceeded(), "KINESIS_THROTTLED", true],
    [htmlAnswer(200), "KINESIS_UNAVAILABLE", true],
    [timeOutAfterSuccess(), "STREAM_TIMEOUT", true],
  ];
  for (const [fault, code, retryable] of cases) {
    const injected = proxy.inject(fault, { on: ["PutRecords"] });
    await assert.rejects(opened.append(1, Uint8Array.of(1)), { code, retryable });
    injected.remove();
  }
  await opened.append(1, Uint8Array.of(2));
});

test("a short retention is warned of, and the lag of reading is reported", async () => {
  const { proxy } = kinesis;
  const lines: { event?: string; level: number }[] = [];
  const logger = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const registry = new Registry();
  const opened = await stream.open({ retentionMinHours: 168, shardRefreshMs: 100, logger, registry });
  assert.match(opened.status().warnings.join(), /24 h.*168 h/);
  assert.ok(lines.some(({ event }) => event === "stream.kinesis.fault"));
  assert.equal(opened.retentionMs, 24 * 3_600_000);
  const behindMs = 13 * 3_600_000;
  proxy.inject(
    edited("behind", (body) => Object.assign(body, { MillisBehindLatest: behindMs })),
    { on: ["GetRecords"] },
  );
  await opened.read(1, startPosition, everything);
  assert.match(await registry.metrics(), /tidegate_stream_kinesis_behind_seconds 468\d\d/);
  assert.ok(opened.status().behindMs >= behindMs);
  proxy.inject(retention(1000), { on: ["DescribeStreamSummary"] });
  await until("the warning is gone", () => opened.status().warnings.length === 0);
  assert.equal(opened.retentionMs, 1000 * 3_600_000);
});

test("records that a shard still holds are lag: 0 is reported only if all were read and Kinesis confirmed that", async () => {
  const own = await kinesis.stream(1);
  const opened = await own.open();
  for (const value of [1, 2, 3]) await opened.append(0, Uint8Array.of(value));
  assert.equal((await opened.partitionState(0)).behindMs, undefined);
  const [first] = await opened.read(0, startPosition, { maxBytes: 1, maxEntries: 1 });
  assert.ok(Number((await opened.partitionState(0)).behindMs) > 0);
  await opened.read(0, first?.position ?? "", everything);
  const { behindMs, behindAgoMs = -1 } = await opened.partitionState(0);
  assert.equal(behindMs, 0);
  assert.ok(behindAgoMs >= 0 && behindAgoMs < 60_000);
  await own.close();
});

test("an answer without a next iterator is the end of a shard only if the stream says so", async () => {
  const own = await kinesis.stream(1);
  const opened = await own.open();
  await opened.append(0, Uint8Array.of(1));
  const cut = kinesis.proxy.inject(
    edited("cut", (body) => {
      delete body["NextShardIterator"];
    }),
    { on: ["GetRecords"], times: 2 },
  );
  const entries = await opened.read(0, startPosition, everything);
  await opened.append(0, Uint8Array.of(2));
  let last = entries.at(-1)?.position ?? startPosition;
  const read = entries.map(({ block }) => block[0]);
  for (let wait = 0; wait < 50 && read.length < 2; wait++) {
    await opened.waitForAppend(200, [0]);
    const more = await opened.read(0, last, everything);
    assert.ok(more.every(({ isEnd }) => !isEnd));
    read.push(...more.map(({ block }) => block[0]));
    last = more.at(-1)?.position ?? last;
  }
  assert.deepEqual(read, [1, 2]);
  assert.equal(cut.struck, 2);
  await own.close();
});

test("a process learns of a split when it asks for the partitions", async () => {
  const own = await kinesis.stream(1);
  const opened = await own.open();
  await own.admin.split();
  const before = opened.partitions;
  await opened.refreshPartitions();
  const numbers = (map: PartitionMap) => map.all.map(({ partition, isOpen }) => [partition, isOpen]);
  assert.deepEqual(numbers(before), [[0, true]]);
  assert.deepEqual(numbers(opened.partitions), [
    [0, false],
    [1, true],
    [2, true],
  ]);
  await own.close();
  await assert.rejects(opened.refreshPartitions(), { code: "STREAM_CLOSED" });
});

test("a shard that the stream has deleted is a gap that ends where the shard ends", async () => {
  const own = await kinesis.stream(1);
  const opened = await own.open();
  const first = await opened.append(0, Uint8Array.of(1));
  await own.admin.split();
  await assert.rejects(opened.append(0, Uint8Array.of(2)), {
    code: "STREAM_PARTITION_CLOSED",
    retryable: false,
  });
  kinesis.proxy.inject(
    edited("expired", (body) => {
      body["Shards"] = (body["Shards"] as { ShardId: string }[]).filter(
        ({ ShardId }) => !ShardId.endsWith("0"),
      );
    }),
    { on: ["ListShards"] },
  );
  kinesis.proxy.inject(resourceNotFound(), { on: ["GetShardIterator"] });
  await assert.rejects(opened.read(0, first, everything), (error: BridgeError) => {
    assert.deepEqual([error.code, error.details["resumeAfter"]], ["STREAM_GAP", endPosition]);
    return true;
  });
  assert.deepEqual(await opened.read(0, endPosition, everything), []);
  assert.deepEqual(
    opened.partitions.all.map(({ partition }) => partition),
    [1, 2],
  );
  await own.close();
});

test("a stream that is deleted, or deleted and created again, is a loss: no other stream acknowledges anything", async () => {
  const own = await kinesis.stream(1);
  const losses: string[] = [];
  const opened = await own.open({ shardRefreshMs: 100, onLost: ({ message }) => losses.push(message) });
  const before = opened.streamId;
  await opened.append(0, Uint8Array.of(1));
  const { streamName: StreamName } = own.target;
  await own.admin.client.send(new DeleteStreamCommand({ StreamName }));
  await until("the loss is reported", () => losses.length > 0);
  await assert.rejects(opened.append(0, Uint8Array.of(2)), { code: "STREAM_GAP" });
  await assert.rejects(opened.read(0, startPosition, everything), { code: "STREAM_GAP" });
  assert.match(losses.join(), /deleted.*tidegate stream new/);
  assert.equal(opened.status().held?.code, "STREAM_GAP");
  // Creation times, which distinguish streams of the same name, have a resolution of a second.
  await delay(1100);
  await createKinesisStream({ target: own.target, shardCount: 1 });
  await delay(300);
  await assert.rejects(opened.append(0, Uint8Array.of(3)), {
    code: "STREAM_GAP",
    message: /another stream of its name/,
  });
  const again = await own.open();
  assert.notEqual(again.streamId, before);
  await own.close();
});

test("an operator may let a lake continue in another stream, and the lake records the reason", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-lake-"));
  const store = await openLocalStore(folder);
  const own = await kinesis.stream(1);
  const { streamId } = await own.open();
  assert.equal((await readKinesisStreamRecord(store, streamId)).startedAnew, false);
  const continueIn = (positions: Readonly<Record<string, string>>) =>
    continueInKinesisStream({
      target: own.target,
      store,
      loadLake: async () => lakeWith(positions),
      unread: null,
    });
  await assert.rejects(continueIn({ [partitionKey(streamId, 0)]: "4968" }), { code: "STREAM_EXISTS" });
  const continued = await continueIn({ "bbbb/0": "4968" });
  assert.deepEqual(continued, { streamId, replaces: "bbbb", unread: null });
  const record = await readKinesisStreamRecord(store, streamId);
  assert.deepEqual([record.startedAnew, record.replaces, record.unread], [true, "bbbb", null]);
  await store.put(`_streams/${streamId}.json`, Buffer.from("{}"));
  await assert.rejects(readKinesisStreamRecord(store, streamId), { code: "LAKE_DAMAGED" });
  await own.close();
  rmSync(folder, { recursive: true });
});

test("a shard without a reader is not polled for ever, and a full buffer is not filled further", async () => {
  const own = await kinesis.stream(1);
  let monotonicMs = 0;
  const opened = await own.open({ monotonicMs: () => monotonicMs, readBufferBytes: 1024 * 1024 });
  const block = new Uint8Array(600 * 1024);
  for (let index = 0; index < 2; index++) await opened.append(0, block);
  const [first] = await opened.read(0, startPosition, { maxBytes: 1, maxEntries: 1 });
  const counted = kinesis.proxy.inject(
    { name: "counted", strike: async (call) => await call.forward() },
    { on: ["GetRecords"] },
  );
  await opened.append(0, block);
  await delay(200);
  const whileFull = counted.struck;
  await opened.read(0, first?.position ?? "", { maxBytes: 1, maxEntries: 1 });
  assert.ok(whileFull <= 1, "the buffer holds more than its limit");
  await until("there is room again", () => counted.struck > whileFull);
  monotonicMs += 60_000;
  await until("the shard is not polled any more", async () => {
    const before = counted.struck;
    await delay(200);
    return counted.struck === before;
  });
  await own.close();
});
