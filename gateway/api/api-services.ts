import type { Devices } from "../registry/devices.ts";
import type { Topics } from "../registry/topics.ts";
import type { AnswerOf } from "../schema/named-schema.ts";
import type { GatewayStatus } from "../status/gateway-status.ts";
import type { acceptedGapSchema } from "./schemas/operation-schemas.ts";
import type { quarantinePayloadSchema, quarantineRowSchema } from "./schemas/quarantine-schemas.ts";

export interface Readiness {
  readonly isReady: boolean;
  /** Why publishes are not acknowledged, for people. */
  readonly reasons: readonly string[];
  /** Progress of the consumer's recovery. Publishes are acknowledged meanwhile. */
  readonly progress: readonly string[];
  /** Stuck work although publishes are acknowledged; [] = no work is stuck. */
  readonly degraded: readonly string[];
}

/**
 * One row of `_quarantine`; `id` is the place of the message in the stream: `<stream
 * id>.<partition>.<position>.<index>`.
 */
export type QuarantineRow = AnswerOf<typeof quarantineRowSchema>;
export type QuarantinePayload = AnswerOf<typeof quarantinePayloadSchema>;

export interface QuarantineFilter {
  readonly limit: number;
  readonly topicId?: string | undefined;
  /** The MQTT topic name. */
  readonly mqttTopic?: string | undefined;
  readonly device?: string | undefined;
  readonly reason?: string | undefined;
}

/** The services of the HTTP API, which the supervisor provides. */
export interface ApiServices {
  readonly topics: Topics;
  readonly devices: Devices;
  readonly quarantine: {
    /** Newest first, without payloads. */
    list(filter: QuarantineFilter): Promise<QuarantineRow[]>;
    /** null if there is no such message. */
    show(id: string): Promise<QuarantinePayload | null>;
  };
  readiness(): Promise<Readiness>;
  status(): Promise<GatewayStatus>;
  /** Prometheus text of all processes. */
  metrics(): Promise<string>;
  /** Resumes a partition after a gap in its stream; the lost messages stay in the books as unaccounted. */
  acceptGap(partition: number): Promise<AnswerOf<typeof acceptedGapSchema>>;
}
