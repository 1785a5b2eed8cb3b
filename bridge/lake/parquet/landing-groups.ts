import type { Row } from "../../tail/row.ts";
import { quarantineKey } from "../commit-log/commit-log.ts";
import type { LandedTable } from "../commit-log/landed-file.ts";
import type { LandedLane } from "../commit-log/lane-commits.ts";
import { hourOf, laneOf } from "../landing/lane.ts";
import { vectors } from "./staged-rows.ts";
import type { StagedShape } from "./staging-table.ts";

/** The topic version of a row, and whether the row belongs in `_quarantine`. */
export interface RowTopic {
  readonly topicId: string;
  readonly version: number;
  /** The folder of the topic's table. */
  readonly name: string;
  readonly isQuarantined: boolean;
}

/** Rows of a batch with the same topic version, table, lane and hour: they stand together in the file. */
interface LandingGroup extends RowTopic {
  readonly number: number;
  readonly lane: LandedLane;
  /** Hours since the epoch. */
  readonly hour: number;
  rows: number;
}

/** A group with its place in the order of the file. */
export interface RankedGroup extends LandingGroup {
  readonly rank: number;
}

export const groupShape: StagedShape<RankedGroup> = {
  columns: [
    { name: "number", type: "integer" },
    { name: "rank", type: "integer" },
    { name: "topic_id", type: "string" },
    { name: "topic_version", type: "integer" },
    { name: "_lane", type: "string" },
    { name: "_hour", type: "integer" },
  ],
  fill(chunk, groups) {
    const [number, rank, topicId, topicVersion, lane, hour] = vectors(chunk);
    for (const [at, group] of groups.entries()) {
      number?.setItem(at, group.number);
      rank?.setItem(at, group.rank);
      topicId?.setItem(at, group.topicId);
      topicVersion?.setItem(at, group.version);
      lane?.setItem(at, group.lane);
      hour?.setItem(at, group.hour);
    }
  },
};

/** More than the number of any hour, twice. */
const placesOfVersion = 2 ** 26;

/**
 * The groups of a batch's rows. What the rows of a group share is staged once: four more texts for each row
 * would cost 0.7 µs.
 */
export class LandingGroups {
  readonly #groups: LandingGroup[] = [];
  /** By topic, then by version, table, hour and lane. */
  readonly #known = new Map<string, Map<number, LandingGroup>>();

  /** Counts the row, and returns the number of its group. */
  place(topic: RowTopic, row: Row): number {
    let ofTopic = this.#known.get(topic.topicId);
    if (!ofTopic) {
      ofTopic = new Map();
      this.#known.set(topic.topicId, ofTopic);
    }
    const hour = hourOf(row);
    const lane = laneOf(row);
    // The rows of an hour have at most two lanes.
    const place = hour * 2 + (lane === "late" ? 1 : 0);
    const key = (topic.version * 2 + (topic.isQuarantined ? 1 : 0)) * placesOfVersion + place;
    let group = ofTopic.get(key);
    if (!group) {
      group = { ...topic, number: this.#groups.length, lane, hour, rows: 0 };
      ofTopic.set(key, group);
      this.#groups.push(group);
    }
    group.rows += 1;
    return group.number;
  }

  /**
   * All groups, ranked by table, topic and hour, so that a reader of one table and hour reads few row groups.
   * Groups of one table and hour have one rank: their rows mix by event time.
   */
  ranked(): RankedGroup[] {
    const sorted = this.#groups.toSorted(compareGroups);
    let rank = 0;
    return sorted.map((group, at) => {
      const before = sorted[at - 1];
      if (before && compareGroups(before, group) !== 0) rank += 1;
      return { ...group, rank };
    });
  }

  /** The rows of each table, by its key: topic id, or `_quarantine`. */
  tables(): Map<string, LandedTable> {
    const tables = new Map<string, LandedTable>();
    for (const { topicId, version, name, isQuarantined, lane, rows } of this.#groups) {
      const key = isQuarantined ? quarantineKey : topicId;
      const table = tables.get(key);
      tables.set(key, {
        name: isQuarantined ? quarantineKey : name,
        version: isQuarantined ? 0 : Math.max(version, table?.version ?? 0),
        rows: { ...table?.rows, [lane]: (table?.rows[lane] ?? 0) + rows },
      });
    }
    return tables;
  }
}

function compareGroups(left: LandingGroup, right: LandingGroup): number {
  const byTable = Number(left.isQuarantined) - Number(right.isQuarantined);
  if (byTable !== 0) return byTable;
  if (left.topicId !== right.topicId) return left.topicId < right.topicId ? -1 : 1;
  return left.hour - right.hour;
}
