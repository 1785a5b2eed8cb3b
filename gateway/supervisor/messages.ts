import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { AcceptedGap } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";

/** The processes that the supervisor runs. */
export const roleNames = ["broker", "consumer"] as const;
export type RoleName = (typeof roleNames)[number];

export type MetricsAsJson = MetricObjectWithValues<MetricValue<string>>[];

/** Committed positions of one stream, by partition: the broker may trim up to them. */
export interface CommittedPositions {
  readonly streamId: string;
  readonly positions: Readonly<Record<number, string>>;
}

/** What the supervisor asks of a child, with the type of its answer. Every request has a deadline. */
export interface ChildRequests {
  readonly status: { readonly ask: null; readonly answer: unknown };
  readonly metrics: { readonly ask: null; readonly answer: MetricsAsJson };
  /** The registry's topics have changed; answered once the child judges by them. */
  readonly topicsChanged: { readonly ask: null; readonly answer: null };
  /** The identity of this name was removed. */
  readonly deviceRevoked: { readonly ask: string; readonly answer: null };
  /** Partition number; lets it go on behind a gap in its stream. */
  readonly acceptGap: { readonly ask: number; readonly answer: AcceptedGap };
}
export type RequestKind = keyof ChildRequests;

/**
 * From the supervisor to a child. The first message is `start`, sent once the child's pid is on record; its `listening` is the address
 * that an earlier process of this role had, to be taken again.
 */
export type ToChild =
  | { readonly type: "start"; readonly config: GatewayConfig; readonly listening: string | null }
  | { readonly type: "stop" }
  | { readonly type: "committed"; readonly committed: CommittedPositions }
  | { readonly type: "request"; readonly id: number; readonly kind: RequestKind; readonly ask: unknown };

/** From a child to the supervisor. */
export type FromChild =
  /** It does its work; `listening` is the address of a role that listens. */
  | { readonly type: "ready"; readonly listening: string | null }
  /** It can't start and ends; sent before it does. */
  | { readonly type: "refused"; readonly refusal: Refusal }
  | { readonly type: "committed"; readonly committed: CommittedPositions }
  /** Its event loop goes round. */
  | { readonly type: "alive" }
  | { readonly type: "answer"; readonly id: number; readonly answer: unknown }
  | { readonly type: "failure"; readonly id: number; readonly refusal: Refusal };

/** Why a child can't do something, as it crosses between processes. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  /** True where it may work later without anybody doing anything. */
  readonly retryable: boolean;
}
