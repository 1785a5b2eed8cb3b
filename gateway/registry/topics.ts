import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { compareSpecificity, filtersOverlap, parseTopicFilter } from "../../devices/protocol/topic-filter.ts";
import { GatewayError } from "../errors.ts";
import { inputError } from "../input/input-error.ts";
import { latestTopics, type RegistryStore, topicKey } from "./registry-store.ts";
import type { TopicArchive } from "./topic-archive.ts";
import { columnConflicts } from "./topic-columns.ts";
import { defineTopic, type TopicDefinition, type TopicInput, type TopicRecord } from "./topic-definition.ts";

export interface TopicsOptions {
  readonly store: RegistryStore;
  readonly archive: TopicArchive;
  readonly now: () => number;
  /** Largest MQTT packet that the broker accepts. */
  readonly packetMaxBytes: number;
  /**
   * Filters of ordinary publish/subscribe. They share one precedence with topics
   * (`broker/ingest/topic-rules.ts`).
   */
  readonly plainFilters: readonly string[];
  /** Resolves once the broker judges messages by the change, or after a time-out. */
  readonly changed: () => Promise<void>;
}

/** Each lost attempt means that another administrator made a change; the next attempt decides again. */
const attemptsMax = 20;

/**
 * Administration of topics. Calls in one process (a gateway's supervisor) run one after another; between
 * gateways that share a registry, the reservation decides. Each version is in the lake before a broker uses
 * it. So no broker accepts a message whose topic version the lake lacks.
 */
export class Topics {
  readonly #options: TopicsOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: TopicsOptions) {
    this.#options = options;
  }

  /** Live topics by name; with `deleted`, deleted ones as well. */
  list(options: { deleted: boolean }): TopicRecord[] {
    return latestTopics(this.#options.store)
      .filter((record) => options.deleted || !record.deleted)
      .sort((left, right) => left.name.localeCompare(right.name));
  }

  /** Every version, oldest first. Throws TOPIC_UNKNOWN. */
  versions(name: string): TopicRecord[] {
    const versions = this.#versionsOf(name);
    if (versions.length === 0) throw unknownTopic(name);
    return versions;
  }

  /**
   * Creates a topic. A deleted topic of that name continues with its table if the columns fit, otherwise
   * throws TOPIC_INCOMPATIBLE. A live topic with this very definition is not changed (`created` is false);
   * with another definition, throws TOPIC_EXISTS.
   */
  create(input: TopicInput): Promise<{ topic: TopicRecord; created: boolean }> {
    return this.#change(() => {
      const definition = defineTopic(input);
      const versions = this.#versionsOf(definition.name);
      const live = liveOf(versions);
      if (live) {
        if (isDeepStrictEqual(definitionOf(live), definition)) return { topic: live, created: false };
        throw new GatewayError(
          "TOPIC_EXISTS",
          `The topic ${definition.name} exists with another definition: change it with \`tidegate topics update\`, or delete it first.`,
          { retryable: false },
        );
      }
      return { topic: this.#next(definition, versions), created: true };
    });
  }

  /**
   * Stores the next version of a live topic, unless the definition is the same. Throws TOPIC_UNKNOWN,
   * TOPIC_INCOMPATIBLE.
   */
  update(input: TopicInput): Promise<{ topic: TopicRecord; created: boolean }> {
    return this.#change(() => {
      const definition = defineTopic(input);
      const versions = this.#versionsOf(definition.name);
      const live = liveOf(versions);
      if (!live) throw absentTopic(definition.name, versions, "update");
      if (isDeepStrictEqual(definitionOf(live), definition)) return { topic: live, created: false };
      return { topic: this.#next(definition, versions), created: true };
    });
  }

  /**
   * Stops acceptance. Messages in the stream are still filed: the definition and the table stay. Throws
   * TOPIC_UNKNOWN, and TOPIC_PURGE_UNSAFE if `purge` is true.
   */
  async delete(name: string, options: { purge: boolean }): Promise<TopicRecord> {
    const { topic } = await this.#change(() => {
      if (options.purge)
        throw new GatewayError(
          "TOPIC_PURGE_UNSAFE",
          `The table of ${name} can't be removed: the commit log names its files, and duplicates are recognised by reading them. Delete the topic without --purge; its table stays readable.`,
          { retryable: false },
        );
      const versions = this.#versionsOf(name);
      const live = liveOf(versions);
      if (!live) throw absentTopic(name, versions, "delete");
      const record = { ...live, version: live.version + 1, createdAtMs: this.#options.now(), deleted: true };
      return { topic: record, created: true };
    });
    return topic;
  }

  /** The version to store. */
  #next(definition: TopicDefinition, versions: readonly TopicRecord[]): TopicRecord {
    const conflicts = [
      ...new Set(versions.flatMap((old) => columnConflicts(old.columns, definition.columns))),
    ];
    if (conflicts.length > 0)
      throw new GatewayError(
        "TOPIC_INCOMPATIBLE",
        `The table of ${definition.name} can't have these columns: ${conflicts.join("; ")}.`,
        { retryable: false, details: { conflicts } },
      );
    this.#refuseUnreachablePayload(definition);
    this.#refuseAmbiguity(definition);
    const last = versions.at(-1);
    return {
      ...definition,
      topicId: last?.topicId ?? randomBytes(8).toString("hex"),
      version: (last?.version ?? 0) + 1,
      createdAtMs: this.#options.now(),
      deleted: false,
    };
  }

  #refuseUnreachablePayload({ maxPayloadBytes, filter }: TopicDefinition): void {
    const { packetMaxBytes } = this.#options;
    const largest = largestPayloadBytes(packetMaxBytes, filter);
    if (maxPayloadBytes <= largest) return;
    const mend = `this exceeds the largest packet: use at most ${largest}, or raise mqtt.packetMaxBytes (${packetMaxBytes}) and restart`;
    throw inputError("TOPIC_INVALID", "", [
      { where: "maxPayloadBytes", kind: "wrong", value: maxPayloadBytes, mend },
    ]);
  }

  #refuseAmbiguity(definition: TopicDefinition): void {
    const others = this.list({ deleted: false }).filter((other) => other.name !== definition.name);
    const rival = others.find((other) => isAmbiguous(definition.filter, other.filter));
    if (rival) throw ambiguous(definition.filter, `${rival.filter} of the topic ${rival.name}`, rival.name);
    const plain = this.#options.plainFilters.find((filter) => isAmbiguous(definition.filter, filter));
    if (plain !== undefined)
      throw ambiguous(definition.filter, `${plain} of the setting mqtt.plainFilters`, plain);
  }

  /**
   * @param decide Returns the version to store (`created`) or the existing one, by the current topics. Called
   * again if another administrator was faster.
   */
  #change(
    decide: () => { topic: TopicRecord; created: boolean },
  ): Promise<{ topic: TopicRecord; created: boolean }> {
    return this.#inTurn(async () => {
      const { store } = this.#options;
      for (let attempt = 0; attempt < attemptsMax; attempt++) {
        const topicsVersion = await this.#settledVersion();
        const decided = decide();
        if (!decided.created) return decided;
        if (!(await store.reserveTopics([decided.topic], topicsVersion))) continue;
        await this.#publish(decided.topic);
        await this.#options.changed();
        return decided;
      }
      throw new GatewayError(
        "REGISTRY_BUSY",
        "Other administrators keep changing the topics: try again in a moment.",
        { retryable: true },
      );
    });
  }

  /**
   * Publishes reservations of other administrators, who may have died, so that the decision is based on final
   * topics.
   */
  async #settledVersion(): Promise<number> {
    const { store } = this.#options;
    await store.refresh();
    const reserved = [...store.reservedTopics()];
    if (reserved.length === 0) return store.topicsVersion;
    for (const record of reserved) await this.#publish(record);
    await store.refresh();
    return store.topicsVersion;
  }

  async #publish(record: TopicRecord): Promise<void> {
    const { store, archive } = this.#options;
    const outcome = await archive.write(record).catch(async (error: unknown) => {
      if (await isAbsent(archive, record)) await store.releaseTopics([record]);
      throw error;
    });
    if (outcome === "taken") {
      await store.releaseTopics([record]);
      throw new GatewayError(
        "REGISTRY_CONFLICT",
        `The lake holds another version ${record.version} of the topic ${record.name}: a gateway with another registry uses this lake, or this registry is an older copy. Restart the gateway: it takes over what the lake knows.`,
        { retryable: false },
      );
    }
    await store.publishTopics([record]);
  }

  #versionsOf(name: string): TopicRecord[] {
    return this.#options.store.allTopics().filter((record) => record.name === name);
  }

  #inTurn<Result>(step: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(step, step);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** False if the lake holds the record, or does not answer. */
