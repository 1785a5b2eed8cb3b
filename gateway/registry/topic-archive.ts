import type { TopicRecord } from "./topic-definition.ts";

/** PORT: the lake's copy of every topic version (`_topics/<id>/<version>.json`), from which a registry can be made again. */
export interface TopicArchive {
  /**
   * Durable when it resolves. `taken`: the lake holds another definition under this id and version, which stays.
   * Writing the same one again is `written`.
   */
  write(record: TopicRecord): Promise<"written" | "taken">;
  /** Every version of every topic, in no order. */
  readAll(): Promise<TopicRecord[]>;
}
