import { type JsonPath, jsonPath } from "./json-message.ts";
import type { TopicVersion } from "./topic-catalog.ts";
import { TopicSchema } from "./topic-schema.ts";

/** A topic version made ready: its paths split, its schema compiled when it is used first. */
export interface TopicPlan {
  readonly topic: TopicVersion;
  readonly idPath: JsonPath;
  readonly timePath: JsonPath;
  readonly schema: TopicSchema | null;
}

export function planOf(topic: TopicVersion): TopicPlan {
  const { idPath, timePath, schema, columns } = topic;
  return {
    topic,
    idPath: jsonPath(idPath),
    timePath: jsonPath(timePath),
    schema: schema === null ? null : new TopicSchema(schema, columns),
  };
}
