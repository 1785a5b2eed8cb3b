import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkStreamMark, keepStreamMark } from "../../../bridge/streams/stream-mark.ts";
import { MemoryStream } from "../../support/memory-stream.ts";
import { silentLogger } from "../../support/test-lake.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-mark-"));
after(() => rmSync(root, { recursive: true, force: true }));
const block = Uint8Array.of(1);
const never = 2 ** 30;

async function streamOf(blocks: number, streamId?: string) {
  const memory = new MemoryStream({ partitionCount: 2, now: () => 1 });
  const stream = memory.open();
  for (let count = 0; count < blocks; count++) await stream.append(1, block);
  return Object.assign(stream, streamId === undefined ? {} : { streamId });
}

test("a stream that ends before its mark is STREAM_GAP, with what to do; one that went on is in order", async () => {
  const file = join(root, "mark.json");
  const stream = await streamOf(3, "s1");
  await checkStreamMark(file, stream);
  const mark = keepStreamMark({ file, stream, intervalMs: never, logger: silentLogger });
  await mark.stop();
  await checkStreamMark(file, stream);
  await checkStreamMark(file, await streamOf(4, "s1"));
  await assert.rejects(checkStreamMark(file, await streamOf(2, "s1")), {
    code: "STREAM_GAP",
    message: /partition 1 .* `tidegate stream new`/,
  });
  await checkStreamMark(file, await streamOf(0, "another stream"));
});

test("marks follow the stream by themselves, and only when it has moved", async () => {
  const file = join(root, "follows.json");
  const stream = await streamOf(1);
  const mark = keepStreamMark({ file, stream, intervalMs: 5, logger: silentLogger });
  while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 5));
  const first = readFileSync(file, "utf8");
  const position = await stream.append(0, block);
  await mark.stop();
  assert.notEqual(readFileSync(file, "utf8"), first);
  assert.equal(JSON.parse(readFileSync(file, "utf8")).highest[0], position);
});

test("a mark that can't be read counts as none, and one that can't be written stops nothing", async () => {
  const file = join(root, "torn.json");
  writeFileSync(file, '{"streamId":');
  await checkStreamMark(file, await streamOf(0));
  const stream = await streamOf(1);
  const nowhere = join(root, "missing", "mark.json");
  await keepStreamMark({ file: nowhere, stream, intervalMs: never, logger: silentLogger }).stop();
});
