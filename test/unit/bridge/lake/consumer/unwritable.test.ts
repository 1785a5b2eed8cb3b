import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProbedRow } from "../../../../../bridge/lake/batch-writer.ts";
import { ConsumerHarness, json } from "../../../../support/consumer-harness.ts";
import { type FiledRow, JsonBatchWriter } from "../../../../support/json-lake.ts";
import { topicVersion } from "../../../../support/topic-version.ts";

type Named = Pick<ProbedRow["row"], "messageId" | "topicName">;

const idOf = ({ messageId }: Named) => String(messageId);

/** Far more than it takes to find a row. */
const failuresMax = 200;

/**
 * A writer that fails as long as it holds a bad row, as a native engine may for an unforeseen reason. It
 * gives up failing in the end: a consumer that does not find the row must make its test fail, and not run for
 * ever.
 */
class FailingWriter extends JsonBatchWriter {
  readonly #isBad: (row: Named) => boolean;
  readonly #options: { readonly alsoQuarantined?: boolean; readonly isUnseen?: boolean };
  #bad = false;
  #failures = 0;
  writes = 0;
  probes = 0;

  constructor(
    harness: ConsumerHarness,
    isBad: (row: Named) => boolean,
    options: { readonly alsoQuarantined?: boolean; readonly isUnseen?: boolean } = {},
  ) {
    super(harness.store, () => `w${Math.random()}`);
    this.#isBad = isBad;
    this.#options = options;
  }

  override add(...[topic, row]: Parameters<JsonBatchWriter["add"]>): void {
    this.#bad ||= this.#isBad(row);
    super.add(topic, row);
  }

  override quarantine(...[row, facts]: Parameters<JsonBatchWriter["quarantine"]>): void {
    this.#bad ||= this.#options.alsoQuarantined === true && this.#isBad(row);
    super.quarantine(row, facts);
  }

