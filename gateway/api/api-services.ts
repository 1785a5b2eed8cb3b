import type { Devices } from "../registry/devices.ts";
import type { Topics } from "../registry/topics.ts";
import type { GatewayStatus } from "../supervisor/gateway-status.ts";
import type { AnswerOf } from "./schemas/named-schema.ts";
import type { acceptedGapSchema } from "./schemas/operation-schemas.ts";
import type { quarantinePayloadSchema, quarantineRowSchema } from "./schemas/quarantine-schemas.ts";

export interface Readiness {
  readonly isReady: boolean;
  /** What is missing, for people. */
  readonly reasons: readonly string[];
  /** What the consumer is at before it files again, with how far it is. Publishes are acknowledged meanwhile. */
  readonly progress: readonly string[];
  /** What does not go on although publishes are acknowledged; [] = everything does. */
  readonly degraded: readonly string[];
}

/** One row of `_quarantine`; `id` says where the message stood in the stream: `<stream id>.<partition>.<position>.<index>`. */
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

/** What the HTTP API offers, as the supervisor provides it. */
export interface ApiServices {
  readonly topics: Topics;
  readonly devices: Devices;
  readonly quarantine: {
    /** Newest first, without payloads. */
    list(filter: QuarantineFilter): Promise<QuarantineRow[]>;
    /** null where there is none. */
    show(id: string): Promise<QuarantinePayload | null>;
  };
  readiness(): Promise<Readiness>;
  status(): Promise<GatewayStatus>;
  /** Prometheus text of all processes. */
  metrics(): Promise<string>;
  /** Lets a partition go on behind a gap that was found in its stream; the messages lost there stay in the books as unaccounted. */
  acceptGap(partition: number): Promise<AnswerOf<typeof acceptedGapSchema>>;
}
