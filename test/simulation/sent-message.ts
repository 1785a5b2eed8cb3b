import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";

/** The facts of a message besides its bytes. */
export interface SentMessage {
  readonly topic: TopicVersion;
  readonly deviceId: string;
  /** null = the payload has none. */
  readonly id: string | null;
  readonly payload: string;
  /** Absent: the device's usual one. */
  readonly topicName?: string;
  /** Reason why it can't be filed, except id-reused. */
  readonly fault: string | null;
  /** Of an exact topic. */
  readonly sdk?: { readonly epoch: number; readonly sequence: number };
}

export function topicNameOf({ topicName, deviceId }: SentMessage): string {
  return topicName ?? `fleet/${deviceId}/telemetry`;
}

/** What the header of a block says. */
export interface SealedHeader {
  readonly bootId: string;
  readonly stampMs: number;
  readonly wallMs: number;
  readonly acknowledgedAtMs: number;
  readonly lastAcknowledgedSequence: number;
  readonly producerId: string;
  /** The partition it was meant for; it may be in one that replaced it. */
  readonly meantPartition: number;
  readonly sequence: number;
}

/** One entry that was ever in the stream, with the expected result. */
export interface SentBlock extends SealedHeader {
  readonly position: string;
  /** By the world's time. */
  readonly sealedAtMs: number;
  readonly appendedAtMs: number;
  /** True if another copy, or a later block of its producer, comes before it. */
  readonly isCopy: boolean;
  readonly streamTimeMs: number;
  readonly rowTimeMs: number;
  readonly messages: readonly SentMessage[];
}
