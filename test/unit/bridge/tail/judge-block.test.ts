import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { encodeBlock } from "../../../../bridge/block/block-builder.ts";
import { type BlockMessage, maxBlockBytes } from "../../../../bridge/block/block-format.ts";
import { startPosition } from "../../../../bridge/streams/stream-log.ts";
import { markAfterBlock } from "../../../../bridge/tail/check-block.ts";
import { judgeBlock } from "../../../../bridge/tail/judge-block.ts";
import { type JudgedMessage, MessageJudge } from "../../../../bridge/tail/judge-message.ts";
import type { ProducerMark } from "../../../../bridge/tail/producer-mark.ts";
import { readRun } from "../../../../bridge/tail/read-run.ts";
import { processCpuMs, SchemaChecks } from "../../../../bridge/tail/schema-checks.ts";
import { newClock } from "../../../../bridge/tail/stream-time.ts";
import { blockTime } from "../../../support/block-time.ts";
import { MemoryStream } from "../../../support/memory-stream.ts";
import { topicVersion } from "../../../support/topic-version.ts";

const root = join(import.meta.dirname, "..", "..", "..", "..");
/** Folders of deduplication and filing, and of what comes before a stream. */
const others = [/^bridge\/(lake|leases|producer)\//];

/** All imports of a file, direct and indirect, types included. */
function importsBelow(file: string, found = new Set<string>()): Set<string> {
  const text = readFileSync(join(root, file), "utf8");
  for (const [, specifier = ""] of text.matchAll(/from "(\.[^"]+)"|import\("(\.[^"]+)"\)/g)) {
    const target = normalize(join(dirname(file), specifier));
    if (found.has(target)) continue;
    found.add(target);
    importsBelow(target, found);
  }
  return found;
}

function faultsOf(file: string): string[] {
  return [...importsBelow(file)].filter((each) => others.some((other) => other.test(each)));
}

test("reading, checking and judging blocks import nothing of deduplication and filing", () => {
  const steps = readdirSync(join(root, "bridge/tail"));
  assert.ok(steps.includes("judge-block.ts"));
  for (const step of steps) assert.deepEqual(faultsOf(`bridge/tail/${step}`), [], step);
});

test("an import of deduplication or filing would be found", () => {
  for (const file of ["take-blocks", "read-partition", "dedupe/file-messages"])
    assert.notDeepEqual(faultsOf(`bridge/lake/consumer/${file}.ts`), []);
});

const nowMs = 1_700_000_000_000;
const schema = {
  type: "object",
  properties: { temperature: { type: "number" } },
  required: ["temperature"],
} as const;
const topic = topicVersion({ schema, columns: [{ name: "temperature", type: "double" }] });

function message(text: string, topicVersionNumber = 1): BlockMessage {
  return {
    topicId: topic.topicId,
    topicVersion: topicVersionNumber,
    topicName: "fleet/engine-7/telemetry",
    deviceId: "engine-7",
    qos: 1,
    payload: Buffer.from(text),
  };
}

test("a tail without deduplication and filing judges messages, and detects resent blocks by a mark", async () => {
  const memory = new MemoryStream({ partitionCount: 1, now: () => nowMs });
  const stream = memory.open();
  const seal = (sequence: number, acknowledgedMessages: number) => ({
    streamId: memory.streamId,
    producerId: "00000000000000aa",
    partition: 0,
    sequence,
    lastAcknowledgedSequence: sequence - 1,
    acknowledgedMessages,
    time: blockTime(nowMs),
  });
  const good = `{"id":"a","ts":${nowMs},"temperature":90.5}`;
  const first = encodeBlock(seal(1, 0), [message(good), message('{"id":"b"}'), message("{")], maxBlockBytes);
  const second = encodeBlock(seal(2, 3), [message(good)], maxBlockBytes);
  const unknown = encodeBlock(seal(3, 4), [message(good, 2)], maxBlockBytes);
  for (const block of [first, second, first, unknown]) await stream.append(0, block);

  const judge = new MessageJudge();
  const topics = { version: (_: string, version: number) => (version === 1 ? topic : undefined) };
  const ports = { stream, topics, judge, now: () => nowMs, config: { readMaxBytes: 2 ** 20 } };
  const checks = new SchemaChecks({ elapsedMs: () => 0, cpuMs: processCpuMs, unexpected: assert.fail });
  const marks = new Map<string, ProducerMark>();
  const place = {
    partition: 0,
    position: startPosition,
    ancestors: new Set<number>(),
    streamTimeMs: 0,
    clock: newClock,
    mayHaveForgotten: () => false,
    markOf: (key: string) => marks.get(key),
  };
  const run = await readRun(ports, place, 10);
  assert.ok("entries" in run);
  const judged: JudgedMessage[] = [];
  const kinds: string[] = [];
  for (const entry of run.entries) {
    const block = judgeBlock(ports, place, entry);
    if ("code" in block) {
      kinds.push(block.code);
      break;
    }
    const { header } = block.block;
    const { streamTimeMs, clock } = block.placed;
    kinds.push(block.verdict.kind);
    judged.push(...block.messages);
    Object.assign(place, { position: entry.position, streamTimeMs, clock });
    if (block.verdict.kind !== "resent")
      marks.set(block.key, markAfterBlock(header, { streamTimeMs, block: clock.blocks }));
  }
  checks.settle(judged);
  assert.deepEqual(kinds, ["fresh", "fresh", "resent", "TOPIC_UNKNOWN"]);
  assert.deepEqual(
    judged.map(({ row, values, fault }) => [row.index, values, fault?.reason ?? null]),
    [
      [0, [90.5], null],
      [1, [], "event-time-unreadable"],
      [2, [], "payload-undecodable"],
      [0, [90.5], null],
    ],
  );
});
