import type { TopicVersion } from "../../bridge/consumer/topic-catalog.ts";

/** What a message is, beside its bytes. */
export interface SentMessage {
  readonly topic: TopicVersion;
  readonly deviceId: string;
  /** null = the payload holds none. */
  readonly id: string | null;
  readonly payload: string;
  /** Where absent, the device's ordinary one. */
  readonly topicName?: string;
  /** Reason why it can't be filed, id-reused aside. */
  readonly fault: string | null;
  /** Of an exact topic. */
  readonly sdk?: { readonly epoch: number; readonly sequence: number };
}

export function topicNameOf({ topicName, deviceId }: SentMessage): string {
  return topicName ?? `fleet/${deviceId}/telemetry`;
}

/** One entry that ever stood in the stream. */
export interface SentBlock {
  readonly position: string;
  readonly appendTimeMs: number;
  readonly producerId: string;
  /** Where it was to be; it may stand in one that took its place. */
  readonly meantPartition: number;
  readonly sequence: number;
  readonly messages: readonly SentMessage[];
}
