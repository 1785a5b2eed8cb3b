import type { Devices } from "../registry/devices.ts";
import type { Topics } from "../registry/topics.ts";

export interface Readiness {
  readonly isReady: boolean;
  /** What is missing, for people. */
  readonly reasons: readonly string[];
  /** What the consumer is at before it files again, with how far it is. Publishes are acknowledged meanwhile. */
  readonly progress: readonly string[];
  /** What does not go on although publishes are acknowledged; [] = everything does. */
  readonly degraded: readonly string[];
}

/** One row of `_quarantine`. */
export interface QuarantineRow {
  /** Where the message stood in the stream: `<stream id>.<partition>.<position>.<index>`. */
  readonly id: string;
  readonly [column: string]: unknown;
}

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
    show(id: string): Promise<QuarantineRow | null>;
  };
  readiness(): Promise<Readiness>;
  status(): Promise<object>;
  /** Prometheus text of all processes. */
  metrics(): Promise<string>;
  /** Lets a partition go on behind a gap that was found in its stream; the messages lost there stay in the books as unaccounted. */
  acceptGap(partition: number): Promise<object>;
}
