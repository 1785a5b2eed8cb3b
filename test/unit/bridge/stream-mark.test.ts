import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkStreamMark, keepStreamMark, readStreamMark } from "../../../bridge/streams/stream-mark.ts";
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

function keep(file: string, stream: Awaited<ReturnType<typeof streamOf>>, intervalMs: number) {
  const highest = async () => {
    const states = await Promise.all([0, 1].map((partition) => stream.partitionState(partition)));
    return states.map((state) => state.highest);
  };
  return keepStreamMark({ file, streamId: stream.streamId, highest, intervalMs, logger: silentLogger });
}

test("a stream that ends before its mark is STREAM_GAP, with what to do; one that went on is in order", async () => {
  const file = join(root, "mark.json");
  const stream = await streamOf(3, "s1");
  await checkStreamMark(await readStreamMark(file), stream);
  await keep(file, stream, never).stop();
  const mark = await readStreamMark(file);
  await checkStreamMark(mark, stream);
  await checkStreamMark(mark, await streamOf(4, "s1"));
  await assert.rejects(checkStreamMark(mark, await streamOf(2, "s1")), {
    code: "STREAM_GAP",
    message: /partition 1 .* `tidegate stream new`/,
  });
  await checkStreamMark(mark, await streamOf(0, "another stream"));
});

test("marks follow the stream by themselves, and only when it has moved", async () => {
  const file = join(root, "follows.json");
  const stream = await streamOf(1);
  const mark = keep(file, stream, 5);
  while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 5));
  const first = readFileSync(file, "utf8");
  const position = await stream.append(0, block);
  await mark.stop();
  assert.notEqual(readFileSync(file, "utf8"), first);
  assert.equal((await readStreamMark(file))?.highest[0], position);
});

test("a mark that can't be read counts as none, and one that can't be written stops nothing", async () => {
  const file = join(root, "torn.json");
  writeFileSync(file, '{"streamId":');
  assert.equal(await readStreamMark(file), null);
  await checkStreamMark(null, await streamOf(0));
  await keep(join(root, "missing", "mark.json"), await streamOf(1), never).stop();
});
