import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Value } from "@sinclair/typebox/value";
import { Registry } from "prom-client";
import type { Consumer } from "../../bridge/lake/consumer/consumer.ts";
import { runQuery } from "../../bridge/lake/query/run-query.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { createProducer, type Producer } from "../../bridge/producer/producer.ts";
import { producerConfigSchema } from "../../bridge/producer/producer-config.ts";
import type { KinesisStream, KinesisStreamOptions } from "../../bridge/streams/kinesis/kinesis-stream.ts";
import type { StreamInKinesis } from "./kinesis-stream.ts";
import { newLakeFolder, openConsumer } from "./lake-pipeline.ts";
import { silentLogger } from "./test-lake.ts";
import { longestWaitMs } from "./until.ts";

const devices = 40;
/** Time between bursts of one message of each device. */
const burstEveryMs = 10;

export interface Verdict {
  readonly acked: number;
  /** Acknowledged messages that are in no table. */
  readonly lost: number;
  /** Messages that are in the table more than once. */
  readonly doubled: number;
  /** Messages filed before an earlier one of the same device. */
  readonly disordered: number;
  readonly resent: number;
  readonly misrouted: number;
  readonly unaccounted: number;
  /** Codes of partitions that stopped. */
  readonly halts: readonly string[];
}

/** A producer and a consumer, each with a handle of its own on a stream in Kinesis, and a lake. */
export class KinesisPipeline {
  readonly stream: KinesisStream;
  readonly producer: Producer;
  readonly #folder: string;
  readonly #reading: KinesisStream;
  readonly #acked = new Set<string>();
  readonly #failures = new Map<string, number>();
  #consumer: Consumer | undefined;
  #running: Promise<void> | undefined;
  #sent = 0;

  private constructor(folder: string, stream: KinesisStream, reading: KinesisStream, producer: Producer) {
    this.#folder = folder;
    this.stream = stream;
    this.#reading = reading;
    this.producer = producer;
  }

  static async open(
    stream: StreamInKinesis,
    options: Partial<KinesisStreamOptions> & { ignoresFailures?: boolean } = {},
  ): Promise<KinesisPipeline> {
    const { ignoresFailures = false, ...streamOptions } = options;
    const quick = { timeoutMs: 300, shardRefreshMs: 500, ...streamOptions };
    const appending = await stream.open(quick);
    const reading = await stream.open({ ...quick, mode: "read" });
    // On a busy machine, calls take longer than `timeoutMs` for a while. No message may be given up for that.
    const held = { deadlineMs: longestWaitMs, retryBaseMs: 10, retryMaxMs: 100 };
    const config = { ...Value.Create(producerConfigSchema), ...held };
    const producer = createProducer({
      stream: ignoresFailures ? takingFailuresForSuccess(appending) : appending,
      config,
      logger: silentLogger,
      registry: new Registry(),
    });
    return new KinesisPipeline(await newLakeFolder(), appending, reading, producer);
  }

  get sent(): number {
    return this.#sent;
  }

  get acked(): number {
    return this.#acked.size;
  }

  /** How often a message failed, by code. */
  get failures(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#failures);
  }

  /** Starts a consumer; first ends a running one in the middle of its work. */
  async consume(): Promise<void> {
    await this.#consumer?.stop({ drain: false });
    await this.#running;
    this.#consumer = await openConsumer(this.#folder, this.#reading);
    this.#running = this.#consumer.run();
    this.#running.catch(() => {});
  }

  /** Publishes for this time, ms. */
  async publish(forMs: number): Promise<void> {
    const endsAtMs = Date.now() + forMs;
    while (Date.now() < endsAtMs) {
      for (let device = 0; device < devices; device++) this.#accept(device);
      await delay(burstEveryMs);
    }
  }

  /** Resolves once all messages are acknowledged or given up. */
  async settle(): Promise<void> {
    await this.producer.close();
  }

