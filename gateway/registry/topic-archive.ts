import type { TopicRecord } from "./topic-definition.ts";

/**
 * PORT: the lake's copy of every topic version (`_topics/<id>/<version>.json`), from which a registry can be
 * restored.
 */
export interface TopicArchive {
  /**
   * The version is durable when this resolves. `taken`: the lake keeps another definition with this id and
   * version. A repeated write of the same version is `written`.
   */
  write(record: TopicRecord): Promise<"written" | "taken">;
  /** Every version of every topic, in no order. */
  readAll(): Promise<TopicRecord[]>;
}
