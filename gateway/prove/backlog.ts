import { setTimeout as delay } from "node:timers/promises";
import { isSameProcess, type ProcessIdentity } from "../supervisor/process-identity.ts";
import type { GatewayUnderTest, PartitionView, StatusView } from "./gateway-under-test.ts";
import type { Strikable, StrikeEffect } from "./strikes.ts";

const pollMs = 250;
/** A consumer that runs again files faster than the fleet publishes. */
const catchUpTimeoutMs = 180_000;
/** For a consumer that has just started. */
const readTimeoutMs = 15_000;
/** Less than this waits when nothing is behind: bytes if the stream counts them, else ms. */
const caughtUpBytes = 1024 ** 2;
const caughtUpLagMs = 3_000;
/** A consumer that was started again meanwhile is stopped as well. */
const stopEveryMs = 500;

type StoppableGateway = Pick<GatewayUnderTest, "processOf" | "status">;

/** Stops all consumers while the fleet publishes, for long enough that minutes of messages wait; then they catch up. */
export class Backlog implements Strikable {
  readonly #gateways: readonly StoppableGateway[];
  readonly #durationMs: number;

  constructor(gateways: readonly StoppableGateway[], durationMs: number) {
    this.#gateways = gateways;
    this.#durationMs = durationMs;
  }

  async strike(): Promise<StrikeEffect> {
    const before = await this.#begun();
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
    const messages = after - readBy([...before.values()]);
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

  /** The partitions, from when something of each was read. */
  async #begun(): Promise<ReadonlyMap<number, PartitionView>> {
    for (const endMs = performance.now() + readTimeoutMs; ; await delay(pollMs)) {
      const partitions = partitionsOf(await this.#statuses());
      const areRead = partitions.length > 0 && partitions.every(({ streamTimeMs }) => streamTimeMs > 0);
      if (areRead || performance.now() >= endMs)
        return new Map(partitions.map((view) => [view.partition, view]));
    }
  }

  /**
   * How much has been read when the end of the backlog was, and nothing is behind any more; null if that takes too long. What a consumer
   * says of its lag alone may be from before it stood still.
   */
  async #caughtUp(before: ReadonlyMap<number, PartitionView>): Promise<number | null> {
    const isPast = ({ partition, streamTimeMs }: PartitionView) =>
      streamTimeMs >= (before.get(partition)?.streamTimeMs ?? 0) + this.#durationMs;
    const isQuiet = ({ partition, position }: PartitionView) => before.get(partition)?.position === position;
    for (const endMs = performance.now() + catchUpTimeoutMs; performance.now() < endMs; await delay(pollMs)) {
      const statuses = await this.#statuses();
      const partitions = partitionsOf(statuses);
      const areThere = partitions.some(isPast) && statuses.every((status) => status?.consumer);
      // Read is not committed: what was committed is what counts.
      const isCommitted = readBy(partitions) > readBy([...before.values()]);
      if (
        areThere &&
        isCommitted &&
        partitions.every((view) => hasCaughtUp(view) && (isPast(view) || isQuiet(view)))
      )
        return readBy(partitions);
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

function readBy(partitions: readonly PartitionView[]): number {
  return partitions.reduce((sum, { counters }) => sum + counters.read, 0);
}

function partitionsOf(statuses: readonly (StatusView | null)[]): readonly PartitionView[] {
  return statuses.flatMap((status) => status?.consumer?.partitions ?? []);
}
