import type { Row } from "../../tail/row.ts";
import type { TypedColumn } from "../../topics/topic-catalog.ts";
import { quarantineKey } from "../commit-log/commit-log.ts";
import type { LandedTable } from "../commit-log/landed-file.ts";
import type { LandedLane } from "../commit-log/lane-commits.ts";
import { hourOf, laneOf } from "../landing/lane.ts";
import type { LandedVersion } from "../landing/row-files.ts";
import { FilePlan, isFull, type PlannedFile } from "./file-plan.ts";
import { vectors } from "./staged-rows.ts";
import type { StagedShape } from "./staging-table.ts";

/** The topic version of a row, and whether the row belongs in `_quarantine`. */
export interface RowTopic {
  readonly topicId: string;
  readonly version: number;
  /** The folder of the topic's table. */
  readonly name: string;
  readonly columns: readonly TypedColumn[];
  readonly isQuarantined: boolean;
}

/** Rows of a batch with the same topic version, lane, and file of the same table. */
interface RowGroup extends RowTopic {
  readonly number: number;
  readonly lane: LandedLane;
  /** Hours since the epoch. */
  readonly hour: number;
  readonly file: PlannedFile;
  rows: number;
}

/** A group with its place in the order of the landing file. */
interface RankedGroup extends RowGroup {
  readonly rank: number;
}

/** A group as it is staged. */
export interface StagedGroup extends RankedGroup {
  /** Number of the table file that its rows go to; null if they land. */
  readonly direct: number | null;
}

export const groupShape: StagedShape<StagedGroup> = {
  columns: [
    { name: "number", type: "integer" },
    { name: "rank", type: "integer" },
    { name: "topic_id", type: "string" },
    { name: "topic_version", type: "integer" },
    { name: "_lane", type: "string" },
    { name: "_hour", type: "integer" },
    { name: "direct", type: "integer" },
  ],
  fill(chunk, groups) {
    const [number, rank, topicId, topicVersion, lane, hour, direct] = vectors(chunk);
    for (const [at, group] of groups.entries()) {
      number?.setItem(at, group.number);
      rank?.setItem(at, group.rank);
      topicId?.setItem(at, group.topicId);
      topicVersion?.setItem(at, group.version);
      lane?.setItem(at, group.lane);
      hour?.setItem(at, group.hour);
      direct?.setItem(at, group.direct);
    }
  },
};

/** A table file that the batch writes itself, because it is large at once. */
export interface DirectFile {
  /** Topic id, or `_quarantine`. */
  readonly key: string;
  /** The table's folder. */
  readonly name: string;
  /** Unique in the batch. */
  readonly number: number;
  readonly file: PlannedFile;
  /** The versions of its rows; null for `_quarantine`. */
  readonly versions: readonly LandedVersion[] | null;
}

/** What becomes of the rows of a batch. */
export interface BatchPlan {
  readonly groups: readonly StagedGroup[];
  /** Ordered by table and event hour. */
  readonly direct: readonly DirectFile[];
  readonly landed: LandedRows;
}

/** The rows of a batch that land. */
export interface LandedRows {
  /** By table key. */
  readonly tables: Readonly<Record<string, LandedTable>>;
  readonly rows: number;
  /** Uncompressed. */
  readonly bytes: number;
  /** ms. */
  readonly minStreamMs: number;
  readonly maxStreamMs: number;
}

/** More than any number of a file in a batch, twice. */
const placesOfVersion = 2 ** 26;

/**
 * The groups of a batch's rows. What the rows of a group share is staged once: four more texts for each row
 * would cost 0.7 µs.
 */
export class BatchGroups {
  readonly #groups: RowGroup[] = [];
  /** By table key. */
  readonly #files = new Map<string, FilePlan>();
  /** By topic, then by version, table, file and lane. */
  readonly #known = new Map<string, Map<number, RowGroup>>();

