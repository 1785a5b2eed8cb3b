import { isDeepStrictEqual } from "node:util";
import { GatewayError } from "../errors.ts";
import { type RegistryStore, topicKey } from "./registry-store.ts";
import type { TopicArchive } from "./topic-archive.ts";
import type { TopicRecord } from "./topic-definition.ts";
import { isAmbiguous } from "./topics.ts";

/** Each lost attempt means that another gateway has made a change. */
const attemptsMax = 20;

/**
 * Gives registry and lake the same topic versions at the start. Versions that only one of them has are added
 * to the other one. The registry may be new or an older copy, or its process died between the two writes; the
 * lake may be new or an older copy. Several gateways may do this at the same time. Throws REGISTRY_CONFLICT
 * before any change if registry and lake contradict each other.
 */
export async function reconcileTopics(
  store: RegistryStore,
  archive: TopicArchive,
): Promise<{ imported: number; exported: number }> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const done = await tryReconcile(store, archive);
    if (done) return done;
  }
  throw new GatewayError(
    "REGISTRY_BUSY",
    "Other gateways keep changing the topics: start the gateway again.",
    {
      retryable: true,
    },
  );
}

/** null: another gateway was faster. */
async function tryReconcile(
  store: RegistryStore,
  archive: TopicArchive,
): Promise<{ imported: number; exported: number } | null> {
  // The lake is read first: other gateways write a version into the registry before the lake.
  const inLake = new Map((await archive.readAll()).map((record) => [topicKey(record), record]));
  await store.refresh();
  const { topicsVersion } = store;
  const reserved = [...store.reservedTopics()];
  const inRegistry = new Map([...store.allTopics(), ...reserved].map((record) => [topicKey(record), record]));
  for (const [key, record] of inRegistry) {
    const other = inLake.get(key);
    if (other && !isDeepStrictEqual(other, record)) throw differs(record);
  }
  const missingHere = [...inLake].filter(([key]) => !inRegistry.has(key)).map(([, record]) => record);
  const missingThere = [...inRegistry].filter(([key]) => !inLake.has(key)).map(([, record]) => record);
  checkUnion([...inRegistry.values(), ...missingHere]);
  if (missingHere.length > 0 && !(await store.reserveTopics(missingHere, topicsVersion))) return null;
  for (const record of missingThere) {
    if ((await archive.write(record)) === "taken") throw differs(record);
  }
  if (missingHere.length + reserved.length > 0) await store.publishTopics([...missingHere, ...reserved]);
  return { imported: missingHere.length, exported: missingThere.length };
}

function differs(record: TopicRecord): GatewayError {
  return conflict(`version ${record.version} of the topic ${record.name} differs`);
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
    `The registry and the lake contradict each other: ${what}. This data folder and this lake do not belong together: start with the data folder that wrote the lake, or with an empty one, which takes over the topics of the lake.`,
    { retryable: false },
  );
}
