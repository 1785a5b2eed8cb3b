import type { TopicVersion } from "../topics/topic-catalog.ts";
import type { JsonPath } from "./document/json-path.ts";

/** The parts of a topic version that decide how a payload is read. */
export interface ContentPlan {
  readonly topic: Pick<TopicVersion, "columns">;
  readonly idPath: JsonPath;
  readonly timePath: JsonPath;
  /** If set, payloads are JSON documents; null = the topic has no schema. */
  readonly schema: object | null;
}
