import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { createRedisStream } from "../../bridge/streams/redis/create-stream.ts";
import { openRedisStream } from "../../bridge/streams/redis/redis-stream.ts";
import { EmbeddedPipeline } from "../support/embedded-pipeline.ts";
import { LakePipeline, numbered } from "../support/lake-pipeline.ts";
import { programArguments } from "../support/programs.ts";
import { RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";

const program = programArguments("test/support/consumer-child.ts");
const partitionCount = 6;
const leaseMs = 1500;
const blockMessages = 20;

let server: RedisServer;
before(async () => {
  server = await RedisServer.start();
});
after(() => server.destroy());

/** A consumer process, and its output. */
class ConsumerProcess {
  reads: readonly number[] = [];
  commits = 0;
  replayed = 0;
  readonly closed: Promise<unknown>;
  readonly #child: ChildProcess;

  constructor(pipeline: LakePipeline, lease: readonly string[] = []) {
    const child = spawn(process.execPath, [...program, pipeline.folder, ...lease], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    this.closed = once(child, "close");
    void this.#listen(pipeline, child.stdout);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async end(name: NodeJS.Signals): Promise<void> {
    this.signal(name);
    await this.closed;
  }

  async #listen(pipeline: LakePipeline, output: NodeJS.ReadableStream): Promise<void> {
    for await (const line of createInterface({ input: output })) {
      const [word, first = "", second = ""] = line.split(" ");
      if (word === "trim") await pipeline.stream.trim(Number(first), second);
      if (word === "commit") this.commits += 1;
      if (word === "replayed") this.replayed = Number(first);
      if (word === "reads") this.reads = first.split(",").filter(Boolean).map(Number);
    }
  }
}

/**
 * Publishes to all partitions in turn until the returned function is called, which resolves with the number
 * of messages.
 */
function publishing(pipeline: LakePipeline, partitions: number): () => Promise<number> {
  let isOver = false;
  let next = 0;
  const run = async () => {
    for (let block = 0; !isOver; block++) {
      const partition = block % partitions;
      const numbers = Array.from({ length: blockMessages }, (_, index) => next + index);
      const again = numbers.slice(0, 4).map((number) => number - blockMessages * partitions);
      const sent = [...numbers, ...again.filter((number) => number >= 0)];
      await pipeline.append(
        partition,
        sent.map((number) => numbered(partition, number)),
      );
      next += blockMessages;
      await delay(10);
    }
    return next;
  };
  const running = run();
  return () => {
    isOver = true;
    return running;
  };
}

async function assertExactlyOnce(pipeline: LakePipeline, messages: number): Promise<void> {
  await pipeline.drain();
  const [counts] = await pipeline.query(
    "SELECT count(*)::INT, count(DISTINCT message_id)::INT, max(substr(decode(message_id), 2)::INT) FROM telemetry",
  );
  assert.deepEqual(counts, [messages, messages, messages - 1]);
  const log = await openCommitLog(await openLocalStore(join(pipeline.folder, "lake")), { create: false });
  const counters = [...(await log.load()).moves.values()].map((move) => move.counters);
  let filed = 0;
  for (const each of counters) {
    const { read, duplicates, quarantined, resent, misrouted, unaccounted } = each;
    assert.equal(read, each.filed + duplicates + quarantined + resent + misrouted);
    assert.equal(unaccounted, 0);
    filed += each.filed;
  }
  assert.equal(filed, messages);
}

async function openRedisPipeline(): Promise<LakePipeline> {
  const target = parseRedisUrl(server.url);
  const options = { target, partitionCount, timeoutMs: 1000, logger: pino({ level: "silent" }) };
  await createRedisStream(options);
  return LakePipeline.on(() => openRedisStream({ ...options, mode: "append" }));
}

const backends: { name: string; open: () => Promise<LakePipeline>; more: string[] }[] = [
  { name: "embedded stream", open: () => EmbeddedPipeline.open(partitionCount), more: [] },
  { name: "stream and window in Redis", open: openRedisPipeline, more: ["stream"] },
];
for (const backend of backends)
  test(`three processes share a stream (${backend.name}): a kill -9, a pause, a departure and a return, and every message is filed once`, {
    timeout: 120_000,
  }, async (context) => {
    const pipeline = await backend.open();
    const start = (name: string) =>
      new ConsumerProcess(pipeline, [server.url, name, String(leaseMs), ...backend.more]);
    const timed = async (what: string, isReached: () => boolean) => {
      const startedAtMs = performance.now();
      await until(what, isReached);
      context.diagnostic(`${what}: ${Math.round(performance.now() - startedAtMs)} ms (lease ${leaseMs} ms)`);
    };
    const sharedBy = (processes: readonly ConsumerProcess[]) => () =>
      processes.every(({ reads }) => reads.length === partitionCount / processes.length) &&
      new Set(processes.flatMap(({ reads }) => reads)).size === partitionCount;
    const processes: ConsumerProcess[] = [];
    const stopPublishing = publishing(pipeline, partitionCount);
    try {
      const [a, b, c] = ["a", "b", "c"].map(start) as [ConsumerProcess, ConsumerProcess, ConsumerProcess];
      processes.push(a, b, c);
      await timed("three processes started and share the partitions", sharedBy([a, b, c]));
      await until("each of them commits", () => [a, b, c].every(({ commits }) => commits > 0));

      await a.end("SIGKILL");
      await timed("kill -9 of one process: two share its partitions", sharedBy([b, c]));

      const again = start("a");
      processes.push(again);
      await timed("the killed process came back and got its part", sharedBy([again, b, c]));

      b.signal("SIGSTOP");
      await timed("a pause of one process: two share its partitions", sharedBy([again, c]));
      b.signal("SIGCONT");
      await timed("the paused process continued and got its part", sharedBy([again, b, c]));

      const leaving = c.end("SIGTERM");
      await timed("one process left after draining: two share its partitions", sharedBy([again, b]));
      await leaving;

      await again.end("SIGKILL");
      const messages = await stopPublishing();
      await b.end("SIGTERM");
      await assertExactlyOnce(pipeline, messages);
      context.diagnostic(`${messages} messages, commits ${processes.map(({ commits }) => commits)}`);
    } finally {
      for (const each of processes) {
        each.signal("SIGCONT");
        await each.end("SIGKILL");
      }
      await stopPublishing();
      await pipeline.close();
    }
  });

test("two processes that both take all partitions for their own file every message once, and the books balance", {
  timeout: 60_000,
}, async (context) => {
  const pipeline = await EmbeddedPipeline.open(2);
  const stopPublishing = publishing(pipeline, 2);
  const both = [new ConsumerProcess(pipeline), new ConsumerProcess(pipeline)];
  try {
    const sum = (field: "commits" | "replayed") => both.reduce((total, each) => total + each[field], 0);
    await until("they commit", () => sum("commits") >= 10);
    const messages = await stopPublishing();
    for (const each of both) await each.end("SIGTERM");
    await assertExactlyOnce(pipeline, messages);
    assert.ok(sum("replayed") > 0, "the processes collided");
    context.diagnostic(
      `${messages} messages, ${sum("commits")} commits, ${sum("replayed")} batches given up`,
    );
  } finally {
    for (const each of both) await each.end("SIGKILL");
    await stopPublishing();
    await pipeline.close();
  }
});
