import type { Content } from "./content.ts";
import type { ContentPlan } from "./content-plan.ts";
import type { ContentFault } from "./quarantine-reason.ts";

/** PORT: reads the payloads of one format. The consumer uses it, the registry of topics offers it. */
export interface Decoder {
  /** Value of `format` in a topic. Lakes hold the name, so never change it. */
  readonly name: string;
  /** For people, after the name: `Tidegate's protobuf`. */
  readonly description: string;
  /** False = messages have no id, so they are not deduplicated. */
  readonly hasIds: boolean;
  /** False = the event time is the ingest time. */
  readonly hasEventTimes: boolean;
  /** True = `idPath` and `timePath` of the topic lead to id and event time. */
  readonly usesPaths: boolean;
  /**
   * Why ids cannot be remembered without a limit of time; null = ids of the SDK are recognised and can be.
   */
  readonly whyNotExact: string | null;
  /** Why topics cannot have a schema; null = they can. */
  readonly whyNoSchema: string | null;

  /**
   * Reads `content.payload` into the other members of `content`, and returns the first fault; null = there is
   * none. Members that were read before a fault stay: a resend of a message with an id is then a duplicate.
   *
   * Must not throw for any bytes, and must not change them. Time and memory must be linear in the length of
   * the payload. Equal payloads must have equal content.
   */
  read(content: Content, plan: ContentPlan): ContentFault | null;
}
