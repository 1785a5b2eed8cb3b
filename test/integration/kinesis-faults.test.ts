import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { BridgeError } from "../../bridge/errors.ts";
import { endPosition } from "../../bridge/streams/stream-log.ts";
import {
  type HttpFault,
  resetAfter,
  resetBefore,
  slow,
  timeOutAfterSuccess,
  timeOutBefore,
} from "../../simulator/prove/fault-proxies/http-fault.ts";
import {
  expiredIterator,
  internalFailureAfter,
  internalFailureBefore,
  jsonAnswer,
  jsonOf,
  throttled,
} from "../../simulator/prove/fault-proxies/kinesis-faults.ts";
import {
  byChance,
  failEntries,
  misreportEntries,
  misrouteEntries,
} from "../../simulator/prove/fault-proxies/put-records-faults.ts";
import { KinesisPipeline, type Verdict } from "../support/kinesis-pipeline.ts";
import { KinesisUnderTest } from "../support/kinesis-stream.ts";

let kinesis: KinesisUnderTest;
before(async () => {
  kinesis = await KinesisUnderTest.start("kinesalite");
});
after(() => kinesis.destroy());

async function onPipeline(
  use: (pipeline: KinesisPipeline) => Promise<void>,
  options: Parameters<typeof KinesisPipeline.open>[1] = {},
): Promise<void> {
  const stream = await kinesis.stream(3);
  const pipeline = await KinesisPipeline.open(stream, options);
  try {
    await use(pipeline);
  } finally {
    kinesis.proxy.heal();
    await pipeline.close();
    await stream.close();
  }
}

function assertSound(verdict: Verdict): void {
  const { lost, doubled, disordered, unaccounted, halts } = verdict;
  const none = { lost: 0, doubled: 0, disordered: 0, unaccounted: 0, halts: [] };
  assert.deepEqual({ lost, doubled, disordered, unaccounted, halts }, none);
  assert.ok(verdict.acked > 0);
}

/**
 * Publishes under a fault of some calls, then without faults. Each message must be acknowledged in the end,
 * and filed once.
 */
function survives(title: string, fault: HttpFault, on: string, chance: number): void {
  test(`nothing is lost, duplicated or out of order: ${title}`, async () => {
    await onPipeline(async (pipeline) => {
      const injected = kinesis.proxy.inject(fault, { on: [on], chance });
      await pipeline.consume();
      // A busy machine makes few calls in that time.
      for (let turn = 0; turn < 10 && (turn === 0 || injected.struck === 0); turn++)
        await pipeline.publish(800);
      kinesis.proxy.heal();
      await pipeline.settle();
      assert.ok(injected.struck > 0, "the fault struck");
      assert.deepEqual(pipeline.failures, {});
      assert.equal(pipeline.acked, pipeline.sent);
      assertSound(await pipeline.judge());
    });
  });
}

const chance = byChance(0.3);
survives("entries fail", failEntries(chance, "InternalFailure"), "PutRecords", 0.7);
survives(
  "entries are throttled",
  failEntries(chance, "ProvisionedThroughputExceededException"),
  "PutRecords",
  0.7,
);
survives(
  "entries are stored, but reported as failed",
  misreportEntries(chance, "InternalFailure"),
  "PutRecords",
  0.7,
);
survives(
  "entries are stored in other shards",
  misrouteEntries(
    byChance(0.1),
    ({ ExplicitHashKey }) => (BigInt(ExplicitHashKey ?? 0) + 2n ** 127n) % 2n ** 128n,
  ),
  "PutRecords",
  0.5,
);
survives("calls are throttled", throttled(), "PutRecords", 0.4);
survives("calls take effect, and are not answered in time", timeOutAfterSuccess(), "PutRecords", 0.1);
survives("calls take no effect, and are not answered", timeOutBefore(), "PutRecords", 0.1);
survives("calls take effect, and the connection is reset", resetAfter(), "PutRecords", 0.3);
survives("connections are reset before the call", resetBefore(), "PutRecords", 0.3);
survives("5xx after the call took effect", internalFailureAfter(), "PutRecords", 0.3);
survives("5xx before", internalFailureBefore(503), "PutRecords", 0.3);
survives("calls arrive late", slow(250), "PutRecords", 0.3);
survives("iterators expire", expiredIterator(), "GetRecords", 0.3);
survives("reads are throttled", throttled(), "GetRecords", 0.3);
survives("reading fails", internalFailureBefore(), "GetRecords", 0.3);
survives("reads are reset", resetAfter(), "GetRecords", 0.3);

/** The call takes effect, and its answer lacks the entry of the first record. */
const shortAnswer: HttpFault = {
  name: "shortAnswer",
  strike: async (call) => {
    const answer = await call.forward();
    const [, ...rest] = jsonOf(answer.body)["Records"] as unknown[];
    return jsonAnswer(200, { FailedRecordCount: 0, Records: rest });
  },
};

test("an answer with fewer entries than records is not taken for a success", async () => {
  await onPipeline(async (pipeline) => {
    const injected = kinesis.proxy.inject(shortAnswer, { on: ["PutRecords"], times: 5 });
    await pipeline.consume();
    await pipeline.publish(300);
    await pipeline.settle();
    assert.equal(injected.struck, 5);
    assertSound(await pipeline.judge());
  });
});

test("while Kinesis is unreachable nothing is acknowledged; once Kinesis is back, everything is", async () => {
  await onPipeline(async (pipeline) => {
    await pipeline.consume();
    await pipeline.publish(200);
    await pipeline.producer.flush();
    await kinesis.proxy.down();
    const before = pipeline.acked;
    await pipeline.publish(500);
    await delay(200);
    assert.equal(pipeline.acked, before);
    await kinesis.proxy.up();
    await pipeline.settle();
    assert.equal(pipeline.acked, pipeline.sent);
    assertSound(await pipeline.judge());
  });
});

test("a shard that Kinesis has deleted is a gap, even for a process that never knew the shard", async () => {
  const stream = await (await kinesis.stream(1)).open({ mode: "read" });
  const isForgotten = (error: unknown) =>
    error instanceof BridgeError &&
    error.code === "STREAM_GAP" &&
    error.details["resumeAfter"] === endPosition;
  await assert.rejects(stream.read(7, "49", { maxBytes: 1, maxEntries: 1 }), isForgotten);
  await assert.rejects(stream.partitionState(7), isForgotten);
  assert.deepEqual(await stream.read(7, endPosition, { maxBytes: 1, maxEntries: 1 }), []);
  await stream.close();
});

test("the checkers detect a client that takes failed entries for stored ones", async () => {
  await onPipeline(
    async (pipeline) => {
      const injected = kinesis.proxy.inject(failEntries(byChance(0.3), "InternalFailure"), {
        on: ["PutRecords"],
      });
      await pipeline.publish(300);
      kinesis.proxy.heal();
      await pipeline.publish(100);
      await pipeline.settle();
      assert.ok(injected.struck > 0);
      const verdict = await pipeline.judge();
      assert.ok(verdict.lost > 0, "acknowledged messages are in no table");
      assert.ok(verdict.halts.includes("STREAM_GAP"), "reading stops at the missing messages");
      assert.ok(verdict.unaccounted > 0, "the gap says how many messages are missing");
    },
    { ignoresFailures: true },
  );
});
