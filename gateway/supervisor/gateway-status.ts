import type { ConsumerStatus, ProducerStatus, SpaceStatus } from "../../bridge/index.ts";
import type { BrokerStatus } from "../../broker/index.ts";
import type { ChildStatus } from "./supervised-child.ts";

export interface BrokerProcessStatus extends BrokerStatus {
  readonly producer: ProducerStatus;
  readonly space: SpaceStatus | null;
}

/** The books of all partitions together (G8), in messages. */
export interface Books {
  readonly read: number;
  readonly filed: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly resent: number;
  readonly misrouted: number;
  readonly unaccounted: number;
  /** read = filed + duplicates + quarantined + resent + misrouted in each partition, and unaccounted = 0. */
  readonly isBalanced: boolean;
}

export interface GatewayStatus {
  readonly version: string;
  readonly startedAt: string;
  readonly isReady: boolean;
  readonly reasons: readonly string[];
  readonly data: string;
  readonly lake: { readonly url: string; readonly id: string };
  readonly processes: readonly ChildStatus[];
  /** null where the process doesn't answer. */
  readonly broker: BrokerProcessStatus | null;
  readonly consumer: ConsumerStatus | null;
  readonly books: Books | null;
}

/** A partition that takes nothing for this long keeps its publishers waiting; shorter than that is a retry. */
const heldMs = 5_000;

/** Why a broker that runs can't acknowledge now; null = it does not answer. */
export function reasonsNotAcknowledging(
  broker: Pick<BrokerProcessStatus, "producer"> | null,
  nowMs: number,
): string[] {
  if (!broker) return ["broker: it does not answer"];
  const { lanes } = broker.producer;
  const held = lanes.filter(({ heldSinceMs }) => heldSinceMs !== null && nowMs - heldSinceMs >= heldMs);
  const causes = new Set(held.map(({ lastFailure }) => lastFailure?.message ?? "the stream takes nothing"));
  return [...causes].map((cause) => `broker: publishers wait without acknowledgement: ${cause}`);
}

export function booksOf(consumer: ConsumerStatus | null): Books | null {
  if (!consumer) return null;
  const total = { read: 0, filed: 0, duplicates: 0, quarantined: 0, resent: 0, misrouted: 0, unaccounted: 0 };
  let isBalanced = true;
  for (const { counters, unaccounted } of consumer.partitions) {
    const { read, filed, duplicates, quarantined, resent, misrouted } = counters;
    total.read += read;
    total.filed += filed;
    total.duplicates += duplicates;
    total.quarantined += quarantined;
    total.resent += resent;
    total.misrouted += misrouted;
    total.unaccounted += unaccounted;
    if (read !== filed + duplicates + quarantined + resent + misrouted || unaccounted !== 0)
      isBalanced = false;
  }
  return { ...total, isBalanced };
}
