import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockBuilder } from "../../../../bridge/block/block-builder.ts";
import { BridgeError } from "../../../../bridge/errors.ts";
import type { StreamLog } from "../../../../bridge/streams/stream-log.ts";
import { countUnread, nothingUnread, replacementOf } from "../../../../bridge/streams/stream-replacement.ts";
import { blockTime } from "../../../support/block-time.ts";
import { lakeWith } from "../../../support/lake-state.ts";
import { MemoryStream } from "../../../support/memory-stream.ts";

const producerId = "ab".repeat(8);

/** Appends a block of one producer with so many messages. */
async function append(
  stream: StreamLog,
  at: { readonly partition: number; readonly sequence: number },
  messages: number,
): Promise<string> {
  const builder = new BlockBuilder({ maxBytes: 10_000 });
  for (let index = 0; index < messages; index++)
    builder.add({
      topicId: "t",
      topicVersion: 1,
      topicName: "fleet/d/telemetry",
      deviceId: "d",
      qos: 1,
      payload: Buffer.from("x"),
    });
  const time = blockTime(1_800_000_000_000);
  const seal = { lastAcknowledgedSequence: at.sequence - 1, acknowledgedMessages: 0, time };
  return await stream.append(
    at.partition,
    builder.seal({ streamId: stream.streamId, producerId, ...at, ...seal }),
  );
}

test("unread messages are those after the lake's positions, in all partitions, each block once", async () => {
  const held = new MemoryStream({ partitionCount: 3 });
  const stream = held.open();
  await append(stream, { partition: 0, sequence: 1 }, 5);
  const committed = await append(stream, { partition: 0, sequence: 2 }, 7);
  await append(stream, { partition: 0, sequence: 2 }, 7);
  await append(stream, { partition: 0, sequence: 3 }, 2);
  await append(stream, { partition: 0, sequence: 3 }, 2);
  await append(stream, { partition: 0, sequence: 4 }, 0);
  await append(stream, { partition: 2, sequence: 1 }, 3);
  const mark = { lastSequence: 2, ackedMessages: 12, seenAtMs: 0 };
  const lake = lakeWith({ [`${stream.streamId}/0`]: committed }, { [producerId]: mark });
  assert.deepEqual(await countUnread(stream, lake), { blocks: 2, messages: 5 });
  await stream.trim(0, committed);
  assert.deepEqual(await countUnread(stream, lake), { blocks: 2, messages: 5 });
  assert.deepEqual(await countUnread(stream, lakeWith({})), null, "the trimmed ones are in no lake");
});

test("a stream that lost something, or is not one, has an unknown number of unread messages", async () => {
  const held = new MemoryStream({ partitionCount: 1 });
  const stream = held.open();
  await append(stream, { partition: 0, sequence: 1 }, 1);
  const second = await append(stream, { partition: 0, sequence: 2 }, 1);
  await append(stream, { partition: 0, sequence: 3 }, 1);
  assert.deepEqual(await countUnread(stream, lakeWith({})), { blocks: 3, messages: 3 });
  const further = lakeWith({ [`${stream.streamId}/0`]: second.replace(/.$/, "9") });
  assert.equal(await countUnread(stream, further), null, "the lake has got further");
  held.loseEntry(0, second);
  assert.equal(await countUnread(stream, lakeWith({})), null, "a block is lost");
  const foreign = new MemoryStream({ partitionCount: 1 }).open();
  await foreign.append(0, Buffer.from("no block"));
  assert.equal(await countUnread(foreign, lakeWith({})), null, "BLOCK_CORRUPT");
});

test("a server that does not answer is no reason to give up the count", async () => {
  const held = new MemoryStream({ partitionCount: 1 });
  await append(held.open(), { partition: 0, sequence: 1 }, 1);
  held.faults.beforeRead = () => {
    throw new BridgeError("REDIS_UNAVAILABLE", "away", { retryable: true });
  };
  await assert.rejects(countUnread(held.open(), lakeWith({})), { code: "REDIS_UNAVAILABLE" });
});

test("only a stream that took the place of another says so", () => {
  const record = { startedAnew: true, createdAtMs: 7, replaces: "a".repeat(32), unread: nothingUnread };
  const { replaces, unread } = record;
  assert.deepEqual(replacementOf(record), { replaces, unread, atMs: 7 });
  assert.deepEqual(replacementOf({ ...record, replaces: null, unread: null }), {
    replaces: null,
    unread: null,
    atMs: 7,
  });
  assert.equal(replacementOf({ ...record, startedAnew: false, replaces: null, unread: null }), null);
  assert.equal(replacementOf({ ...record, replaces: null }), null, "created beside one that is filed");
});
