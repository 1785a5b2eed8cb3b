import { setTimeout as delay } from "node:timers/promises";
import { hostileDevices } from "../proof-topics.ts";
import { HostileClient } from "./hostile-client.ts";
import { type HostileSequence, hostileSequences } from "./hostile-sequences.ts";
import { connectAs, packetTypes, subscribe } from "./mqtt-bytes.ts";

/** A CONNECT that never ends is closed by the broker's own timeout, after 10 s. */
const defaultTimeoutMs = 30_000;
const wrongPasswords = 200;
const deafClients = 6;
const grantTimeoutMs = 15_000;
const refusedCode = 0x80;
const atOnce = 8;

export interface HostileSubscribersOptions {
  readonly port: number;
  readonly random: () => number;
  /** Longest wait for what the broker must do. */
  readonly timeoutMs?: number;
}

/**
 * Clients that ask for too much, break the protocol, disconnect, or subscribe to everything and read nothing.
 */
export class HostileSubscribers {
  /** They stay, reading nothing, until the next strike. */
  #deaf: HostileClient[] = [];

  /** Resolves with how many connections were made, and what the broker must not do and did. */
  async strike(options: HostileSubscribersOptions): Promise<{ connections: number; harms: string[] }> {
    const { port, random, timeoutMs = defaultTimeoutMs } = options;
    this.end();
    await this.#subscribeDeaf(port);
    const sequences = hostileSequences(random);
    const [hungUp, harms] = await Promise.all([hangUp(port), answered(sequences, { port, timeoutMs })]);
    return { connections: hungUp + sequences.length + this.#deaf.length, harms };
  }

  end(): void {
    for (const client of this.#deaf) client.end();
    this.#deaf = [];
  }

  async #subscribeDeaf(port: number): Promise<void> {
    for (let index = 0; index < deafClients; index++) {
      const client = await HostileClient.connected(port, `${hostileDevices}deaf-${index}`);
      if (!client) continue;
      client.write(subscribe(["#", "prove/#", "hostile/#", "prove/+/kind-0"]));
      await client.until(() => client.of(packetTypes.suback).length > 0, grantTimeoutMs);
      client.stopReading();
      this.#deaf.push(client);
    }
  }
}

/** CONNECT with a wrong password, and away before it is checked. */
async function hangUp(port: number): Promise<number> {
  let count = 0;
  for (let index = 0; index < wrongPasswords; index++) {
    const client = await HostileClient.open(port).catch(() => null);
    if (!client) continue;
    client.write(connectAs(`nobody-${index}`, "wrong", `${hostileDevices}wrong-${index}`));
    await delay(1);
    client.end();
    count += 1;
  }
  return count;
}

interface Expected {
  readonly port: number;
  readonly timeoutMs: number;
}

async function answered(sequences: readonly HostileSequence[], expected: Expected): Promise<string[]> {
  const waiting = [...sequences.entries()];
  const harms: string[] = [];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [index, sequence] = next;
      const client = await openFor(sequence, expected.port, `${hostileDevices}sequence-${index}`);
      const harm = client ? await faultOfAnswer(client, sequence, expected.timeoutMs) : "was not let in";
      client?.end();
      if (harm !== null) harms.push(`${sequence.kind}: ${harm}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return harms;
}

function openFor(
  { isConnected }: HostileSequence,
  port: number,
  clientId: string,
): Promise<HostileClient | null> {
  if (isConnected) return HostileClient.connected(port, clientId);
  return HostileClient.open(port).catch(() => null);
}

/** null = as it must be. */
async function faultOfAnswer(
  client: HostileClient,
  { bytes, answer }: HostileSequence,
  timeoutMs: number,
): Promise<string | null> {
  client.write(bytes);
  if (answer.kind === "closed")
    return (await client.until(() => client.isClosed, timeoutMs)) ? null : "the connection stayed open";
  await client.until(() => client.of(packetTypes.suback).length > 0, timeoutMs);
  const codes = client.of(packetTypes.suback)[0]?.body.subarray(2);
  if (!codes) return "no answer came";
  const granted = codes.filter((code) => code !== refusedCode).length;
  return granted <= answer.atMost ? null : `${granted} filters were granted`;
}