  /** Files the stream's messages, and compares the table with the acknowledged messages. */
  async judge(): Promise<Verdict> {
    if (!this.#consumer) await this.consume();
    const consumer = this.#consumer as Consumer;
    await consumer.stop({ drain: true });
    await this.#running;
    const rows = (await this.#query(
      "SELECT decode(message_id), device_id, _partition::INT, _position, _index::INT FROM telemetry",
    )) as [string, string, number, string, number][];
    const counts = new Map<string, number>();
    for (const [id] of rows) counts.set(id, (counts.get(id) ?? 0) + 1);
    const { partitions } = consumer.status();
    return {
      acked: this.#acked.size,
      lost: [...this.#acked].filter((id) => !counts.has(id)).length,
      doubled: [...counts.values()].filter((count) => count > 1).length,
      disordered: disorderedIn(rows),
      ...(await this.counted()),
      unaccounted: sum(partitions.map(({ unaccounted }) => unaccounted)),
      halts: partitions.flatMap(({ halt }) => (halt ? [halt.code] : [])),
    };
  }

  /**
   * Messages of commits so far that came twice in a block, and messages in a shard that they do not belong
   * to.
   */
  async counted(): Promise<Pick<Verdict, "resent" | "misrouted">> {
    const moves = await this.#counters();
    return {
      resent: sum(moves.map(({ resent }) => resent)),
      misrouted: sum(moves.map(({ misrouted }) => misrouted)),
    };
  }

  async close(): Promise<void> {
    await this.#consumer?.stop({ drain: false });
    await this.stream.close();
    await this.#reading.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #accept(device: number): void {
    const number = this.#sent++;
    const id = `m${number}`;
    const deviceId = `device-${device}`;
    const message = {
      topicId: "t1",
      topicVersion: 1,
      topicName: `fleet/${deviceId}/telemetry`,
      deviceId,
      qos: 1 as const,
      payload: Buffer.from(JSON.stringify({ id, ts: Date.UTC(2026, 10, 22) })),
    };
    this.producer.accept(message, (error) => {
      if (!error) this.#acked.add(id);
      else {
        const code = String((error as { code?: unknown }).code);
        this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
      }
    });
  }

  async #counters(): Promise<{ readonly resent: number; readonly misrouted: number }[]> {
    const store = await openLocalStore(join(this.#folder, "lake"));
    const byKey = new Map<string, { resent: number; misrouted: number }>();
    for await (const { path } of store.list("_commits/")) {
      if (!/\/\d+\.json$/.test(path)) continue;
      const entry = JSON.parse(String(Buffer.from((await store.get(path)) ?? []))) as {
        moves: Record<string, { counters: { resent: number; misrouted: number } }>;
      };
      for (const [key, { counters }] of Object.entries(entry.moves)) byKey.set(key, counters);
    }
    return [...byKey.values()];
  }

  async #query(sql: string): Promise<readonly (readonly unknown[])[]> {
    const store = await openLocalStore(join(this.#folder, "lake"));
    return (await runQuery(sql, { store })).rows;
  }
}

/** A client that checks only whether the whole call succeeded. */
function takingFailuresForSuccess(
  stream: KinesisStream,
): Pick<KinesisStream, "streamId" | "partitions" | "onPartitionsChange" | "append"> {
  return {
    streamId: stream.streamId,
    partitions: stream.partitions,
    onPartitionsChange: () => {},
    append: (partition, block) => stream.append(partition, block).catch(() => "taken for stored"),
  };
}

/** Children have higher numbers than their parents, so they come later. */
function disorderedIn(rows: readonly [string, string, number, string, number][]): number {
  const inOrder = rows.toSorted(
    (left, right) =>
      left[2] - right[2] ||
      left[3].length - right[3].length ||
      (left[3] < right[3] ? -1 : left[3] > right[3] ? 1 : left[4] - right[4]),
  );
  const last = new Map<string, number>();
  let disordered = 0;
  for (const [id, device] of inOrder) {
    const number = Number(id.slice(1));
    if (number < (last.get(device) ?? -1)) disordered += 1;
    last.set(device, number);
  }
  return disordered;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
