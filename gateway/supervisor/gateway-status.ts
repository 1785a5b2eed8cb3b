import type { StreamCondition } from "../../bridge/config.ts";
import type { ConsumerStatus, ProducerStatus } from "../../bridge/index.ts";
import type { BrokerStatus } from "../../broker/index.ts";
import type { RegistryStatus } from "../registry/registry-store.ts";
import { ownStatus, type StreamStatus } from "../streams/stream-status.ts";
import type { RoleName } from "./messages.ts";
import type { ChildStatus } from "./supervised-child.ts";

export interface BrokerProcessStatus extends BrokerStatus, StreamStatus {
  readonly producer: ProducerStatus;
  readonly registry: RegistryStatus;
}

export interface ConsumerProcessStatus extends ConsumerStatus, StreamStatus {
  /** Why the last vacuum failed; null = it did not, or none was due yet. */
  readonly housekeeping: { readonly message: string; readonly atMs: number } | null;
}

/** The books of this consumer's partitions and of those that were read to their end together (G8), in messages. */
export interface Books {
  readonly read: number;
  readonly filed: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly resent: number;
  readonly misrouted: number;
  readonly unaccounted: number;
  /** Acknowledgements of this gateway's broker that no append stands for: see `unfoundedAcknowledgements`. */
  readonly unfounded: number;
  /**
   * read = filed + duplicates + quarantined + resent + misrouted in each partition, unaccounted = 0, unfounded = 0, and nobody knows of
   * a loss that can't be counted.
   */
  readonly isBalanced: boolean;
}

/** What was acknowledged, as far as this gateway sees it, and is in no table yet. */
export interface WhatWaits {
  /** Read, and in no commit yet. */
  readonly openMessages: number;
  /** Of blocks in the stream that were not read yet; null where the stream does not say. */
  readonly unreadBytes: number | null;
  /** For people, one of each kind; [] = everything that was acknowledged is filed. */
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
  /** Their URLs, without secrets. */
  readonly stream: string;
  readonly window: string;
  /** What this gateway runs. */
  readonly roles: readonly RoleName[];
  readonly processes: readonly ChildStatus[];
  /** null where the process doesn't answer, or isn't among the roles. */
  readonly broker: BrokerProcessStatus | null;
  readonly consumer: ConsumerProcessStatus | null;
  readonly books: Books | null;
  /** null where the consumer doesn't answer, or isn't among the roles. */
  readonly waiting: WhatWaits | null;
}

/** A partition that takes nothing for this long keeps its publishers waiting; shorter than that is a retry. */
const heldMs = 5_000;

interface Sight {
  /** `Redis` */
  readonly label: string;
  readonly condition: StreamCondition;
}

/** null = the process does not answer, or its stream says nothing of itself. */
function sightOf(process: StreamStatus | null): Sight | null {
  const own = ownStatus(process);
  return own && { label: own.kind.label, condition: own.kind.condition(own.status) };
}

/** Why a broker that runs can't acknowledge now; null = it does not answer. */
export function reasonsNotAcknowledging(
  broker: (StreamStatus & Pick<BrokerProcessStatus, "producer" | "registry" | "isOpen">) | null,
): string[] {
  if (!broker) return ["broker: it does not answer"];
  const { lanes } = broker.producer;
  const sight = sightOf(broker);
  const reasons = [...appendReasons(sight), ...registryReasons(broker.registry)];
  if (!broker.isOpen) reasons.push("broker: the stream is so full that nobody more may connect");
  const held = lanes.filter(({ heldForMs }) => heldForMs !== null && heldForMs >= heldMs);
  const causes = new Set(held.map(({ lastFailure }) => lastFailure?.message ?? "the stream takes nothing"));
  const known = sight?.condition.held?.message;
  const waiting = [...causes].filter((cause) => cause !== known);
  return [...reasons, ...waiting.map((cause) => `broker: publishers wait without acknowledgement: ${cause}`)];
}

/** What a stream says of itself is known at once, before anything has waited for long. */
function appendReasons(sight: Sight | null): string[] {
  if (!sight) return [];
  const { held, isAnswering } = sight.condition;
  if (held) return [`broker: nothing is acknowledged: ${held.code}: ${held.message}`];
  return isAnswering ? [] : [`broker: ${sight.label} does not answer`];
}

/** The same for a gateway that only files. */
export function reasonsNotFiling(consumer: StreamStatus | null): string[] {
  if (!consumer) return ["consumer: it does not answer"];
  const sight = sightOf(consumer);
  if (!sight) return [];
  const { held, holdsReading, isAnswering } = sight.condition;
  if (held && holdsReading) return [`consumer: nothing is read: ${held.code}: ${held.message}`];
  return isAnswering ? [] : [`consumer: ${sight.label} does not answer`];
}

function registryReasons({ trouble }: RegistryStatus): string[] {
  return trouble
    ? [`broker: topics and identities can't be asked for: ${trouble.code}: ${trouble.message}`]
    : [];
}

type Processes = Pick<GatewayStatus, "processes" | "broker" | "consumer">;

/** True where a process has found that the stream lacks what it had confirmed. */
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
 * PUBACKs and PUBRECs that were written without an append: each stands for one, or repeats the PUBREC of a message that was appended
 * before. Both sides are counted apart, by broker and producer, since the process started. At least so many: appends of QoS 0 may hide some.
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
