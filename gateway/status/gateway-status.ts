import type { StreamCondition } from "../../bridge/config.ts";
import type { ConsumerStatus } from "../../bridge/lake/consumer/index.ts";
import type { TableLeftAlone, UpkeepStatus } from "../../bridge/lake/index.ts";
import type { UpkeepLeaseStatus } from "../../bridge/leases/index.ts";
import type { ProducerStatus } from "../../bridge/producer/index.ts";
import type { BrokerStatus } from "../../broker/index.ts";
import type { RoleName } from "../processes/messages.ts";
import type { RegistryStatus } from "../registry/registry-store.ts";
import { ownStatus, type StreamStatus } from "../streams/stream-status.ts";
import type { ChildStatus } from "./child-status.ts";

export interface BrokerProcessStatus extends BrokerStatus, StreamStatus {
  readonly producer: ProducerStatus;
  readonly registry: RegistryStatus;
}

export interface ConsumerProcessStatus extends ConsumerStatus, StreamStatus {}

export interface UpkeepProcessStatus extends UpkeepStatus {
  /** Tables from which retention can't remove rows. */
  readonly leftAlone: readonly TableLeftAlone[];
  /** null = no other gateway shares the lake. */
  readonly lease: UpkeepLeaseStatus | null;
}

/**
 * The books (G8) in messages: the sum of this consumer's partitions and of partitions that were read to their
 * end.
 */
export interface Books {
  readonly read: number;
  readonly filed: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly resent: number;
  readonly misrouted: number;
  readonly unaccounted: number;
  /** Acknowledgements of this gateway's broker without an append: see `unfoundedAcknowledgements`. */
  readonly unfounded: number;
  /**
   * read = filed + duplicates + quarantined + resent + misrouted in each partition, unaccounted = 0,
   * unfounded = 0, and no process knows of a loss that cannot be counted.
   */
  readonly isBalanced: boolean;
}

/** Acknowledged messages that are not in a table yet, as far as this gateway can see. */
export interface WhatWaits {
  /** Messages that were read, but not committed yet. */
  readonly openMessages: number;
  /** Bytes of unread blocks in the stream; null if the stream does not report them. */
  readonly unreadBytes: number | null;
  /** Texts for people, one of each kind; [] = all acknowledged messages are filed. */
  readonly reasons: readonly string[];
}

export interface GatewayStatus {
  readonly version: string;
  readonly startedAt: string;
  readonly isReady: boolean;
  readonly reasons: readonly string[];
  readonly progress: readonly string[];
  readonly degraded: readonly string[];
  readonly data: string;
  readonly lake: { readonly url: string; readonly id: string };
  /** URLs of stream and window, without secrets. */
  readonly stream: string;
  readonly window: string;
  /** The processes of this gateway. */
  readonly roles: readonly RoleName[];
  readonly processes: readonly ChildStatus[];
  /** null if the process does not answer, or is not among the roles. */
  readonly broker: BrokerProcessStatus | null;
  readonly consumer: ConsumerProcessStatus | null;
  readonly upkeep: UpkeepProcessStatus | null;
  readonly books: Books | null;
  /** null if the consumer does not answer, or is not among the roles. */
  readonly waiting: WhatWaits | null;
}

/** A partition that accepts no block for this long keeps publishers waiting; a shorter pause is a retry. */
const heldMs = 5_000;

interface Sight {
  /** `Redis` */
  readonly label: string;
  readonly condition: StreamCondition;
}

/** null = the process does not answer, or its stream has no status. */
function sightOf(process: StreamStatus | null): Sight | null {
  const own = ownStatus(process);
  return own && { label: own.kind.label, condition: own.kind.condition(own.status) };
}

/** Why a running broker cannot acknowledge now. `broker` null = it does not answer. */
export function reasonsNotAcknowledging(
  broker: (StreamStatus & Pick<BrokerProcessStatus, "producer" | "registry" | "isOpen">) | null,
): string[] {
  if (!broker) return ["broker: the process does not answer"];
  const { lanes } = broker.producer;
  const sight = sightOf(broker);
  const reasons = [...appendReasons(sight), ...registryReasons(broker.registry)];
  if (!broker.isOpen) reasons.push("broker: the stream is so full that no further client may connect");
  const held = lanes.filter(({ heldForMs }) => heldForMs !== null && heldForMs >= heldMs);
  const causes = new Set(
    held.map(({ lastFailure }) => lastFailure?.message ?? "the stream accepts no messages"),
  );
  const known = sight?.condition.held?.message;
  const waiting = [...causes].filter((cause) => cause !== known);
  return [...reasons, ...waiting.map((cause) => `broker: publishers wait without acknowledgement: ${cause}`)];
}

/** Reasons from the status of the stream, which are known before a message has waited for long. */
function appendReasons(sight: Sight | null): string[] {
  if (!sight) return [];
  const { held, isAnswering } = sight.condition;
  if (held) return [`broker: no message is acknowledged: ${held.code}: ${held.message}`];
  return isAnswering ? [] : [`broker: ${sight.label} does not answer`];
}

/** Why a gateway without a broker does not file. */
export function reasonsNotFiling(consumer: StreamStatus | null): string[] {
  if (!consumer) return ["consumer: the process does not answer"];
  const sight = sightOf(consumer);
  if (!sight) return [];
  const { held, holdsReading, isAnswering } = sight.condition;
  if (held && holdsReading) return [`consumer: no message is read: ${held.code}: ${held.message}`];
  return isAnswering ? [] : [`consumer: ${sight.label} does not answer`];
}

function registryReasons({ trouble }: RegistryStatus): string[] {
  return trouble ? [`broker: topics and identities can't be read: ${trouble.code}: ${trouble.message}`] : [];
}

type Processes = Pick<GatewayStatus, "processes" | "broker" | "consumer">;

/** True if a process has found that the stream lost confirmed messages. */
function knowsOfLoss({ processes, broker, consumer }: Processes): boolean {
  const codes = [
    ...processes.map(({ refusal }) => refusal?.code),
    sightOf(broker)?.condition.held?.code,
    sightOf(consumer)?.condition.held?.code,
    ...(consumer?.partitions ?? []).map(({ halt }) => halt?.code),
  ];
  return codes.includes("STREAM_GAP");
}

/**
 * Written PUBACKs and PUBRECs without an append. Each acknowledgement must have an append, or repeat an
 * earlier PUBREC. Broker and producer count separately since the process started. The number is a minimum,
 * because appends of QoS 0 can hide some.
 */
export function unfoundedAcknowledgements(
  broker: Pick<BrokerProcessStatus, "acknowledged" | "repeated" | "producer"> | null,
): number {
  if (!broker) return 0;
  return Math.max(0, broker.acknowledged - broker.repeated - broker.producer.totals.appendedMessages);
}

export function booksOf(status: Processes): Books | null {
  const { consumer } = status;
  if (!consumer) return null;
  const unfounded = unfoundedAcknowledgements(status.broker);
  const total = { read: 0, filed: 0, duplicates: 0, quarantined: 0, resent: 0, misrouted: 0, unaccounted: 0 };
  let isBalanced = unfounded === 0 && !knowsOfLoss(status);
  const ended = [...consumer.finished, consumer.past];
  const finished = ended.map(({ counters }) => ({ counters, unaccounted: counters.unaccounted }));
  for (const { counters, unaccounted } of [...consumer.partitions, ...finished]) {
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
  return { ...total, unfounded, isBalanced };
}