  override async write(): ReturnType<JsonBatchWriter["write"]> {
    this.writes += 1;
    if (!this.#bad) return super.write();
    if (++this.#failures < failuresMax) throw new Error("Invalid Input Error: nobody foresaw this");
    return super.write();
  }

  get hasGivenUp(): boolean {
    return this.#failures >= failuresMax;
  }

  assertFound(): void {
    assert.ok(
      !this.hasGivenUp,
      `the row that can't be written was not found in ${failuresMax} failed writes`,
    );
  }

  override async probe(rows: readonly ProbedRow[]): Promise<void> {
    this.probes += 1;
    const isBad = !this.#options.isUnseen && rows.some(({ row }) => this.#isBad(row));
    if (isBad) throw new TypeError("nobody foresaw this");
  }

  override async discard(): Promise<void> {
    this.#bad = false;
    await super.discard();
  }
}

function reasonsOf(rows: readonly FiledRow[]): string[] {
  return rows.flatMap(({ reason, messageId }) =>
    reason === null ? [] : [`${Buffer.from(messageId ?? "", "hex")} ${reason}`],
  );
}

test("a message that cannot be written costs only itself: it is quarantined with the reason, logged and counted; all others are filed", async () => {
  const harness = new ConsumerHarness();
  const ids = Array.from({ length: 40 }, (_, index) => `m${index}`);
  for (let start = 0; start < ids.length; start += 8)
    harness.append(ids.slice(start, start + 8).map((id) => json(id)));
  const batch = new FailingWriter(harness, (row) => idOf(row) === "m13");
  const consumer = await harness.drain({ batch });
  batch.assertFound();
  assert.deepEqual(
    harness.ids(),
    ids.filter((id) => id !== "m13"),
  );
  assert.deepEqual(reasonsOf(harness.rows()), ["m13 filing-failed"]);
  assert.ok(batch.writes < 20 && batch.probes < 20, `${batch.writes} writes, ${batch.probes} probes`);
  assert.equal(consumer.status().partitions[0]?.counters.quarantined, 1);
  const told = harness.log.filter(({ event }) => event === "consumer.filing.failed");
  assert.deepEqual([told.length, told[0]?.["messages"], told[0]?.["topic"]], [1, 1, "telemetry"]);
  assert.match(
    await harness.registry.metrics(),
    /tidegate_consumer_quarantined_total\{reason="filing-failed"\} [1-9]/,
  );
});

test("a topic without any writable row costs only that topic, with few attempts however many rows it has", async () => {
  const harness = new ConsumerHarness();
  harness.define(topicVersion({ topicId: "t2", name: "pumps" }));
  const second = { topicId: "t2", topicName: "pump/d1" };
  for (let block = 0; block < 30; block++)
    harness.append(
      Array.from({ length: 20 }, (_, index) => [
        json(`a${block}-${index}`),
        { ...json(`b${block}-${index}`), ...second },
      ]).flat(),
    );
  const batch = new FailingWriter(harness, ({ topicName }) => topicName === "pump/d1");
  await harness.drain({ batch });
  batch.assertFound();
  assert.equal(harness.ids().length, 600);
  const reasons = reasonsOf(harness.rows());
  assert.equal(reasons.length, 600);
  assert.ok(reasons.every((reason) => /^b.* filing-failed$/.test(reason)));
  assert.ok(batch.probes < 200, `${batch.probes} probes`);
});

test("while nothing can be written, no message is at fault: nothing is quarantined, and everything is filed later", async () => {
  const harness = new ConsumerHarness();
  harness.append([json("a"), json("b")]);
  harness.append([json("c")]);
  let isBroken = true;
  const batch = new FailingWriter(harness, () => isBroken);
  const run = harness.drain({ batch });
  while (batch.writes < 12) await new Promise((resolve) => setImmediate(resolve));
  isBroken = false;
  const consumer = await run;
  assert.deepEqual([harness.ids(), reasonsOf(harness.rows())], [["a", "b", "c"], []]);
  assert.equal(consumer.status().lastFailure?.code, "FILING_FAILED");
});

test("a block that cannot be written although its rows can stops only its partition", async () => {
  const harness = new ConsumerHarness({ partitionCount: 2 });
  harness.append([json("a")]);
  const bad = harness.append([json("bad")]);
  harness.append([json("c"), json("d")], { partition: 1 });
  const batch = new FailingWriter(harness, (row) => idOf(row) === "bad", {
    alsoQuarantined: true,
    isUnseen: true,
  });
  const consumer = harness.consumer({ batch });
  const run = consumer.run();
  const isHalted = () => consumer.status().partitions[0]?.halt !== null && harness.ids().length >= 3;
  while (!isHalted() && !batch.hasGivenUp) await new Promise((resolve) => setImmediate(resolve));
  if (batch.hasGivenUp) await consumer.stop({ drain: false });
  batch.assertFound();
  const { halt } = consumer.status().partitions[0] ?? assert.fail();
  assert.equal(halt?.code, "BLOCK_POISON");
  assert.match(halt?.message ?? "", new RegExp(`block at ${bad} can't be written`));
  assert.match(halt?.resume ?? "", /accept-gap 0/);
  assert.deepEqual(harness.ids().sort(), ["a", "c", "d"]);
  await consumer.stop({ drain: false });
  await run;
});

test("a bad message is found also while another partition never ends", async () => {
  const harness = new ConsumerHarness({ partitionCount: 2 });
  harness.append([json("a"), json("bad"), json("c")]);
  const batch = new FailingWriter(harness, (row) => idOf(row) === "bad");
  const consumer = harness.consumer({ batch, config: { maxBatchAgeMs: 100 } });
  const run = consumer.run();
  const isFound = () => consumer.status().partitions[0]?.counters.quarantined === 1;
  for (let other = 0; other < 200 && !isFound(); other++) {
    for (let block = 0; block < 20; block++)
      harness.append([json(`other${other}-${block}`)], { partition: 1 });
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  await consumer.stop({ drain: false });
  await run;
  assert.ok(isFound(), "the row that can't be written was not found while another partition went on");
  assert.deepEqual(
    harness.ids().filter((id) => !id.startsWith("other")),
    ["a", "c"],
  );
});
