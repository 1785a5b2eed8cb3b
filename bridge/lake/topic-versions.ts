import { type Static, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { decoders } from "../decoders/decoders.ts";
import { BridgeError } from "../errors.ts";
import { eventTimeBoundLimits } from "../topics/event-time-bounds.ts";
import { retentionLimits } from "../topics/retention.ts";
import type { TopicCatalog, TopicVersion } from "../topics/topic-catalog.ts";
import { encodeJson, parseLakeJson } from "./commit-log/lake-format.ts";
import { topicsFolder } from "./stores/lake-folders.ts";
import type { ObjectStore } from "./stores/object-store.ts";

export const topicsPrefix = `${topicsFolder}/`;
const readsAtOnce = 16;

const eventTimeBound = Type.Number({
  minimum: eventTimeBoundLimits.minMs,
  maximum: eventTimeBoundLimits.maxMs,
});

/** The fields that the bridge reads. The file may hold more, for other readers. */
const topicVersionSchema = Type.Object({
  topicId: Type.String({ pattern: "^[A-Za-z0-9_-]{1,64}$" }),
  version: Type.Integer({ minimum: 1 }),
  name: Type.String({ pattern: "^[a-z][a-z0-9_]{0,62}$" }),
  format: Type.Union(decoders.map(({ name }) => Type.Literal(name))),
  idPath: Type.String(),
  timePath: Type.String(),
  schema: Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]),
  columns: Type.Array(
    Type.Object({
      name: Type.String({ minLength: 1 }),
      type: Type.Union([
        Type.Literal("boolean"),
        Type.Literal("long"),
        Type.Literal("double"),
        Type.Literal("string"),
        Type.Literal("timestamp"),
      ]),
    }),
  ),
  filter: Type.Optional(Type.String()),
  deleted: Type.Optional(Type.Boolean()),
  dedupeWindowMs: Type.Number({ minimum: 0 }),
  dedupe: Type.Optional(Type.Union([Type.Literal("window"), Type.Literal("exact")])),
  eventPastMs: Type.Optional(eventTimeBound),
  eventAheadMs: Type.Optional(eventTimeBound),
  retentionMs: Type.Optional(Type.Number({ minimum: retentionLimits.minMs, maximum: retentionLimits.maxMs })),
});
const topicVersionCheck = TypeCompiler.Compile(topicVersionSchema);

/** A topic version with all other fields of its file. */
export type TopicDefinition = TopicVersion & Readonly<Record<string, unknown>>;

export interface LakeTopicCatalog extends TopicCatalog {
  definitions(): readonly TopicDefinition[];
}

export function topicVersionPath(topicId: string, version: number): string {
  return `${topicsPrefix}${topicId}/${version}.json`;
}

/**
 * Writes a topic version into the lake; it never changes afterwards. Idempotent. Call it before anyone uses
 * the version. Rejects with TOPIC_CONFLICT if the definition is invalid, or if the lake holds another
 * definition under this id and version.
 */
export async function writeTopicVersion(store: ObjectStore, definition: TopicDefinition): Promise<void> {
  const { topicId, version } = definition;
  if (!topicVersionCheck.Check(definition)) {
    const fault = topicVersionCheck.Errors(definition).First();
    throw conflict(`version ${version} of topic ${topicId} is invalid: ${fault?.path} ${fault?.message}`);
  }
  const path = topicVersionPath(topicId, version);
  const bytes = encodeJson(definition);
  if ((await store.putIfAbsent(path, bytes)) === "created") return;
  const found = await store.get(path);
  if (found === null || Buffer.compare(found, bytes) !== 0)
    throw conflict(`${path} in ${store.url} holds another definition; a changed topic needs a new version`);
}

function conflict(message: string): BridgeError {
  return new BridgeError("TOPIC_CONFLICT", message, { retryable: false });
}

class StoredTopicCatalog implements LakeTopicCatalog {
  readonly #store: ObjectStore;
  readonly #byPath = new Map<string, TopicDefinition>();
  readonly #exactTopicIds = new Set<string>();
  #longestWindowMs = 0;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  version(topicId: string, version: number): TopicVersion | undefined {
    return this.#byPath.get(topicVersionPath(topicId, version));
  }

  definitions(): readonly TopicDefinition[] {
    return [...this.#byPath.values()];
  }

  get size(): number {
    return this.#byPath.size;
  }

  longestWindowMs(): number {
    return this.#longestWindowMs;
  }

  exactTopicIds(): ReadonlySet<string> {
    return this.#exactTopicIds;
  }

  async refresh(): Promise<void> {
    const paths: string[] = [];
    for await (const { path } of this.#store.list(topicsPrefix))
      if (!this.#byPath.has(path)) paths.push(path);
    for (let start = 0; start < paths.length; start += readsAtOnce)
      await Promise.all(paths.slice(start, start + readsAtOnce).map((path) => this.#read(path)));
  }

  async #read(path: string): Promise<void> {
    const definition = await readDefinition(this.#store, path);
    if (definition === null) return;
    this.#byPath.set(path, definition);
    if (definition.dedupe === "exact") this.#exactTopicIds.add(definition.topicId);
    this.#longestWindowMs = Math.max(this.#longestWindowMs, definition.dedupeWindowMs);
  }
}

async function readDefinition(
  store: Pick<ObjectStore, "get">,
  path: string,
): Promise<TopicDefinition | null> {
  const bytes = await store.get(path);
  return bytes === null ? null : parseTopicVersion(path, bytes);
}

/**
 * One version of a topic whose rows are in the lake. Rejects with LAKE_DAMAGED and the file's name if its
 * file is missing or invalid.
 */
export async function readTopicVersion(
  store: Pick<ObjectStore, "get">,
  topicId: string,
  version: number,
): Promise<TopicVersion> {
  const path = topicVersionPath(topicId, version);
  const definition = await readDefinition(store, path);
  if (definition !== null) return definition;
  throw new BridgeError(
    "LAKE_DAMAGED",
    `${path} is missing in the lake although it has rows of this version. Restore this file from a copy`,
    { retryable: true, details: { topicId, version, path } },
  );
}

function parseTopicVersion(path: string, bytes: Uint8Array): TopicDefinition {
  const definition: Static<typeof topicVersionSchema> = parseLakeJson(path, bytes, topicVersionCheck);
  if (topicVersionPath(definition.topicId, definition.version) !== path)
    throw new BridgeError(
      "LAKE_DAMAGED",
      `${path} in the lake is damaged: it says it is version ${definition.version} of ${definition.topicId}. Restore this file from a copy`,
      { retryable: false, details: { path } },
    );
  return { ...definition } as TopicDefinition;
}

/** The topic versions of a lake. Rejects with LAKE_DAMAGED and the file's name if a file is invalid. */
export async function openTopicCatalog(store: ObjectStore): Promise<LakeTopicCatalog> {
  const catalog = new StoredTopicCatalog(store);
  await catalog.refresh();
  return catalog;
}
