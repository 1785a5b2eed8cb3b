import assert from "node:assert/strict";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { Registry } from "prom-client";
import { decodeBlock } from "../../bridge/block/decode-block.ts";
import { createProducer, type Producer } from "../../bridge/producer/producer.ts";
import { type EmbeddedStream, openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import type { ReadDisk } from "../../bridge/streams/embedded/space-budget.ts";
import { createEmbeddedStream } from "../../bridge/streams/embedded/stream-folder.ts";
import { type Position, startPosition } from "../../bridge/streams/stream-log.ts";
import { mountSmallDisk } from "../support/small-disk.ts";
import { until } from "../support/until.ts";

const diskBytes = 16 * 1024 * 1024;
const payloadBytes = 1000;
const partitionCount = 2;

/** A publisher that waits while the producer is full, and remembers the acknowledged messages. */
class Publisher {
  readonly acknowledged = new Set<number>();
  readonly failures: string[] = [];
  readonly #producer: Producer;
  #published = 0;
  #isStopped = false;

  constructor(producer: Producer) {
    this.#producer = producer;
    producer.onDrain(() => this.#publish());
    this.#publish();
  }

  get published(): number {
    return this.#published;
  }

  stop(): void {
    this.#isStopped = true;
  }

  #publish(): void {
    while (!this.#isStopped && !this.#producer.isFull) {
      const number = this.#published++;
      const payload = Buffer.alloc(payloadBytes);
      payload.writeUInt32BE(number);
      const deviceId = `device-${number % 50}`;
      const message = { topicId: "t", topicVersion: 1, topicName: "x", deviceId, qos: 1, payload } as const;
      this.#producer.accept(message, (error) => {
        if (error) this.failures.push(error.message);
        else this.acknowledged.add(number);
      });
    }
  }
}

/** Reads all messages after the given positions, and advances those. */
async function readAll(stream: EmbeddedStream, positions: Position[], into: Set<number>): Promise<void> {
  for (let partition = 0; partition < partitionCount; partition++) {
    for (;;) {
      const after = positions[partition] ?? startPosition;
      const entries = await stream.read(partition, after, { maxBytes: 1_000_000, maxEntries: 100 });
      for (const entry of entries) {
        for (const { payload } of decodeBlock(entry.block).messages)
          into.add(Buffer.from(payload).readUInt32BE());
        positions[partition] = entry.position;
      }
      if (entries.length === 0) break;
    }
  }
}

async function untilHeld(producer: Producer): Promise<void> {
  await until("the stream is full", () => {
    const { isFull, lanes } = producer.status();
    const isHeld = lanes.some((lane) => lane.heldSinceMs !== null);
    return isFull && isHeld && lanes.every((lane) => lane.lastFailure?.code === "STREAM_FULL");
  });
}

/** For a stream that considers its disk endless, so that only the disk itself stops the stream. */
const endlessDisk: ReadDisk = async () => ({ freeBytes: 2 ** 50, totalBytes: 2 ** 50, fileBytes: 0 });

async function fillTwice(
  disk: string,
  limits: { reserveBytes: number; readDisk?: ReadDisk },
  check: () => void,
): Promise<void> {
  const folder = join(disk, "stream");
  const filler = join(disk, "filler");
  await createEmbeddedStream({ folder, partitionCount });
  writeFileSync(filler, Buffer.alloc(diskBytes / 4));
  const stream = await openEmbeddedStream({
    folder,
    mode: "append",
    maxBytes: 2 ** 30,
    ...limits,
    onFatal: assert.fail,
  });
  const producer = createProducer({
    stream,
    config: {
      lingerMs: 1,
      blockBytes: 16_384,
      inFlightMaxBytes: 1024 * 1024,
      deadlineMs: 60_000,
      retryBaseMs: 10,
      retryMaxMs: 50,
    },
    logger: pino({ level: "silent" }),
    registry: new Registry(),
  });
  const publisher = new Publisher(producer);
  const read = new Set<number>();
  const positions: Position[] = [];

  await untilHeld(producer);
  check();
  const whenFull = publisher.acknowledged.size;
  await readAll(stream, positions, read);
  for (const [partition, position] of positions.entries()) await stream.trim(partition, position);
  await until("trimming makes room", () => publisher.acknowledged.size > whenFull + 1000);

  await untilHeld(producer);
  const whenFullAgain = publisher.acknowledged.size;
  await readAll(stream, positions, read);
  rmSync(filler);
  await until("space is back", () => publisher.acknowledged.size > whenFullAgain + 1000);

  publisher.stop();
  await readAll(stream, positions, read);
  for (const [partition, position] of positions.entries()) await stream.trim(partition, position);
  await producer.close();
  await readAll(stream, positions, read);
  await stream.close();
  assert.deepEqual(publisher.failures, []);
  assert.equal(publisher.acknowledged.size, publisher.published);
  assert.deepEqual(
    [...publisher.acknowledged].filter((number) => !read.has(number)),
    [],
  );
}

function freeBytes(disk: string): number {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
}

async function onSmallDisk(context: TestContext, body: (disk: string) => Promise<void>): Promise<void> {
  const disk = mountSmallDisk(diskBytes);
  if ("reason" in disk) {
    context.skip(disk.reason);
    return;
  }
  try {
    await body(disk.path);
  } finally {
    disk.unmount();
  }
}

test("a disk that fills up holds acknowledgements, loses nothing, and recovers after a trim and after free space", async (context) => {
  await onSmallDisk(context, async (disk) => {
    await fillTwice(disk, { reserveBytes: 0, readDisk: endlessDisk }, () => {
      assert.ok(freeBytes(disk) < diskBytes / 50, `${freeBytes(disk)} bytes free`);
    });
  });
});

test("the reserve holds acknowledgements before the disk is full", async (context) => {
  await onSmallDisk(context, async (disk) => {
    await fillTwice(disk, { reserveBytes: 2 ** 30 }, () => {
      assert.ok(freeBytes(disk) > diskBytes / 20, `${freeBytes(disk)} bytes free`);
    });
  });
});
