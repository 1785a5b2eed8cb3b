import { crc32 } from "node:zlib";
import type { BlockMessage } from "../block/block-format.ts";
import { sequenceOfId } from "../block/sdk-sequence.ts";
import { contentHash } from "../storage/content-hash.ts";
import type { ColumnValue, Row } from "../storage/row.ts";
import { type ContentFault, failedToJudge } from "./quarantine-reason.ts";
import { type Content, readContent, unreadContent } from "./read-content.ts";
import type { TopicVersion } from "./topic-catalog.ts";
import { planOf, type TopicPlan } from "./topic-plan.ts";
import type { OpenCheck } from "./topic-schema.ts";

const dayMs = 86_400_000;
/** Event times outside [ingest time − 7 d, ingest time + 1 h] are filed under their ingest time, with a flag. */
const EVENT_TIME_PAST_MAX_MS = 7 * dayMs;
const EVENT_TIME_AHEAD_MAX_MS = 3_600_000;

/** Where a message stands in the stream. */
export interface Place {
  readonly streamId: string;
  readonly partition: number;
  readonly position: string;
  /** What has expired by then is forgotten. */
  readonly streamTimeMs: number;
  /** Stream time of the rows: when they expire is counted from it. */
  readonly rowTimeMs: number;
  /** Wall clock of the producer. */
  readonly ingestTimeMs: number;
}

/** A message with everything that filing it takes. */
export interface JudgedMessage {
  readonly topic: TopicVersion;
  readonly row: Row;
  /** What has expired by then is forgotten. */
  readonly streamTimeMs: number;
  /** Of the topic's columns; none before `check` is settled. */
  values: readonly ColumnValue[];
  /** Of `row`: what tells a resend from an id that was used again. */
  readonly contentHash: number;
  /** Of an id that the SDK made, in a topic with exact deduplication; null = the topic's window alone decides. */
  readonly exactSequence: number | null;
  /** null = it belongs in its topic's table, unless it is a duplicate. */
  fault: ContentFault | null;
  /** What `SchemaChecks` has still to settle; null = nothing. */
  check: OpenCheck | null;
  /** Under what else a first copy of it may be known: see `withOtherReadings`. */
  readonly others: readonly OtherReading[];
}

/** What another topic, or another version of this one, would have made of a message. */
export interface OtherReading {
  readonly topicId: string;
  readonly messageId: Uint8Array;
  readonly contentHash: number;
}

const noValues: readonly ColumnValue[] = [];
const noOthers: readonly OtherReading[] = [];

/**
 * Decodes messages and judges their content, each by exactly the topic version that its block names, but for schemas: those checks may take
 * long and are left to `SchemaChecks`. Never throws for content.
 */
export class MessageJudge {
  readonly #plans = new WeakMap<TopicVersion, TopicPlan>();
  readonly #unexpected: (error: unknown, topic: TopicVersion) => void;

  /** @param unexpected Told of faults of ours, that cost one message each. */
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
        content.eventTime === null ? topic.format !== "raw" : isOutside(eventTimeMs, ingestTimeMs),
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
      readContent(content, plan);
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

/** The SDK says the sequence twice, in the id and beside it: ids of others that look alike are not taken for its own. */
function exactSequenceOf(topic: TopicVersion, { messageId, sequence }: Content): number | null {
  if (topic.dedupe !== "exact" || messageId === null || sequence === null) return null;
  const inId = sequenceOfId(messageId);
  return inId !== null && Number(sequence) === inId ? inId : null;
}

function isOutside(eventTimeMs: number, ingestTimeMs: number): boolean {
  return (
    eventTimeMs < ingestTimeMs - EVENT_TIME_PAST_MAX_MS ||
    eventTimeMs > ingestTimeMs + EVENT_TIME_AHEAD_MAX_MS
  );
}
