import { crc32 } from "node:zlib";
import type { BlockMessage } from "../block/block-format.ts";
import { sequenceOfId } from "../block/sdk-sequence.ts";
import { type Content, unreadContent } from "../decoders/content.ts";
import { type ContentFault, failedToJudge } from "../decoders/quarantine-reason.ts";
import type { OpenCheck } from "../schemas/topic-schema.ts";
import type { ColumnValue } from "../topics/column-value.ts";
import { isOutside } from "../topics/event-time-bounds.ts";
import type { TopicVersion } from "../topics/topic-catalog.ts";
import { contentHash } from "./content-hash.ts";
import type { Row } from "./row.ts";
import { planOf, type TopicPlan } from "./topic-plan.ts";

/** The place of a message in the stream. */
export interface Place {
  readonly streamId: string;
  readonly partition: number;
  readonly position: string;
  /** Window ids that have expired by this stream time are forgotten. */
  readonly streamTimeMs: number;
  /** Stream time of the rows: the expiry of their ids counts from it. */
  readonly rowTimeMs: number;
  /** Wall clock of the producer, ms since the epoch. */
  readonly ingestTimeMs: number;
}

/** A message with everything that deduplication and filing need. */
export interface JudgedMessage {
  readonly topic: TopicVersion;
  readonly row: Row;
  /** Window ids that have expired by this stream time are forgotten. */
  readonly streamTimeMs: number;
  /** Values of the topic's typed columns; empty before `check` is settled. */
  values: readonly ColumnValue[];
  /** Hash of `row` that tells a resend from a reused id. */
  readonly contentHash: number;
  /** Sequence of an SDK id in a topic with exact deduplication; null = only the topic's window decides. */
  readonly exactSequence: number | null;
  /** null = the message belongs in its topic's table, unless it is a duplicate. */
  fault: ContentFault | null;
  /** The check that `SchemaChecks` still has to make; null = none. */
  check: OpenCheck | null;
  /** Other keys under which a first copy may be known: see `withOtherReadings`. */
  readonly others: readonly OtherReading[];
}

/** The key and hash that a message would have in another topic, or in another version of its topic. */
export interface OtherReading {
  readonly topicId: string;
  readonly messageId: Uint8Array;
  readonly contentHash: number;
}

const noValues: readonly ColumnValue[] = [];
const noOthers: readonly OtherReading[] = [];

/**
 * Decodes messages and judges their content, each by the topic version that its block names. Leaves schemas,
 * whose checks may take long, to `SchemaChecks`. Never throws because of content.
 */
export class MessageJudge {
  readonly #plans = new WeakMap<TopicVersion, TopicPlan>();
  readonly #unexpected: (error: unknown, topic: TopicVersion) => void;

  /** @param unexpected Called for each message that a fault of Tidegate sends to quarantine. */
  constructor(unexpected: (error: unknown, topic: TopicVersion) => void = () => {}) {
    this.#unexpected = unexpected;
  }

  judge(message: BlockMessage, index: number, topic: TopicVersion, place: Place): JudgedMessage {
    const plan = this.#plan(topic);
    const content = this.#read(message.payload, plan);
    const { ingestTimeMs, streamTimeMs } = place;
    const { ms: eventTimeMs, micros: eventTimeMicros } = content.eventTime ?? { ms: ingestTimeMs, micros: 0 };
    const row: Row = {
      deviceId: message.deviceId,
      topicName: message.topicName,
      messageId: content.messageId,
      eventTimeMs,
      eventTimeMicros,
      eventTimeOutside:
        content.eventTime === null
          ? plan.decoder.hasEventTimes
          : isOutside(eventTimeMs, eventTimeMicros, ingestTimeMs, plan.bounds),
      ingestTimeMs,
      streamTimeMs: place.rowTimeMs,
      payload: content.payload,
      payloadCrc: crc32(content.payload) | 0,
      streamId: place.streamId,
      partition: place.partition,
      position: place.position,
      index,
    };
    const { document, fault } = content;
    return {
      topic,
      row,
      streamTimeMs,
      values: noValues,
      contentHash: contentHash(row),
      exactSequence: exactSequenceOf(topic, content),
      fault,
      check: document !== null && plan.schema !== null ? { document, schema: plan.schema } : null,
      others: noOthers,
    };
  }

  #read(payload: Uint8Array, plan: TopicPlan): Content {
    const content = unreadContent(payload);
    try {
      content.fault = plan.decoder.read(content, plan);
    } catch (error) {
      this.#unexpected(error, plan.topic);
      content.fault = failedToJudge(error);
    }
    return content;
  }

  #plan(topic: TopicVersion): TopicPlan {
    const known = this.#plans.get(topic);
    if (known) return known;
    const plan = planOf(topic);
    this.#plans.set(topic, plan);
    return plan;
  }
}

/**
 * The SDK sends the sequence twice, in the id and beside it. Ids of other clients that look alike are so not
 * taken for ids of the SDK.
 */
function exactSequenceOf(topic: TopicVersion, { messageId, sequence }: Content): number | null {
  if (topic.dedupe !== "exact" || messageId === null || sequence === null) return null;
  const inId = sequenceOfId(messageId);
  return inId !== null && Number(sequence) === inId ? inId : null;
}
