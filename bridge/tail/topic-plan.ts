import type { ContentPlan } from "../decoders/content-plan.ts";
import type { Decoder } from "../decoders/decoder.ts";
import { decoderOf } from "../decoders/decoders.ts";
import { jsonPath } from "../decoders/document/json-path.ts";
import { TopicSchema } from "../schemas/topic-schema.ts";
import { type EventTimeBounds, eventTimeBoundsOf } from "../topics/event-time-bounds.ts";
import type { TopicVersion } from "../topics/topic-catalog.ts";

/** A topic version prepared for judging: with split paths, and a schema that is compiled at its first use. */
export interface TopicPlan extends ContentPlan {
  readonly topic: TopicVersion;
  readonly decoder: Decoder;
  readonly schema: TopicSchema | null;
  readonly bounds: EventTimeBounds;
}

export function planOf(topic: TopicVersion): TopicPlan {
  const { idPath, timePath, schema, columns } = topic;
  return {
    topic,
    decoder: decoderOf(topic),
    idPath: jsonPath(idPath),
    timePath: jsonPath(timePath),
    schema: schema === null ? null : new TopicSchema(schema, columns),
    bounds: eventTimeBoundsOf(topic),
  };
}
