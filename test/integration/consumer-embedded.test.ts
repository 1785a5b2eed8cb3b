import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { EmbeddedPipeline, pipelinePartitions } from "../support/embedded-pipeline.ts";
import { numbered, openConsumer } from "../support/lake-pipeline.ts";

const idsSql = "SELECT decode(message_id), count(*)::INT FROM telemetry GROUP BY 1 ORDER BY 1";

/** The ids 0 … count − 1 as the query returns them, each once. */
function once(count: number): [string, number][] {
  return Array.from({ length: count }, (_, number): [string, number] => [`m${number}`, 1]).toSorted(
    ([left], [right]) => (left < right ? -1 : 1),
  );
}

describe("consumer on the embedded stream, DuckDB and a local lake", () => {
  let pipeline: EmbeddedPipeline;
  before(async () => {
    pipeline = await EmbeddedPipeline.open();
  });
  after(() => pipeline.close());

  test("appended messages are filed once, over restarts and resends, and bad ones are quarantined", async () => {
    const partitionOf = (number: number) => number % pipelinePartitions;
    for (let block = 0; block < 20; block++) {
      for (const partition of [0, 1]) {
        const numbers = Array.from({ length: 20 }, (_, index) => block * 20 + index);
        const messages = numbers.filter((number) => partitionOf(number) === partition);
        const resent = messages.map((number) => numbered(partition, Math.max(partition, number - 20)));
        await pipeline.append(partition, [
          ...messages.map((number) => numbered(partition, number)),
          ...resent,
        ]);
      }
      if (block % 5 === 4) await pipeline.drain();
    }
    const broken = { ...numbered(0, 0), payload: Buffer.from("{") };
    await pipeline.append(0, [broken, numbered(0, 0, { other: true })]);
    const consumer = await pipeline.drain();

    assert.deepEqual(await pipeline.query(idsSql), once(400));
    const quarantined = await pipeline.query(
      "SELECT reason, topic_id, topic_version FROM _quarantine ORDER BY 1",
    );
    assert.deepEqual(quarantined, [
      ["id-reused", "t1", 1],
      ["payload-undecodable", "t1", 1],
    ]);
    for (const { counters, state } of consumer.status().partitions) {
      const { read, filed, duplicates, quarantined: bad, resent, misrouted } = counters;
      assert.equal(read, filed + duplicates + bad + resent + misrouted);
      assert.equal(state, "running");
    }
    for (const partition of [0, 1])
      assert.equal(
        (await pipeline.stream.partitionState(partition)).retainedBytes,
        0,
        "all blocks are trimmed",
      );
  });

  test("a device's rows show the order in which its messages came", async () => {
    const disordered = await pipeline.query(
      "SELECT count(*)::INT FROM (SELECT message_id, lag(substr(decode(message_id), 2)::INT) OVER " +
        "(PARTITION BY device_id ORDER BY _partition, _position, _index) AS before, substr(decode(message_id), 2)::INT AS number " +
        "FROM telemetry) WHERE before > number",
    );
    assert.deepEqual(disordered, [[0]]);
  });

  test("two consumers on one lake file each message once and stop no partition", async () => {
    const consumers = await Promise.all([
      openConsumer(pipeline.folder, pipeline.stream),
      openConsumer(pipeline.folder, pipeline.stream),
    ]);
    const runs = consumers.map((consumer) => consumer.run());
    for (let number = 400; number < 1000; number += 10) {
      const partition = (number / 10) % 2;
      const numbers = Array.from({ length: 10 }, (_, index) => number + index);
      await pipeline.append(
        partition,
        numbers.map((each) => numbered(partition, each)),
      );
      if (number % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    for (const consumer of consumers) await consumer.stop({ drain: true });
    await Promise.all(runs);
    await pipeline.drain();
    assert.deepEqual(await pipeline.query(idsSql), once(1000));
    const superseded = consumers.reduce((sum, consumer) => sum + consumer.status().replayedBatches, 0);
    assert.ok(superseded > 0, "the consumers collided");
    assert.deepEqual(
      consumers.flatMap((consumer) => consumer.status().partitions.filter(({ halt }) => halt)),
      [],
    );
  });

  test("a lost block stops its partition, and an operator's acceptance is in the books", async () => {
    const messages = (start: number) => [numbered(0, start), numbered(0, start + 1), numbered(0, start + 2)];
    await pipeline.append(0, messages(1000));
    const lost = await pipeline.append(0, messages(2000));
    await pipeline.append(0, messages(1003));
    await pipeline.loseBlock(0, lost);
    const consumer = await openConsumer(pipeline.folder, pipeline.stream);
    const run = consumer.run();
    const partition = () => consumer.status().partitions[0];
    while (!partition()?.halt) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(
      [partition()?.halt?.code, partition()?.halt?.resume, partition()?.unaccounted],
      ["STREAM_GAP", "tidegate stream accept-gap 0", 3],
    );
    const accepted = await consumer.acceptGap(0);
    assert.equal(accepted.unaccounted, 3);
    await consumer.stop({ drain: true });
    await run;
    assert.equal(partition()?.counters.unaccounted, 3);
    assert.deepEqual(await pipeline.query(idsSql), once(1006));
  });
});
