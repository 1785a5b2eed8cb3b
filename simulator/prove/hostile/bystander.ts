import { setTimeout as delay } from "node:timers/promises";
import { hostileNames } from "../proof-topics.ts";
import type { HostileBook } from "./hostile-book.ts";
import { HostileClient } from "./hostile-client.ts";
import type { HostileMessage } from "./hostile-messages.ts";
import { packetTypes, publish } from "./mqtt-bytes.ts";

const betweenMs = 200;
/** Beyond what a busy machine needs. */
const defaultWithinMs = 60_000;

export interface BystanderOptions {
  /** Its device's names begin so. */
  readonly name: string;
  readonly book: HostileBook;
  /** Longest wait for a PUBACK. */
  readonly withinMs?: number;
}

export interface BystanderOutcome {
  readonly acknowledged: number;
  /** Longest wait for a PUBACK. */
  readonly longestMs: number;
  /** In words; null = it was served. */
  readonly harm: string | null;
}

/** A well-behaved client that publishes beside hostile ones, each message on a connection of its own. */
export class Bystander {
  readonly #done: Promise<BystanderOutcome>;
  readonly #withinMs: number;
  #isStopped = false;

  private constructor(port: number, options: BystanderOptions) {
    this.#withinMs = options.withinMs ?? defaultWithinMs;
    this.#done = this.#run(port, options);
  }

  static start(port: number, options: BystanderOptions): Bystander {
    return new Bystander(port, options);
  }

  /** After the message that is under way. */
  async stop(): Promise<BystanderOutcome> {
    this.#isStopped = true;
    return await this.#done;
  }

  async #run(port: number, { name, book }: BystanderOptions): Promise<BystanderOutcome> {
    const outcome = { acknowledged: 0, longestMs: 0 };
    do {
      const message = goodMessage(`${name}-${outcome.acknowledged}`);
      const beganAtMs = performance.now();
      const { times, isAcknowledged } = await publishUntil(beganAtMs + this.#withinMs, {
        port,
        name,
        message,
      });
      outcome.longestMs = Math.max(outcome.longestMs, performance.now() - beganAtMs);
      book.published({ message, isAcknowledged, isSentOnce: times === 1 });
      if (!isAcknowledged)
        return { ...outcome, harm: `another client got no PUBACK in ${this.#withinMs / 1000} s` };
      outcome.acknowledged += 1;
      await delay(betweenMs);
    } while (!this.#isStopped);
    return { ...outcome, harm: null };
  }
}

/** On one connection after another: a broker closes those of messages that do not become durable in time. */
async function publishUntil(
  endMs: number,
  { port, name, message }: { port: number; name: string; message: HostileMessage },
): Promise<{ times: number; isAcknowledged: boolean }> {
  let times = 0;
  while (performance.now() < endMs) {
    const client = await HostileClient.connected(port, name);
    if (!client) {
      await delay(betweenMs);
      continue;
    }
    client.write(publish(message.topic, message.payload, { packetId: 1, isAgain: times > 0 }));
    times += 1;
    const isAcknowledged = await client.until(
      () => client.of(packetTypes.puback).length > 0,
      endMs - performance.now(),
    );
    client.end();
    if (isAcknowledged) return { times, isAcknowledged };
  }
  return { times, isAcknowledged: false };
}

function goodMessage(device: string): HostileMessage {
  const payload = Buffer.from(JSON.stringify({ id: "1", ts: Date.now() }));
  return { kind: "a good message", topic: hostileNames.json(device), payload, isUnfilable: false };
}
