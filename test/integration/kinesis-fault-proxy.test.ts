import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  PutRecordsCommand,
} from "@aws-sdk/client-kinesis";
import {
  HeldCalls,
  htmlAnswer,
  late,
  resetAfter,
  resetBefore,
  slow,
  slowAnswer,
  timeOutAfterSuccess,
  timeOutBefore,
} from "../../simulator/prove/fault-proxies/http-fault.ts";
import { KinesisFaultProxy } from "../../simulator/prove/fault-proxies/kinesis-fault-proxy.ts";
import {
  accessDenied,
  autoDistribution,
  expiredIterator,
  internalFailureAfter,
  internalFailureBefore,
  kinesisClockSkew,
  limitExceeded,
  resourceNotFound,
  retention,
  streamStatus,
  throttled,
} from "../../simulator/prove/fault-proxies/kinesis-faults.ts";
import {
  atIndexes,
  byChance,
  failEntries,
  misreportEntries,
  misrouteEntries,
  withHashKeys,
} from "../../simulator/prove/fault-proxies/put-records-faults.ts";
import { seededRandom } from "../../simulator/prove/seeded-random.ts";
import { startKinesalite } from "../../simulator/prove/servers/kinesalite.ts";
import { KinesisAdmin, localKinesisClient } from "../../simulator/prove/servers/kinesis-admin.ts";
import { startKinesisLocal } from "../../simulator/prove/servers/kinesis-local.ts";
import { until } from "../support/until.ts";

const upperHalf = 2n ** 127n;
const folder = await mkdtemp(join(tmpdir(), "tidegate-kinesis-faults-"));
const server = await startKinesalite({ folder, isPersistent: false });
const proxy = await KinesisFaultProxy.listen({ targetPort: server.port, random: seededRandom(1) });
const direct = localKinesisClient(server.url);
const client = localKinesisClient(proxy.url, { maxAttempts: 1 });
await new KinesisAdmin(direct, "s").create(2);
after(async () => {
  client.destroy();
  direct.destroy();
  await proxy.close();
  await server.kill();
  await rm(folder, { recursive: true, force: true });
});
afterEach(() => proxy.heal());

let puts = 0;

/** Appends entries to the lower half of the hash keys, with texts that were not used before. */
async function put(entries: number, signal?: AbortSignal) {
  const texts = Array.from({ length: entries }, () => `entry-${++puts}`);
  const Records = texts.map((text) => ({ Data: Buffer.from(text), PartitionKey: "p", ExplicitHashKey: "7" }));
  const command = new PutRecordsCommand({ StreamName: "s", Records });
  const sent = client.send(command, signal ? { abortSignal: signal } : {});
  sent.catch(() => {});
  return { texts, sent };
}

/** The entries with these texts that the server has, read past the proxy; of certain shards if given. */
async function stored(texts: readonly string[], shards?: readonly number[]): Promise<string[]> {
  const found: string[] = [];
  for (const shard of shards ?? [0, 1]) {
    const ShardId = `shardId-${String(shard).padStart(12, "0")}`;
    const { ShardIterator } = await direct.send(
      new GetShardIteratorCommand({ StreamName: "s", ShardId, ShardIteratorType: "TRIM_HORIZON" }),
    );
    const { Records = [] } = await direct.send(new GetRecordsCommand({ ShardIterator }));
    found.push(...Records.map(({ Data }) => Buffer.from(Data ?? []).toString()));
  }
  return found.filter((text) => texts.includes(text)).sort();
}

async function errorOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "no error",
    (error: Error) => error.name,
  );
}

test("without faults every call passes", async () => {
  const { texts, sent } = await put(3);
  assert.equal((await sent).FailedRecordCount, 0);
  assert.deepEqual(await stored(texts), texts);
  assert.deepEqual(proxy.counters, {});
});