async function isAbsent(archive: TopicArchive, record: TopicRecord): Promise<boolean> {
  try {
    return !(await archive.readAll()).some((known) => topicKey(known) === topicKey(record));
  } catch {
    return false;
  }
}

/**
 * What a PUBLISH leaves to its payload: the rest is a fixed header (5), length (2) and text of the topic
 * name, packet identifier (2).
 */
export function largestPayloadBytes(packetMaxBytes: number, filter: string): number {
  return packetMaxBytes - 9 - Buffer.byteLength(filter);
}

/** True if some topic name matches both filters and neither is more specific. */
export function isAmbiguous(left: string, right: string): boolean {
  const [a, b] = [parseTopicFilter(left), parseTopicFilter(right)];
  return filtersOverlap(a, b) && compareSpecificity(a, b) === 0;
}

function liveOf(versions: readonly TopicRecord[]): TopicRecord | null {
  const last = versions.at(-1);
  return last && !last.deleted ? last : null;
}

function definitionOf(record: TopicRecord): TopicDefinition {
  const { topicId: _id, version: _version, createdAtMs: _created, deleted: _deleted, ...definition } = record;
  return definition;
}

function ambiguous(filter: string, other: string, rival: string): GatewayError {
  return new GatewayError(
    "TOPIC_AMBIGUOUS",
    `The filter ${filter} and ${other} match the same topic names, and neither is more specific: use a literal level where the other has a wildcard, or another path.`,
    { retryable: false, details: { rival } },
  );
}

function unknownTopic(name: string): GatewayError {
  const text = `There is no topic ${name}: \`tidegate topics list\` lists the topics.`;
  return new GatewayError("TOPIC_UNKNOWN", text, { retryable: false });
}

/** @param change What was asked for. */
function absentTopic(
  name: string,
  versions: readonly TopicRecord[],
  change: "update" | "delete",
): GatewayError {
  if (versions.length === 0) return unknownTopic(name);
  const show = `\`tidegate topics show ${name}\` shows its definition`;
  const text =
    change === "delete"
      ? `The topic ${name} is deleted already: ${show}.`
      : `The topic ${name} is deleted: create it again to change it (${show}). To change only how long its rows stay, create it with that \`--retain\`, and delete it again.`;
  return new GatewayError("TOPIC_UNKNOWN", text, { retryable: false });
}
