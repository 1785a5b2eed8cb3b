import { BridgeError, type ObjectStore, openTopicCatalog, writeTopicVersion } from "../../bridge/index.ts";
import type { TopicArchive } from "./topic-archive.ts";
import type { TopicRecord } from "./topic-definition.ts";

/** The topics' archive in a lake. */
export function createLakeTopics(store: ObjectStore): TopicArchive {
  return {
    write: async (record) => {
      try {
        await writeTopicVersion(store, { ...record });
        return "written";
      } catch (error) {
        if (error instanceof BridgeError && error.code === "TOPIC_CONFLICT") return "taken";
        throw error;
      }
    },
    // The bridge keeps members that it doesn't know, and we are the only writer.
    readAll: async () => (await openTopicCatalog(store)).definitions() as unknown as TopicRecord[],
  };
}