test("failed entries are not stored, the others are, and the answer has each at its place", async () => {
  const fault = proxy.inject(failEntries(atIndexes(0, 2), "ProvisionedThroughputExceededException"), {
    times: 1,
  });
  const { texts, sent } = await put(4);
  const answer = await sent;
  assert.equal(answer.FailedRecordCount, 2);
  assert.deepEqual(
    answer.Records?.map(({ ErrorCode, SequenceNumber }) => ErrorCode ?? typeof SequenceNumber),
    ["ProvisionedThroughputExceededException", "string", "ProvisionedThroughputExceededException", "string"],
  );
  assert.deepEqual(await stored(texts), [texts[1], texts[3]]);
  assert.equal(fault.struck, 1);
  assert.deepEqual(proxy.counters, { failEntries: 1, entriesFailed: 2 });
  const next = await put(4);
  assert.equal((await next.sent).FailedRecordCount, 0);
});

test("a call whose entries all fail never reaches the server", async () => {
  proxy.inject(failEntries(byChance(1), "InternalFailure"));
  const { texts, sent } = await put(2);
  assert.deepEqual(
    (await sent).Records?.map(({ ErrorCode }) => ErrorCode),
    ["InternalFailure", "InternalFailure"],
  );
  assert.deepEqual(await stored(texts), []);
});

test("misreported entries are stored nevertheless", async () => {
  proxy.inject(misreportEntries(atIndexes(1), "InternalFailure"));
  const { texts, sent } = await put(2);
  const answer = await sent;
  assert.equal(answer.FailedRecordCount, 1);
  assert.equal(answer.Records?.[1]?.SequenceNumber, undefined);
  assert.deepEqual(await stored(texts), texts);
});

test("misrouted entries are stored in another shard, which the answer names", async () => {
  proxy.inject(
    misrouteEntries(withHashKeys(0n, upperHalf - 1n), () => upperHalf),
    { times: 1 },
  );
  const { texts, sent } = await put(2);
  assert.deepEqual(
    (await sent).Records?.map(({ ShardId }) => ShardId),
    ["shardId-000000000001", "shardId-000000000001"],
  );
  assert.deepEqual(await stored(texts, [1]), texts);
  assert.deepEqual(await stored(texts, [0]), []);
});

test("a call that Kinesis refuses as a whole is sent once, and no entry counts as struck", async () => {
  const fault = proxy.inject(failEntries(atIndexes(0), "InternalFailure"));
  const Records = [1, 2].map(() => ({ Data: Buffer.from("x"), PartitionKey: "p" }));
  const sent = client.send(new PutRecordsCommand({ StreamName: "missing", Records }));
  assert.equal(await errorOf(sent), "ResourceNotFoundException");
  assert.equal(fault.struck, 0);
});

test("errors of whole calls have the names of Kinesis, and nothing is stored before them", async () => {
  const cases = [
    [throttled(), "ProvisionedThroughputExceededException"],
    [limitExceeded(), "LimitExceededException"],
    [resourceNotFound(), "ResourceNotFoundException"],
    [accessDenied("PutRecords"), "AccessDeniedException"],
    [internalFailureBefore(), "InternalFailureException"],
    [internalFailureBefore(503), "ServiceUnavailableException"],
  ] as const;
  for (const [fault, name] of cases) {
    const injected = proxy.inject(fault, { on: ["PutRecords"], times: 1 });
    const { texts, sent } = await put(1);
    assert.equal(await errorOf(sent), name);
    assert.deepEqual(await stored(texts), []);
    assert.equal(injected.struck, 1);
  }
});

test("only the named operation is denied", async () => {
  proxy.inject(accessDenied("ListShards"), { on: ["ListShards"] });
  const listed = client.send(new ListShardsCommand({ StreamName: "s" }));
  assert.equal(await errorOf(listed), "AccessDeniedException");
  assert.equal((await (await put(1)).sent).FailedRecordCount, 0);
});

