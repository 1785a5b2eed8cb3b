import { BridgeError } from "../../bridge/errors.ts";
import { type ObjectStore, openTopicCatalog, writeTopicVersion } from "../../bridge/lake/index.ts";
import type { TopicArchive } from "./topic-archive.ts";
import type { TopicRecord } from "./topic-definition.ts";

/** The archive of topics in a lake. */
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
    // The bridge keeps members that it does not know, and this is the only writer.
    readAll: async () => (await openTopicCatalog(store)).definitions() as unknown as TopicRecord[],
  };
}
