import { setTimeout as delay } from "node:timers/promises";
import { hostileDevices } from "../proof-topics.ts";
import type { GatewayUnderTest } from "../under-test/gateway-under-test.ts";
import type { HostileBook } from "./hostile-book.ts";
import { HostileClient } from "./hostile-client.ts";
import {
  type HostileMessage,
  hostileMessages,
  type RefusedMessage,
  refusedMessages,
} from "./hostile-messages.ts";
import { packetTypes, publish } from "./mqtt-bytes.ts";

export interface HostilePublisherOptions {
  readonly gateway: Pick<GatewayUnderTest, "mqttPort" | "status">;
  readonly book: HostileBook;
  readonly random: () => number;
  /** Number of the strike: names of devices contain it. */
  readonly strike: number;
  /** Longest time until all are acknowledged. */
  readonly timeoutMs?: number;
}

/** Of one connection: as many as a broker takes unacknowledged, by far. */
const windowMax = 50;
const defaultTimeoutMs = 90_000;
const answerTimeoutMs = 15_000;
const statusTimeoutMs = 15_000;
const retryMs = 250;

export interface HostileOutcome {
  readonly published: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** Violations, in words. */
  readonly harms: readonly string[];
}

/** Publishes hostile messages with QoS 1 until each is acknowledged, and others until each is refused. */
export async function publishHostile(options: HostilePublisherOptions): Promise<HostileOutcome> {
  const { gateway, book, random, strike, timeoutMs = defaultTimeoutMs } = options;
  const prefix = `${hostileDevices}${strike}`;
  const messages = hostileMessages(prefix, { random, nowMs: Date.now() });
  const sent = await publishAll(gateway.mqttPort, messages, { clientId: prefix, timeoutMs });
  for (const [index, message] of messages.entries()) {
    const { times, isAcknowledged } = sent[index] as Sent;
    book.published({ message, isAcknowledged, isSentOnce: times === 1 });
  }
  const unanswered = messages.filter((_, index) => !sent[index]?.isAcknowledged);
  const refused = await publishRefused(gateway, refusedMessages(`${prefix}-refused`), book);
  return {
    published: messages.length,
    acknowledged: messages.length - unanswered.length,
    refused: refused.count,
    harms: [
      ...unanswered.map(({ kind }) => `a hostile message was not acknowledged in time: ${kind}`),
      ...refused.harms,
    ],
  };
}

interface Sent {
  times: number;
  isAcknowledged: boolean;
}

/** In the order of the messages. A connection that ends is replaced, and what it left is sent again. */
async function publishAll(
  port: number,
  messages: readonly HostileMessage[],
  { clientId, timeoutMs }: { readonly clientId: string; readonly timeoutMs: number },
): Promise<Sent[]> {
  const sent: Sent[] = messages.map(() => ({ times: 0, isAcknowledged: false }));
  for (
    const endMs = performance.now() + timeoutMs;
    performance.now() < endMs && sent.some(({ isAcknowledged }) => !isAcknowledged);
  ) {
    const client = await HostileClient.connected(port, clientId);
    if (client) await publishOn(client, { messages, sent, endMs });
    else await delay(retryMs);
    client?.end();
  }
  return sent;
}

async function publishOn(
  client: HostileClient,
  { messages, sent, endMs }: { messages: readonly HostileMessage[]; sent: Sent[]; endMs: number },
): Promise<void> {
  const waiting = sent.flatMap(({ isAcknowledged }, index) => (isAcknowledged ? [] : [index]));
  for (let begin = 0; begin < waiting.length && !client.isClosed; begin += windowMax) {
    const part = waiting.slice(begin, begin + windowMax);
    for (const index of part) {
      const { topic, payload } = messages[index] as HostileMessage;
      const state = sent[index] as Sent;
      client.write(publish(topic, payload, { packetId: index + 1, isAgain: state.times > 0 }));
      state.times += 1;
    }
    await client.until(() => isAcknowledged(client, part), endMs - performance.now());
    for (const index of acknowledgedBy(client)) (sent[index] as Sent).isAcknowledged = true;
  }
}

function acknowledgedBy(client: HostileClient): number[] {
  return client.of(packetTypes.puback).map(({ body }) => body.readUInt16BE(0) - 1);
}

function isAcknowledged(client: HostileClient, part: readonly number[]): boolean {
  const found = new Set(acknowledgedBy(client));
  return part.every((index) => found.has(index));
}

/** Each on a connection of its own, which the broker must close, and count why. */
async function publishRefused(
  gateway: HostilePublisherOptions["gateway"],
  messages: readonly RefusedMessage[],
  book: HostileBook,
): Promise<{ count: number; harms: string[] }> {
  const harms: string[] = [];
  const before = refusals(await gateway.status());
  let count = 0;
  for (const { kind, topic, payload } of messages) {
    const client = await HostileClient.connected(gateway.mqttPort, `${hostileDevices}refused`);
    client?.write(publish(topic, payload, { packetId: 1 }));
    await client?.until(() => client.of(packetTypes.puback).length > 0, answerTimeoutMs);
    const isAcknowledged = (client?.of(packetTypes.puback).length ?? 0) > 0;
    if (client?.isClosed && !isAcknowledged) count += 1;
    else harms.push(`${kind} was ${isAcknowledged ? "acknowledged" : "neither refused nor acknowledged"}`);
    client?.end();
  }
  for (let index = 0; index < count; index++) book.refused();
  const endMs = performance.now() + statusTimeoutMs;
  let counted = refusals(await gateway.status()) - before;
  while (counted < count && performance.now() < endMs) {
    await delay(retryMs);
    counted = refusals(await gateway.status()) - before;
  }
  if (counted < count) harms.push(`the broker counted ${counted} refusals of ${count}`);
  return { count, harms };
}

function refusals(status: Awaited<ReturnType<GatewayUnderTest["status"]>>): number {
  return Object.values(status?.broker?.refused ?? {}).reduce((sum, count) => sum + count, 0);
}