test("if a 5xx, a reset or a time-out comes after the call, the entries are stored", async () => {
  proxy.inject(internalFailureAfter(), { times: 1 });
  const failed = await put(1);
  assert.equal(await errorOf(failed.sent), "InternalFailureException");
  assert.deepEqual(await stored(failed.texts), failed.texts);

  proxy.inject(resetAfter(), { times: 1 });
  const reset = await put(1);
  assert.notEqual(await errorOf(reset.sent), "no error");
  assert.deepEqual(await stored(reset.texts), reset.texts);

  const timeOut = proxy.inject(timeOutAfterSuccess(), { times: 1 });
  const waiting = new AbortController();
  const silent = await put(1, waiting.signal);
  await until("the call was struck", () => timeOut.struck === 1);
  waiting.abort();
  assert.equal(await errorOf(silent.sent), "AbortError");
  assert.deepEqual(await stored(silent.texts), silent.texts);
});

test("if a reset or a time-out comes before the server, nothing is stored", async () => {
  proxy.inject(resetBefore(), { times: 1 });
  const reset = await put(1);
  assert.notEqual(await errorOf(reset.sent), "no error");
  const timeOut = proxy.inject(timeOutBefore(), { times: 1 });
  const waiting = new AbortController();
  const silent = await put(1, waiting.signal);
  await until("the call was struck", () => timeOut.struck === 1);
  waiting.abort();
  assert.equal(await errorOf(silent.sent), "AbortError");
  assert.deepEqual(await stored([...reset.texts, ...silent.texts]), []);
});

test("late and held calls reach the server after their clients have given up", async () => {
  const held = new HeldCalls();
  proxy.inject(held, { times: 1 });
  const first = await put(1);
  assert.notEqual(await errorOf(first.sent), "no error");
  assert.deepEqual(await stored(first.texts), []);
  const [answer] = await held.release();
  assert.equal(answer?.status, 200);
  assert.deepEqual(await stored(first.texts), first.texts);

  proxy.inject(late(20), { times: 1 });
  const second = await put(1);
  assert.notEqual(await errorOf(second.sent), "no error");
  await until("the late call was done", () => proxy.counters["lateDone"] === 1);
  assert.deepEqual(await stored(second.texts), second.texts);
});

test("slow calls and slow answers arrive", async () => {
  proxy.inject(slow(30), { times: 1 });
  proxy.inject(slowAnswer(30), { times: 1 });
  for (const { texts, sent } of [await put(1), await put(1)]) {
    assert.equal((await sent).FailedRecordCount, 0);
    assert.deepEqual(await stored(texts), texts);
  }
});

