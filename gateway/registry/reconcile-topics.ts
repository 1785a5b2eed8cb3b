import { isDeepStrictEqual } from "node:util";
import { GatewayError } from "../errors.ts";
import type { RegistryStore } from "./registry-store.ts";
import type { TopicArchive } from "./topic-archive.ts";
import type { TopicRecord } from "./topic-definition.ts";
import { isAmbiguous } from "./topics.ts";

/**
 * Makes registry and lake know the same topic versions, at start. The registry takes over what only the lake has (it is new, or an older
 * copy, or its process died between the two writes); the lake is given what only the registry has (it is new, or an older copy).
 * Throws REGISTRY_CONFLICT where they contradict each other, and changes nothing then.
 */
export async function reconcileTopics(
  store: RegistryStore,
  archive: TopicArchive,
): Promise<{ imported: number; exported: number }> {
  const inLake = new Map((await archive.readAll()).map((record) => [keyOf(record), record]));
  const inRegistry = new Map(store.allTopics().map((record) => [keyOf(record), record]));
  for (const [key, record] of inRegistry) {
    const other = inLake.get(key);
    if (other && !isDeepStrictEqual(other, record))
      throw conflict(`version ${record.version} of the topic ${record.name} differs`);
  }
  const missingHere = [...inLake].filter(([key]) => !inRegistry.has(key)).map(([, record]) => record);
  const missingThere = [...inRegistry].filter(([key]) => !inLake.has(key)).map(([, record]) => record);
  checkUnion([...inRegistry.values(), ...missingHere]);
  for (const record of missingThere) {
    if ((await archive.write(record)) === "taken")
      throw conflict(`version ${record.version} of the topic ${record.name} differs`);
  }
  if (missingHere.length > 0) await store.addTopics(missingHere);
  return { imported: missingHere.length, exported: missingThere.length };
}

function keyOf(record: TopicRecord): string {
  return `${record.topicId}/${record.version}`;
}

function checkUnion(records: readonly TopicRecord[]): void {
  const latest = new Map<string, TopicRecord>();
  for (const record of records) {
    const known = latest.get(record.topicId);
    if (!known || known.version < record.version) latest.set(record.topicId, record);
  }
  const topics = [...latest.values()];
  for (const [index, topic] of topics.entries()) {
    const namesake = topics.slice(index + 1).find((other) => other.name === topic.name);
    if (namesake)
      throw conflict(`the topic ${topic.name} has two ids, ${topic.topicId} and ${namesake.topicId}`);
    const rival = topics
      .slice(index + 1)
      .find((other) => !topic.deleted && !other.deleted && isAmbiguous(topic.filter, other.filter));
    if (rival) throw conflict(`the filters of the topics ${topic.name} and ${rival.name} are ambiguous`);
  }
}

function conflict(what: string): GatewayError {
  return new GatewayError(
    "REGISTRY_CONFLICT",
    `The registry and the lake contradict each other: ${what}. This data folder and this lake do not belong together: start with the data folder that wrote the lake, or with an empty one, which takes the lake's topics over.`,
    { retryable: false },
  );
}
