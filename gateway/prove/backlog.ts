import { setTimeout as delay } from "node:timers/promises";
import { isSameProcess, type ProcessIdentity } from "../supervisor/process-identity.ts";
import type { GatewayUnderTest, PartitionView, StatusView } from "./gateway-under-test.ts";
import type { Strikable, StrikeEffect } from "./strikes.ts";

const pollMs = 250;
/** A consumer that runs again files faster than the fleet publishes. */
const catchUpTimeoutMs = 180_000;
/** Less than this waits when nothing is behind: bytes if the stream counts them, else ms. */
const caughtUpBytes = 1024 ** 2;
const caughtUpLagMs = 3_000;
/** A consumer that was started again meanwhile is stopped as well. */
const stopEveryMs = 500;

/** Stops all consumers while the fleet publishes, for long enough that minutes of messages wait; then they catch up. */
export class Backlog implements Strikable {
  readonly #gateways: readonly GatewayUnderTest[];
  readonly #durationMs: number;

  constructor(gateways: readonly GatewayUnderTest[], durationMs: number) {
    this.#gateways = gateways;
    this.#durationMs = durationMs;
  }

  async strike(): Promise<StrikeEffect> {
    const before = readBy(await this.#statuses());
    const stopped = new Map<number, ProcessIdentity>();
    for (
      const endMs = performance.now() + this.#durationMs;
      performance.now() < endMs;
      await delay(stopEveryMs)
    )
      this.#stop(stopped);
    for (const consumer of stopped.values())
      if (isSameProcess(consumer)) process.kill(consumer.pid, "SIGCONT");
    const after = await this.#caughtUp(before);
    if (after === null)
      return { harm: `consumers did not catch up in ${catchUpTimeoutMs / 1000} s after a backlog` };
    const messages = after - before;
    return { isInFlight: messages > 0, detail: `${messages} messages in ${this.#durationMs / 1000} s` };
  }

  #stop(stopped: Map<number, ProcessIdentity>): void {
    for (const gateway of this.#gateways) {
      const consumer = gateway.processOf("consumer");
      if (!consumer || stopped.has(consumer.pid)) continue;
      process.kill(consumer.pid, "SIGSTOP");
      stopped.set(consumer.pid, consumer);
    }
  }

  /** How much had been read when more was than `before`, and nothing was behind any more; null where that takes too long. */
  async #caughtUp(before: number): Promise<number | null> {
    for (const endMs = performance.now() + catchUpTimeoutMs; performance.now() < endMs; await delay(pollMs)) {
      const statuses = await this.#statuses();
      const partitions = statuses.flatMap((status) => status?.consumer?.partitions ?? []);
      const areThere = partitions.length > 0 && statuses.every((status) => status?.consumer);
      const read = readBy(statuses);
      if (areThere && read > before && partitions.every(hasCaughtUp)) return read;
    }
    return null;
  }

  #statuses(): Promise<(StatusView | null)[]> {
    return Promise.all(this.#gateways.map((gateway) => gateway.status()));
  }
}

/** Lag in ms is measured by the gateway's own wall clock, which may be off. */
function hasCaughtUp({ halt, lagBytes, lagMs }: PartitionView): boolean {
  if (halt) return false;
  return lagBytes === null ? lagMs < caughtUpLagMs : lagBytes < caughtUpBytes;
}

function readBy(statuses: readonly (StatusView | null)[]): number {
  const partitions = statuses.flatMap((status) => status?.consumer?.partitions ?? []);
  return partitions.reduce((sum, { counters }) => sum + counters.read, 0);
}
