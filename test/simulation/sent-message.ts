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

/** What the header of a block says. */
export interface SealedHeader {
  readonly bootId: string;
  readonly stampMs: number;
  readonly wallMs: number;
  readonly acknowledgedAtMs: number;
  readonly lastAcknowledgedSequence: number;
  readonly producerId: string;
  /** Where it was to be; it may stand in one that took its place. */
  readonly meantPartition: number;
  readonly sequence: number;
}

/** One entry that ever stood in the stream, with what must be made of it. */
export interface SentBlock extends SealedHeader {
  readonly position: string;
  /** By the world's time, which no clock shows. */
  readonly sealedAtMs: number;
  readonly appendedAtMs: number;
  /** Another copy of it stands before it, or a later block of its producer. */
  readonly isCopy: boolean;
  readonly streamTimeMs: number;
  readonly rowTimeMs: number;
  readonly messages: readonly SentMessage[];
}