test("an iterator expires on GetRecords alone", async () => {
  proxy.inject(expiredIterator(), { on: ["GetRecords"], times: 1 });
  const { ShardIterator } = await client.send(
    new GetShardIteratorCommand({
      StreamName: "s",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  assert.equal(
    await errorOf(client.send(new GetRecordsCommand({ ShardIterator }))),
    "ExpiredIteratorException",
  );
  assert.ok((await client.send(new GetRecordsCommand({ ShardIterator }))).Records);
});

test("the description of a stream can show another distribution, status or retention", async () => {
  const describe = async () =>
    (await client.send(new DescribeStreamSummaryCommand({ StreamName: "s" }))).StreamDescriptionSummary;
  const { RecordDistributionStrategy } = (await describe()) ?? {};
  assert.equal(RecordDistributionStrategy, undefined);
  proxy.inject(autoDistribution(), { times: 1 });
  const summary = await describe();
  assert.equal(summary?.RecordDistributionStrategy, "AUTO");
  assert.equal(summary?.StreamModeDetails?.StreamMode, "ON_DEMAND");
  assert.equal(summary?.OpenShardCount, 2);
  proxy.inject(streamStatus("DELETING"), { times: 1 });
  assert.equal((await describe())?.StreamStatus, "DELETING");
  proxy.inject(retention(48), { times: 1 });
  assert.equal((await describe())?.RetentionPeriodHours, 48);
});

test("a client with a wrong clock is refused until it corrects its clock", async () => {
  proxy.inject(kinesisClockSkew(3_600_000));
  const skewed = localKinesisClient(proxy.url, { maxAttempts: 1 });
  const describe = () => skewed.send(new DescribeStreamSummaryCommand({ StreamName: "s" }));
  assert.equal(await errorOf(describe()), "InvalidSignatureException");
  assert.ok((await describe()).StreamDescriptionSummary);
  skewed.destroy();
});

test("an HTML answer is not taken for an answer of Kinesis", async () => {
  proxy.inject(htmlAnswer(), { times: 1 });
  const { texts, sent } = await put(1);
  assert.equal(await errorOf(sent), "SyntaxError");
  assert.deepEqual(await stored(texts), []);
});

test("`down` refuses connections, `silence` answers nothing, and both end", async () => {
  const code = () =>
    fetch(proxy.url).then(
      ({ status }) => status,
      (error: Error) => (error.cause as { code?: string }).code,
    );
  const { port } = proxy;
  await proxy.down();
  assert.equal(await code(), "ECONNREFUSED");
  await proxy.up();
  assert.equal(proxy.port, port);
  assert.equal(typeof (await code()), "number");
  const silence = proxy.silence(2_000);
  assert.match(String(await code()), /ECONNRESET|UND_ERR_SOCKET/);
  await silence;
  assert.equal(typeof (await code()), "number");
});

test("a fault starts after the given number of calls, and ends after its number of strikes", async () => {
  const fault = proxy.inject(throttled(), { on: ["ListShards"], after: 2, times: 3 });
  let pattern = "";
  for (let call = 0; call < 8; call++) {
    await (await put(1)).sent;
    pattern +=
      (await errorOf(client.send(new ListShardsCommand({ StreamName: "s" })))) === "no error" ? "." : "x";
  }
  assert.equal(pattern, "..xxx...");
  assert.equal(fault.struck, 3);
});

test("a removed fault strikes no more, and of two faults the older one strikes first", async () => {
  const first = proxy.inject(throttled(), { on: ["ListShards"] });
  proxy.inject(limitExceeded(), { on: ["ListShards"] });
  const list = () => errorOf(client.send(new ListShardsCommand({ StreamName: "s" })));
  assert.equal(await list(), "ProvisionedThroughputExceededException");
  first.remove();
  assert.equal(await list(), "LimitExceededException");
  proxy.heal();
  assert.equal(await list(), "no error");
});

test("kinesis-local accepts calls whose entries the proxy changed", async () => {
  const other = await startKinesisLocal({ folder: join(folder, "kinesis-local"), isPersistent: false });
  const between = await KinesisFaultProxy.listen({ targetPort: other.port });
  const through = localKinesisClient(between.url, { maxAttempts: 1 });
  try {
    await new KinesisAdmin(through, "s").create(2);
    between.inject(failEntries(atIndexes(1), "InternalFailure"));
    const Records = ["a", "b"].map((text) => ({ Data: Buffer.from(text), PartitionKey: text }));
    const answer = await through.send(new PutRecordsCommand({ StreamName: "s", Records }));
    assert.equal(answer.FailedRecordCount, 1);
    assert.deepEqual(
      answer.Records?.map(({ ErrorCode }) => ErrorCode),
      [undefined, "InternalFailure"],
    );
  } finally {
    through.destroy();
    await between.close();
    await other.kill();
  }
});

test("the same seed strikes the same calls", async () => {
  const strikesOf = async (seed: number) => {
    const seeded = await KinesisFaultProxy.listen({ targetPort: server.port, random: seededRandom(seed) });
    const fault = seeded.inject(throttled(), { chance: 0.5 });
    const through = localKinesisClient(seeded.url, { maxAttempts: 1 });
    let pattern = "";
    for (let call = 0; call < 16; call++) {
      const error = await errorOf(through.send(new ListShardsCommand({ StreamName: "s" })));
      pattern += error === "no error" ? "." : "x";
    }
    through.destroy();
    await seeded.close();
    assert.equal(fault.struck, pattern.replaceAll(".", "").length);
    return pattern;
  };
  const pattern = await strikesOf(5);
  assert.match(pattern, /\.x|x\./);
  assert.equal(await strikesOf(5), pattern);
  assert.notEqual(await strikesOf(6), pattern);
});
