import { setTimeout as sleep } from "node:timers/promises";
import type { BlockMessage } from "../../bridge/block/block-format.ts";
import type { Producer } from "../../bridge/producer/producer.ts";

/** The blocks that benches of streams append. */
export const devices = 10_000;
export const payloadBytes = 100;
export const messagesPerBlock = 450;
const pacedPerSecond = 16_700;
/** Without the warm-up. */
export const pacedSeconds = 10;
const warmUpSeconds = 3;

const messages: readonly BlockMessage[] = Array.from({ length: devices }, (_, device) => ({
  topicId: "01b4c8d2-telemetry",
  topicVersion: 1,
  topicName: `fleet/device-${device}/telemetry`,
  deviceId: `device-${device}`,
  qos: 1,
  payload: Buffer.alloc(payloadBytes, device),
}));

export function messageAt(index: number): BlockMessage {
  const message = messages[(index * 7919) % devices];
  if (!message) throw new RangeError(`no message ${index}`);
  return message;
}

/** CPU of the work in µs per message, and its time in ms. */
export async function measure(
  count: number,
  work: () => Promise<void> | void,
): Promise<{ cpuUs: number; elapsedMs: number }> {
  const before = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { cpuUs: (user + system) / count, elapsedMs: performance.now() - startedAt };
}

export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

export const seal = {
  streamId: "0".repeat(32),
  producerId: "0".repeat(16),
  partition: 0,
  sequence: 1,
  lastAcknowledgedSequence: 0,
  acknowledgedMessages: 0,
  time: { wallMs: 0, bootId: "0".repeat(16), stampMs: 0, acknowledgedAtMs: 0 },
};

/** Accepts as fast as the producer takes messages; resolves once all of them are durable. */
export async function burst(producer: Producer, count: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let accepted = 0;
    let settled = 0;
    const accept = (): void => {
      for (let turn = 0; turn < 1000 && accepted < count && !producer.isFull; turn++, accepted++) {
        producer.accept(messageAt(accepted), (error) => {
          if (error) reject(error);
          settled += 1;
          if (settled === count) resolve();
        });
      }
      if (accepted < count && !producer.isFull) setImmediate(accept);
    };
    producer.onDrain(() => setImmediate(accept));
    accept();
  });
}

/** Calls at the given rate, in groups of a millisecond. Returns the number of calls. */
async function atPace(seconds: number, call: (index: number) => void): Promise<number> {
  const startedAt = performance.now();
  let count = 0;
  while (performance.now() - startedAt < seconds * 1000) {
    const due = ((performance.now() - startedAt) / 1000) * pacedPerSecond;
    while (count < due) call(count++);
    await sleep(1);
  }
  return count;
}

export async function benchPaced(producer: Producer): Promise<Record<string, number>> {
  const latencies: number[] = [];
  const accept = (index: number): void => {
    const acceptedAt = performance.now();
    producer.accept(messageAt(index), () => latencies.push(performance.now() - acceptedAt));
  };
  await atPace(warmUpSeconds, accept);
  await producer.flush();
  latencies.length = 0;
  const blocksBefore = producer.status().totals.appendedBlocks;
  let count = 0;
  const cost = await measure(1, async () => {
    count = await atPace(pacedSeconds, accept);
    await producer.flush();
  });
  const generator = await measure(count, async () => void (await atPace(pacedSeconds, () => {})));
  const blocks = producer.status().totals.appendedBlocks - blocksBefore;
  latencies.sort((left, right) => left - right);
  return {
    pacedMessagesPerSecond: Math.round((count / cost.elapsedMs) * 1000),
    pacedAppendUs: rounded(cost.cpuUs / count - generator.cpuUs),
    pacedGeneratorUs: rounded(generator.cpuUs),
    pacedMessagesPerBlock: Math.round(count / blocks),
    pacedLatencyP50Ms: rounded(latencies[Math.floor(latencies.length * 0.5)] ?? 0),
    pacedLatencyP99Ms: rounded(latencies[Math.floor(latencies.length * 0.99)] ?? 0),
  };
}
