import { setTimeout as delay } from "node:timers/promises";
import { isSameProcess, type ProcessIdentity } from "../../../devices/protocol/process-identity.ts";
import type { Strikable, StrikeEffect } from "../strike.ts";
import type { GatewayUnderTest, PartitionView, StatusView } from "../under-test/gateway-under-test.ts";

const pollMs = 250;
/**
 * A consumer that runs again commits something within this time, also on a slow and busy machine, and after
 * it has lost its leases and seeded its windows again.
 */
const progressTimeoutMs = 600_000;
/** The consumer files faster than the fleet publishes. */
const catchUpTimeoutMs = 1_200_000;
/** For a consumer that has just started. */
const readTimeoutMs = 15_000;
/** Less than this amount waits if the consumer has caught up: bytes if the stream counts them, else ms. */
const caughtUpBytes = 1024 ** 2;
const caughtUpLagMs = 3_000;
/** A consumer that was started again meanwhile is stopped as well. */
const stopEveryMs = 500;

type StoppableGateway = Pick<GatewayUnderTest, "processOf" | "status">;

/**
 * Stops all consumers while the fleet publishes, until messages of several minutes wait. Then the consumers
 * catch up. Their supervisors are stopped as well, since they would end and replace the consumers.
 */
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
    for (const one of stopped.values()) if (isSameProcess(one)) process.kill(one.pid, "SIGCONT");
    const after = await this.#caughtUp(before);
    if (typeof after === "string") return { harm: `after a backlog ${after}` };
    const messages = after - readBy([...before.values()]);
    return { isInFlight: messages > 0, detail: `${messages} messages in ${this.#durationMs / 1000} s` };
  }

  #stop(stopped: Map<number, ProcessIdentity>): void {
    for (const gateway of this.#gateways)
      for (const target of ["supervisor", "consumer"] as const) {
        const found = gateway.processOf(target);
        if (!found || stopped.has(found.pid)) continue;
        process.kill(found.pid, "SIGSTOP");
        stopped.set(found.pid, found);
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
   * Resolves once the consumers have read the backlog and lag no more, with the amount that they read; in
   * words if that takes too long. The lag that a consumer reports may be from before it was stopped.
   */
  async #caughtUp(before: ReadonlyMap<number, PartitionView>): Promise<number | string> {
    const isPast = ({ partition, streamTimeMs }: PartitionView) =>
      streamTimeMs >= (before.get(partition)?.streamTimeMs ?? 0) + this.#durationMs;
    const isQuiet = ({ partition, position }: PartitionView) => before.get(partition)?.position === position;
    let [read, readAtMs] = [0, performance.now()];
    for (const endMs = performance.now() + catchUpTimeoutMs; performance.now() < endMs; await delay(pollMs)) {
      if (performance.now() - readAtMs > progressTimeoutMs)
        return `consumers committed nothing for ${progressTimeoutMs / 1000} s`;
      const statuses = await this.#statuses();
      const partitions = partitionsOf(statuses);
      if (readBy(partitions) > read) [read, readAtMs] = [readBy(partitions), performance.now()];
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
    return `consumers did not catch up in ${catchUpTimeoutMs / 1000} s`;
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
