import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import pino from "pino";
import { checkStreamMarks, keepStreamMark, readStreamMarks } from "../../../../bridge/streams/stream-mark.ts";
import { MemoryStream } from "../../../support/memory-stream.ts";
import { silentLogger } from "../../../support/test-lake.ts";
import { until } from "../../../support/until.ts";

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

/** @param pause Awaited between reading the stream's positions and writing the mark. */
function keep(
  file: string,
  stream: Awaited<ReturnType<typeof streamOf>>,
  intervalMs: number,
  pause: Promise<void> = Promise.resolve(),
) {
  const highest = async () => {
    const states = await Promise.all([0, 1].map((partition) => stream.partitionState(partition)));
    await pause;
    return states.map((state) => state.highest);
  };
  return keepStreamMark({ file, streamId: stream.streamId, highest, intervalMs, logger: silentLogger });
}

test("a stream that ends before its mark is STREAM_GAP, with what to do; one that has grown passes", async () => {
  const file = join(root, "mark.json");
  const stream = await streamOf(3, "s1");
  await checkStreamMarks(await readStreamMarks(file), stream);
  await keep(file, stream, never).stop();
  const mark = await readStreamMarks(file);
  await checkStreamMarks(mark, stream);
  await checkStreamMarks(mark, await streamOf(4, "s1"));
  await assert.rejects(checkStreamMarks(mark, await streamOf(2, "s1")), {
    code: "STREAM_GAP",
    message: /partition 1 .* `tidegate stream new`/,
  });
  await checkStreamMarks(mark, await streamOf(0, "another stream"));
});

test("marks follow the stream by themselves, and only when it has moved", async () => {
  const file = join(root, "follows.json");
  const stream = await streamOf(1);
  const mark = keep(file, stream, 5);
  const marked = async () => (await readStreamMarks(file))[0]?.highest[0];
  while ((await marked()) === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
  const first = await marked();
  const position = await stream.append(0, block);
  await mark.stop();
  assert.notEqual(first, position);
  assert.equal(await marked(), position);
});

test("a writer that was paused, and goes on after another one has taken over, makes the mark no weaker", async () => {
  const file = join(root, "succession.json");
  const stream = await streamOf(1, "s1");
  let resume = (): void => {};
  const pause = new Promise<void>((resolve) => {
    resume = resolve;
  });
  const former = keep(file, stream, never, pause).stop();
  await stream.append(1, block);
  await keep(file, stream, never).stop();
  resume();
  await former;
  await assert.rejects(checkStreamMarks(await readStreamMarks(file), await streamOf(1, "s1")), {
    code: "STREAM_GAP",
  });

  await keep(file, await streamOf(2, "s1"), never).stop();
  assert.equal(readdirSync(root).filter((name) => name.startsWith("succession")).length, 1);
});

test("a mark of version 0.1.0 holds until there is a newer one", async () => {
  const file = join(root, "earlier.json");
  const stream = await streamOf(3, "s1");
  const { highest } = await stream.partitionState(1);
  writeFileSync(file, JSON.stringify({ streamId: "s1", highest: ["", highest] }));
  await assert.rejects(checkStreamMarks(await readStreamMarks(file), await streamOf(2, "s1")), {
    code: "STREAM_GAP",
  });
  await keep(file, stream, never).stop();
  assert.ok(!existsSync(file));
  assert.equal((await readStreamMarks(file))[0]?.highest[1], highest);
});

test("an unreadable mark is ignored, and a failed write stops nothing", async () => {
  const file = join(root, "torn.json");
  writeFileSync(file, '{"streamId":');
  assert.deepEqual(await readStreamMarks(file), []);
  await checkStreamMarks([], await streamOf(0));
  await keep(join(root, "missing", "mark.json"), await streamOf(1), never).stop();
});

test("a failed mark is logged once, and so is its recovery", async () => {
  const lines: { level: number; event: string }[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  let tries = 0;
  const highest = async () => {
    tries += 1;
    return [""];
  };
  const folder = join(root, "made later");
  const file = join(folder, "mark.json");
  const mark = keepStreamMark({ file, streamId: "s1", highest, intervalMs: 1, logger });
  await until("it was tried again", () => tries > 4);
  mkdirSync(folder);
  await until("it is written", () => lines.length === 2);
  await mark.stop();
  assert.deepEqual(
    lines.map(({ level, event }) => [level, event]),
    [
      [40, "stream.mark.failed"],
      [30, "stream.mark.recovered"],
    ],
  );
});
