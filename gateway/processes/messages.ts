import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { AcceptedGap } from "../../bridge/lake/consumer/index.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";

/** The processes that the supervisor runs. */
export const roleNames = ["broker", "consumer", "upkeep"] as const;
export type RoleName = (typeof roleNames)[number];

export type MetricsAsJson = MetricObjectWithValues<MetricValue<string>>[];

/** Committed positions of one stream, by partition: the broker may trim up to them. */
export interface CommittedPositions {
  readonly streamId: string;
  readonly positions: Readonly<Record<number, string>>;
}

/** Requests of the supervisor to a child, with the types of the answers. Each request has a deadline. */
export interface ChildRequests {
  readonly status: { readonly ask: null; readonly answer: unknown };
  readonly metrics: { readonly ask: null; readonly answer: MetricsAsJson };
  /** The topics have changed; the child answers once it judges messages by them. */
  readonly topicsChanged: { readonly ask: null; readonly answer: null };
  /** The identity of this name was removed. */
  readonly deviceRevoked: { readonly ask: string; readonly answer: null };
  /** Resumes a partition, given by its number, after a gap in its stream. */
  readonly acceptGap: { readonly ask: number; readonly answer: AcceptedGap };
}
export type RequestKind = keyof ChildRequests;

/**
 * From the supervisor to a child. The first message is `start`, sent once the child's pid is on record. Its
 * `listening` is the address of the earlier process of this role, which the child uses again.
 */
export type ToChild =
  | { readonly type: "start"; readonly config: GatewayConfig; readonly listening: string | null }
  | { readonly type: "stop" }
  | { readonly type: "committed"; readonly committed: CommittedPositions }
  | { readonly type: "request"; readonly id: number; readonly kind: RequestKind; readonly ask: unknown };

/** From a child to the supervisor. */
export type FromChild =
  /** The role has started; `listening` is the address of a role that listens. */
  | { readonly type: "ready"; readonly listening: string | null }
  /** The child cannot start or continue, and ends after this message. */
  | { readonly type: "refused"; readonly refusal: Refusal }
  | { readonly type: "committed"; readonly committed: CommittedPositions }
  /** The child's event loop runs. */
  | { readonly type: "alive" }
  | { readonly type: "answer"; readonly id: number; readonly answer: unknown }
  | { readonly type: "failure"; readonly id: number; readonly refusal: Refusal };

/** The failure of a child, as sent between processes. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  /** True if a retry may succeed without any other change. */
  readonly retryable: boolean;
}
