import { pino } from "pino";
import { Registry } from "prom-client";
import type { BlockMessage } from "../../bridge/block/block-format.ts";
import { type DecodedBlock, decodeBlock } from "../../bridge/block/decode-block.ts";
import { BridgeError } from "../../bridge/errors.ts";
import { createProducer, type Producer } from "../../bridge/producer/producer.ts";
import type { ProducerConfig } from "../../bridge/producer/producer-config.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryStream } from "./memory-stream.ts";

const config: ProducerConfig = {
  lingerMs: 5,
  blockBytes: 64 * 1024,
  inFlightMaxBytes: 64 * 1024 * 1024,
  deadlineMs: 30_000,
  retryBaseMs: 50,
  retryMaxMs: 2000,
};

/** A producer on a stream and a clock that the test controls. */
export interface ProducerBench {
  readonly clock: ManualClock;
  readonly stream: MemoryStream;
  readonly producer: Producer;
  readonly registry: Registry;
  /** One line per settled message: its number, with the code if it failed. */
  readonly settled: string[];
  /** Lines of the log, warnings and errors. */
  readonly log: Record<string, unknown>[];
  publish(
    number: number,
    options?: { device?: string; qos?: 0 | 1 | 2; bytes?: number; after?: () => void },
  ): void;
  blocks(partition?: number): DecodedBlock[];
}

export function producerBench(
  changes: Partial<ProducerConfig> = {},
  partitionCount = 1,
  { isDivisible = false }: { isDivisible?: boolean } = {},
): ProducerBench {
  const clock = new ManualClock();
  const stream = new MemoryStream({ partitionCount, isDivisible, now: clock.now });
  const registry = new Registry();
  const log: Record<string, unknown>[] = [];
  const producer = createProducer({
    stream: stream.open(),
    config: { ...config, ...changes },
    logger: pino(
      { level: "info" },
      { write: (line: string) => log.push(JSON.parse(line) as Record<string, unknown>) },
    ),
    registry,
    clock,
    random: () => 0.5,
  });
  const settled: string[] = [];
  return {
    clock,
    stream,
    producer,
    registry,
    settled,
    log,
    publish: (number, { device = "device-1", qos = 1, bytes = 4, after = () => {} } = {}) => {
      const payload = Buffer.alloc(Math.max(4, bytes));
      payload.writeUInt32BE(number);
      producer.accept(messageOf(device, payload, qos), (error) => {
        settled.push(error instanceof BridgeError ? `${number} ${error.code}` : String(error ?? number));
        after();
      });
    },
    blocks: (partition = 0) => stream.entries(partition).map((entry) => decodeBlock(entry.block)),
  };
}

function messageOf(deviceId: string, payload: Uint8Array, qos: 0 | 1 | 2 = 1): BlockMessage {
  return { topicId: "t", topicVersion: 1, topicName: `fleet/${deviceId}/telemetry`, deviceId, qos, payload };
}

export function numbersIn(block: DecodedBlock): number[] {
  return block.messages.map((message) => Buffer.from(message.payload).readUInt32BE());
}
