import { isDeepStrictEqual } from "node:util";
import type { TopicArchive } from "../../gateway/registry/topic-archive.ts";
import type { TopicRecord } from "../../gateway/registry/topic-definition.ts";

/** The lake's topic versions in memory, after a round trip through JSON. */
export class MemoryTopicArchive implements TopicArchive {
  readonly records = new Map<string, TopicRecord>();
  /** Called before each write; throwing makes the write fail. */
  beforeWrite: (record: TopicRecord) => void = () => {};

  async write(record: TopicRecord): Promise<"written" | "taken"> {
    this.beforeWrite(record);
    const key = `${record.topicId}/${record.version}`;
    const known = this.records.get(key);
    if (known && !isDeepStrictEqual(known, record)) return "taken";
    this.records.set(key, JSON.parse(JSON.stringify(record)) as TopicRecord);
    return "written";
  }

  async readAll(): Promise<TopicRecord[]> {
    return [...this.records.values()];
  }
}
