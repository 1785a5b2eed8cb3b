import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { resetAfter, timeOutAfterSuccess } from "../../simulator/prove/fault-proxies/http-fault.ts";
import { expiredIterator } from "../../simulator/prove/fault-proxies/kinesis-faults.ts";
import { byChance, failEntries } from "../../simulator/prove/fault-proxies/put-records-faults.ts";
import type { KinesisAdmin } from "../../simulator/prove/servers/kinesis-admin.ts";
import { KinesisPipeline } from "../support/kinesis-pipeline.ts";
import { KinesisUnderTest, type LocalKinesis } from "../support/kinesis-stream.ts";

/** Bound for steps until the test has met the events that it tests, which usually takes moments. */
const moreDivisionsMax = 40;

type Step = (admin: KinesisAdmin, pipeline: KinesisPipeline) => Promise<void>;

const split: Step = (admin) => admin.split();
const merge: Step = (admin) => admin.merge();
const to =
  (count: number): Step =>
  (admin) =>
    admin.updateShardCount(count);
/**
 * The new consumer seeds its window from the files: those of child shards by the devices that belong to them
 * now.
 */
const restartConsumer: Step = (_, pipeline) => pipeline.consume();

for (const kind of ["kinesalite", "kinesis-local"] satisfies LocalKinesis[])
  describe(`a stream whose shards are split and merged, on ${kind}`, () => {
    let kinesis: KinesisUnderTest;
    before(async () => {
      kinesis = await KinesisUnderTest.start(kind);
    });
    after(() => kinesis.destroy());

    const survives = (title: string, steps: readonly Step[], { hasFaults = false } = {}) =>
      test(title, async () => {
        const stream = await kinesis.stream(2);
        const pipeline = await KinesisPipeline.open(stream);
        try {
          await pipeline.consume();
          await pipeline.publish(200);
          if (hasFaults) injectFaults(kinesis);
          const take = (step: Step) => Promise.all([pipeline.publish(300), step(stream.admin, pipeline)]);
          for (const step of steps) await take(step);
          // Producers learn of most splits and merges when blocks are stored in other shards.
          const hasMet = async () => {
            const { misrouted, resent } = await pipeline.counted();
            return misrouted > 0 && (!hasFaults || resent > 0);
          };
          if (steps.length > 2)
            for (let more = 0; more < moreDivisionsMax && !(await hasMet()); more++)
              await take(more % 2 === 0 ? split : merge);
          kinesis.proxy.heal();
          await pipeline.publish(200);
          await pipeline.settle();
          assert.deepEqual(pipeline.failures, {});
          assert.equal(pipeline.acked, pipeline.sent);
          const { acked, resent, misrouted, ...faults } = await pipeline.judge();
          assert.deepEqual(faults, { lost: 0, doubled: 0, disordered: 0, unaccounted: 0, halts: [] });
          assert.ok(acked > 0);
          if (steps.length > 2) assert.ok(misrouted > 0);
          if (hasFaults) assert.ok(resent > 0);
        } finally {
          kinesis.proxy.heal();
          await pipeline.close();
          await stream.close();
        }
      });

    survives("a split", [split]);
    survives("a merge", [merge]);
    survives("more shards, then fewer, by UpdateShardCount", [to(4), to(2)]);
    survives("many splits and merges while the consumer restarts", [
      split,
      restartConsumer,
      merge,
      split,
      restartConsumer,
      split,
      merge,
    ]);
    survives("many splits and merges while calls fail", [split, merge, split, restartConsumer, merge], {
      hasFaults: true,
    });
  });

function injectFaults({ proxy }: KinesisUnderTest): void {
  proxy.inject(failEntries(byChance(0.3), "InternalFailure"), { on: ["PutRecords"], chance: 0.2 });
  proxy.inject(timeOutAfterSuccess(), { on: ["PutRecords"], chance: 0.03 });
  proxy.inject(resetAfter(), {
    on: ["PutRecords", "GetRecords", "ListShards", "DescribeStreamSummary"],
    chance: 0.1,
  });
  proxy.inject(expiredIterator(), { on: ["GetRecords"], chance: 0.1 });
}
