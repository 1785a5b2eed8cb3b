import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { EmbeddedPipeline, pipelinePartitions } from "../support/embedded-pipeline.ts";
import { numbered } from "../support/lake-pipeline.ts";
import { programArguments } from "../support/programs.ts";

const program = programArguments("test/support/consumer-child.ts");
const kills = 5;
const blockMessages = 50;

/** Runs the consumer in a process of its own, and kills the process shortly after its first commit. */
async function runAndKill(pipeline: EmbeddedPipeline, afterCommitMs: number): Promise<number> {
  const child = spawn(process.execPath, [...program, pipeline.folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  let commits = 0;
  let killing: Promise<void> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, first, second] = line.split(" ");
    if (word === "trim") await pipeline.stream.trim(Number(first), second ?? "");
    if (word !== "commit") continue;
    commits += 1;
    killing ??= delay(afterCommitMs).then(() => void child.kill("SIGKILL"));
  }
  await closed;
  await killing;
  return commits;
}

test("a consumer that is killed at any moment files every message once", {
  timeout: 180_000,
}, async (context) => {
  const pipeline = await EmbeddedPipeline.open();
  let next = 0;
  let isPublishing = true;
  const publish = async () => {
    while (isPublishing) {
      const partition = (next / blockMessages) % pipelinePartitions;
      const numbers = Array.from({ length: blockMessages }, (_, index) => next + index);
      // Each block repeats part of an earlier one of its partition, as devices do after a lost
      // acknowledgement.
      const again = numbers.slice(0, 10).map((number) => number - blockMessages * pipelinePartitions);
      const sent = [...numbers, ...again.filter((number) => number >= 0)];
      await pipeline.append(
        partition,
        sent.map((number) => numbered(partition, number)),
      );
      next += blockMessages;
      await delay(5);
    }
  };
  try {
    const publishing = publish();
    let commits = 0;
    for (let kill = 0; kill < kills; kill++) commits += await runAndKill(pipeline, Math.random() * 600);
    isPublishing = false;
    await publishing;
    await pipeline.drain();
    const [counts] = await pipeline.query(
      "SELECT count(*)::INT, count(DISTINCT message_id)::INT, max(substr(decode(message_id), 2)::INT) FROM telemetry",
    );
    assert.deepEqual(counts, [next, next, next - 1]);
    context.diagnostic(`${next} messages, ${commits} commits seen, ${kills} kills`);
  } finally {
    isPublishing = false;
    await pipeline.close();
  }
});
