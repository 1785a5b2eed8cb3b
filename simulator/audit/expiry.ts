import type { TopicDefinitions } from "./topic-definitions.ts";

const hourMs = 3_600_000;
/** The largest difference between the clocks of fleet and gateway. */
const clockSkewMaxMs = hourMs;
const quarantine = "_quarantine";

type Definitions = ReturnType<TopicDefinitions["inForce"]>;

/** A message whose row is in no table. */
export interface AbsentMessage {
  readonly topicName: string;
  /** Its own time, µs since the epoch; null = it has none, so that it is filed by its ingest time. */
  readonly eventTimeUs: number | null;
  /** When it was due, ms since the epoch. No gateway had it before. */
  readonly dueMs: number;
  /** Where its row belongs. */
  readonly place: "table" | "quarantine";
  /** True if the gateway may have been unable to read its time. */
  readonly mayBeUnread: boolean;
}

/** When the messages of a run were published, ms since the epoch. */
export interface RunSpan {
  readonly startedAtMs: number;
  /** No acknowledgement came later. */
  readonly endedAtMs: number;
}

/**
 * Which absent rows retention may have removed: those whose event hour is below the bound of their table. If it
 * is not sure in which hour or table a row was, all of them must be below. Quarantined rows leave by their ingest.
 */
export class Expiry {
  readonly #bounds: ReadonlyMap<string, number>;
  readonly #topics: TopicDefinitions;
  /** By topic name and beginning of the run. */
  readonly #definitions = new Map<string, Definitions>();

  /** @param bounds See `retentionBounds`. */
  constructor(bounds: ReadonlyMap<string, number>, topics: TopicDefinitions) {
    this.#bounds = bounds;
    this.#topics = topics;
  }

  isExpired(message: AbsentMessage, span: RunSpan): boolean {
    if (this.#bounds.size === 0) return false;
    const definitions = this.#inForce(message.topicName, span);
    if (definitions.length === 0) return false;
    const hour = latestHour(message, span, definitions);
    const tables = message.place === "quarantine" ? [quarantine] : definitions.map(({ name }) => name);
    return tables.every((name) => hour < (this.#bounds.get(name) ?? Number.NEGATIVE_INFINITY));
  }

  #inForce(topicName: string, span: RunSpan): Definitions {
    const key = `${span.startedAtMs} ${topicName}`;
    const known = this.#definitions.get(key) ?? this.#topics.inForce(topicName, span);
    this.#definitions.set(key, known);
    return known;
  }
}

/**
 * The latest hour in which the row may have been, in hours since the epoch. A quarantined row stays until its ingest
 * is below the bound, too, whatever its hour.
 */
function latestHour(
  { eventTimeUs, dueMs, place, mayBeUnread }: AbsentMessage,
  { endedAtMs }: RunSpan,
  definitions: Definitions,
): number {
  const lastMs = endedAtMs + clockSkewMaxMs;
  const ingestHour = Math.floor(lastMs / hourMs);
  if (eventTimeUs === null) return ingestHour;
  const eventMs = eventTimeUs / 1000;
  const mayBeOutside = definitions.some(
    ({ bounds }) => eventMs < lastMs - bounds.pastMs || eventMs > dueMs - clockSkewMaxMs + bounds.aheadMs,
  );
  const mayBeWithin = definitions.some(
    ({ bounds }) => eventMs >= dueMs - clockSkewMaxMs - bounds.pastMs && eventMs <= lastMs + bounds.aheadMs,
  );
  const hours = [];
  if (mayBeWithin) hours.push(Math.floor(eventMs / hourMs));
  if (mayBeOutside || mayBeUnread || place === "quarantine") hours.push(ingestHour);
  return Math.max(...hours);
}
