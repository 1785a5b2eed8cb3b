import type { Counter, Registry } from "prom-client";
import type { Row } from "../../tail/row.ts";
import type { TopicVersion } from "../../topics/topic-catalog.ts";
import { instrumentsIn } from "./instruments.ts";

/** Rows of a topic that were flagged, since this process started; rows of repeated batches count again. */
export interface OutsideTimesOfTopic {
  readonly topic: string;
  /** Event times before and after the bounds of their topic version. */
  readonly past: number;
  readonly ahead: number;
  /** The message has no event time that could be read. */
  readonly unread: number;
}

type Side = Exclude<keyof OutsideTimesOfTopic, "topic">;

/** Counts rows that are filed by their ingest time, because their event time is outside of the bounds. */
export class OutsideTimes {
  readonly #byTopic = new Map<string, { topic: string; past: number; ahead: number; unread: number }>();
  readonly #rows: Counter<"topic" | "side">;

  constructor(registry: Registry) {
    this.#rows = instrumentsIn(registry).counter(
      "tidegate_consumer_event_times_outside_total",
      "Rows with an event time outside of the topic's bounds (past, ahead), or without a readable one (unread); replays count again.",
      ["topic", "side"],
    );
  }

  /** Takes a row that is flagged as outside. */
  count({ name: topic }: Pick<TopicVersion, "name">, row: Pick<Row, "eventTimeMs" | "ingestTimeMs">): void {
    const side = sideOf(row);
    const counted = this.#byTopic.get(topic) ?? { topic, past: 0, ahead: 0, unread: 0 };
    counted[side] += 1;
    this.#byTopic.set(topic, counted);
    this.#rows.inc({ topic, side });
  }

  /** Topics with such rows, by name. */
  get status(): readonly OutsideTimesOfTopic[] {
    return [...this.#byTopic.values()]
      .map((counted) => ({ ...counted }))
      .sort((left, right) => left.topic.localeCompare(right.topic));
  }
}

/** An event time that could not be read is filed as the ingest time. One beside a bound is at least a minute off. */
function sideOf({ eventTimeMs, ingestTimeMs }: Pick<Row, "eventTimeMs" | "ingestTimeMs">): Side {
  if (eventTimeMs === ingestTimeMs) return "unread";
  return eventTimeMs < ingestTimeMs ? "past" : "ahead";
}