  /** Counts the row, and returns the number of its group. */
  place(topic: RowTopic, row: Row, bytes: number): number {
    const file = this.#planOf(topic).place(row, bytes);
    let ofTopic = this.#known.get(topic.topicId);
    if (!ofTopic) {
      ofTopic = new Map();
      this.#known.set(topic.topicId, ofTopic);
    }
    const lane = laneOf(row);
    // The rows of an hour have at most two lanes.
    const place = file.number * 2 + (lane === "late" ? 1 : 0);
    const key = (topic.version * 2 + (topic.isQuarantined ? 1 : 0)) * placesOfVersion + place;
    let group = ofTopic.get(key);
    if (!group) {
      group = { ...topic, number: this.#groups.length, lane, hour: hourOf(row), file, rows: 0 };
      ofTopic.set(key, group);
      this.#groups.push(group);
    }
    group.rows += 1;
    return group.number;
  }

  #planOf(topic: RowTopic): FilePlan {
    const key = keyOf(topic);
    let plan = this.#files.get(key);
    if (!plan) {
      plan = new FilePlan();
      this.#files.set(key, plan);
    }
    return plan;
  }

  /** @param directBytes A file with as many uncompressed bytes, or a full one, does not land. */
  plan(directBytes: number): BatchPlan {
    const ofFiles = byFile(this.#groups);
    const direct: DirectFile[] = [];
    const numbers = new Map<PlannedFile, number>();
    for (const [key, plan] of this.#files)
      for (const file of plan.inOrder()) {
        if (file.bytes < directBytes && !isFull(file)) continue;
        const number = direct.length;
        direct.push({ key, number, file, ...tableOf(ofFiles.get(file) ?? []) });
        numbers.set(file, number);
      }
    const groups = ranked(this.#groups).map((group) => ({
      ...group,
      direct: numbers.get(group.file) ?? null,
    }));
    return { groups, direct, landed: landedRows(groups.filter((group) => group.direct === null)) };
  }
}

function byFile(groups: readonly RowGroup[]): ReadonlyMap<PlannedFile, readonly RowGroup[]> {
  const files = new Map<PlannedFile, RowGroup[]>();
  for (const group of groups) {
    const known = files.get(group.file);
    if (known) known.push(group);
    else files.set(group.file, [group]);
  }
  return files;
}

/** The table of these groups, and the versions of their rows. */
function tableOf(groups: readonly RowGroup[]): Pick<DirectFile, "name" | "versions"> {
  if (groups.some(({ isQuarantined }) => isQuarantined)) return { name: quarantineKey, versions: null };
  const versions = new Map(groups.map((group) => [group.version, group]));
  return { name: groups[0]?.name ?? "", versions: [...versions.values()] };
}

function keyOf({ isQuarantined, topicId }: RowTopic): string {
  return isQuarantined ? quarantineKey : topicId;
}

/**
 * By table, topic and hour, so that a reader of one table and hour reads few row groups. Groups of one table
 * and hour have one rank: their rows mix by event time.
 */
function ranked(groups: readonly RowGroup[]): RankedGroup[] {
  const sorted = groups.toSorted(compareGroups);
  let rank = 0;
  return sorted.map((group, at) => {
    const before = sorted[at - 1];
    if (before && compareGroups(before, group) !== 0) rank += 1;
    return { ...group, rank };
  });
}

function compareGroups(left: RowGroup, right: RowGroup): number {
  const byTable = Number(left.isQuarantined) - Number(right.isQuarantined);
  if (byTable !== 0) return byTable;
  if (left.topicId !== right.topicId) return left.topicId < right.topicId ? -1 : 1;
  return left.hour - right.hour;
}

function landedRows(groups: readonly RowGroup[]): LandedRows {
  const files = [...new Set(groups.map(({ file }) => file))];
  return {
    tables: landedTables(groups),
    rows: files.reduce((sum, { rows }) => sum + rows, 0),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    minStreamMs: files.reduce((min, { stream }) => Math.min(min, stream.minMs), Number.POSITIVE_INFINITY),
    maxStreamMs: files.reduce((max, { stream }) => Math.max(max, stream.maxMs), Number.NEGATIVE_INFINITY),
  };
}

function landedTables(groups: readonly RowGroup[]): Record<string, LandedTable> {
  const tables = new Map<string, LandedTable>();
  for (const group of groups) {
    const { version, name, isQuarantined, lane, rows } = group;
    const table = tables.get(keyOf(group));
    tables.set(keyOf(group), {
      name: isQuarantined ? quarantineKey : name,
      version: isQuarantined ? 0 : Math.max(version, table?.version ?? 0),
      rows: { ...table?.rows, [lane]: (table?.rows[lane] ?? 0) + rows },
    });
  }
  return Object.fromEntries(tables);
}
