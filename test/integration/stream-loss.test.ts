import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { publishAll, statusOf, storedIds, untilFiledAndTrimmed } from "../support/gateway-books.ts";
import { GatewayProcess, runCli } from "../support/gateway-process.ts";
import { killGateway, stopReading } from "../support/kill-gateway.ts";
import { loseBlock, messageBlocksOf } from "../support/lose-block.ts";

const environment = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" };

async function partitionWithMostBlocks(folder: string): Promise<{ partition: number; blocks: number[] }> {
  const all = await Promise.all([0, 1, 2, 3].map((partition) => messageBlocksOf(folder, partition)));
  const sorted = all
    .map((blocks, partition) => ({ partition, blocks }))
    .sort((left, right) => right.blocks.length - left.blocks.length);
  return sorted[0] ?? assert.fail("the stream has partitions");
}

test("G8: a block that vanished from the stream's file stops only its partition; the loss is accepted by a command and stays in the books", async (t) => {
  const gateway = await GatewayProcess.start({ environment });
  t.after(() => gateway.destroy());
  await publishAll(gateway, [{ device: "d1", id: "before" }]);
  await untilFiledAndTrimmed(gateway);
  stopReading(gateway);
  for (const id of ["m1", "m2", "m3", "m4"]) await publishAll(gateway, [{ device: "d1", id }]);
  await killGateway(gateway);
  const folder = join(gateway.dataFolder, "stream");
  const { partition, blocks } = await partitionWithMostBlocks(folder);
  const [, second] = blocks;
  assert.ok(second !== undefined && blocks.length >= 4);
  await loseBlock(folder, partition, second);

  await gateway.start();
  const stopped = async () => (await statusOf(gateway)).consumer?.partitions[partition]?.state === "stopped";
  await gateway.until("the partition has stopped", stopped);
  await gateway.until("earlier messages are filed", async () => (await storedIds(gateway)).includes("m1"));
  const { books } = await statusOf(gateway);
  assert.equal(books?.isBalanced, false);
  assert.equal(books?.unaccounted, 1);
  const shown = await runCli(["status", "--data", gateway.dataFolder]);
  assert.match(shown.stdout, /THE BOOKS DO NOT BALANCE/);
  const command = `tidegate stream accept-gap ${partition}`;
  assert.match(shown.stdout, new RegExp(`partition ${partition}: STREAM_GAP: .*Resume: ${command}`));
  assert.deepEqual(await storedIds(gateway), ["before", "m1"], "nothing after the gap is filed");

  const others = Array.from({ length: 20 }, (_, index) => ({ device: `other${index}`, id: `x${index}` }));
  await publishAll(gateway, others);
  await gateway.until("other partitions continue", async () => (await storedIds(gateway)).length > 10);

  const accepted = await runCli([...command.split(" ").slice(1), "--data", gateway.dataFolder]);
  assert.equal(accepted.code, 0, accepted.stderr);
  assert.match(accepted.stdout, /1 acknowledged messages are given up/);
  await untilFiledAndTrimmed(gateway);
  const wanted = ["before", "m1", "m3", "m4", ...others.map(({ id }) => id)].sort();
  assert.deepEqual(await storedIds(gateway), wanted);
  assert.equal(await gateway.stop(), 0);

  await gateway.start();
  await publishAll(gateway, [{ device: "d1", id: "after" }]);
  await untilFiledAndTrimmed(gateway);
  assert.deepEqual(await storedIds(gateway), ["after", ...wanted].sort());
  const { books: later, consumer } = await statusOf(gateway);
  assert.deepEqual([later?.unaccounted, later?.isBalanced], [1, false]);
  assert.equal(consumer?.partitions[partition]?.state, "running");
});
