import {
  baseColumns,
  mergeColumns,
  quarantineColumns,
  type TableColumn,
} from "../../topics/table-columns.ts";
import type { LandedSource, LaneRange, TableRows } from "../landing/row-files.ts";
import { quoteName, quoteText } from "./duckdb.ts";
import { landedValue } from "./landed-select.ts";

/** SQL table with the rows of a round; `_commit` is the number of the row's commit entry. */
const landed = "landed";
/** Decides between rows of one event time: no two rows have the same place in the stream. */
const fullOrder = "event_time, _stream, _partition, _position, _index";
/** As `rowBytes` estimates them. */
const rowBytes =
  "48 + octet_length(payload) + coalesce(octet_length(message_id), 0) + strlen(device_id) + strlen(topic) + coalesce(strlen(_values), 0)";

/** Stages the rows of these files, in the order of their commits. `location`: of a path on this disk. */
export function stageLanded(sources: readonly LandedSource[], location: (path: string) => string): string {
  const selects = sources.map(
    ({ commit, path }) =>
      `SELECT ${commit}::BIGINT AS _commit, * FROM read_parquet(${quoteText(location(path))})`,
  );
  return `CREATE TABLE ${landed} AS ${selects.join(" UNION ALL ")}`;
}

/** The columns of the files of these rows: the highest version of each topic comes first. */
export function landedColumns({ versions }: Pick<TableRows, "versions">): TableColumn[] {
  if (versions === null) return [...baseColumns, ...quarantineColumns];
  return [...baseColumns, ...mergeColumns(newestFirst(versions).map(({ columns }) => columns))];
}

function newestFirst<Version extends { readonly version: number }>(versions: readonly Version[]): Version[] {
  return versions.toSorted((left, right) => right.version - left.version);
}

/**
 * Rows, bytes and times by event hour and part of an hour, in order. `partsOf` divides hours into parts of
 * equal size by event time; other hours are one part.
 */
export function measureLanded(rows: TableRows, partsOf: ReadonlyMap<number, number>): string {
  return (
    `SELECT _hour, ${partOf(partsOf)} AS part, count(*) AS rows, sum(${rowBytes}) AS bytes, ` +
    "min(epoch_ms(ingest_time)) AS min_ingest, max(epoch_ms(ingest_time)) AS max_ingest, " +
    "min(epoch_ms(_stream_time)) AS min_stream, max(epoch_ms(_stream_time)) AS max_stream " +
    `FROM (SELECT *, ${rankOf(partsOf)} AS _rank FROM ${landed} WHERE ${isOf(rows)}) GROUP BY 1, 2 ORDER BY 1, 2`
  );
}

/** SELECT of the rows of one hour, or of one part of it, sorted by event time. */
export function selectLanded(
  rows: TableRows,
  { hour, part, parts }: { hour: number; part: number; parts: number },
): string {
  const where = `${isOf(rows)} AND _hour = ${hour}`;
  const partsOf = new Map([[hour, parts]]);
  const from =
    parts === 1
      ? `SELECT * FROM ${landed} WHERE ${where}`
      : `SELECT * FROM (SELECT *, ${rankOf(partsOf)} AS _rank FROM ${landed} WHERE ${where}) WHERE ${partOf(partsOf)} = ${part}`;
  return `SELECT ${tableExpressions(rows.versions)} FROM (${from}) r ORDER BY ${parts === 1 ? "event_time" : fullOrder}`;
}

/** The columns of a table's file, of rows `r` with the columns of landing files. Null: of `_quarantine`. */
export function tableExpressions(versions: TableRows["versions"]): string {
  const typed = versions ? mergeColumns(newestFirst(versions).map(({ columns }) => columns)) : [];
  const own = versions ? baseColumns : [...baseColumns, ...quarantineColumns];
  return [
    ...own.map(({ name }) => `r.${quoteName(name)}`),
    ...typed.map((column) => `${landedValue(column, versions ?? [])} AS ${quoteName(column.name)}`),
  ].join(", ");
}

/** Of a row among those of its hour, from 0 on, and how many they are. Only if an hour has parts. */
function rankOf(partsOf: ReadonlyMap<number, number>): string {
  if (![...partsOf.values()].some((parts) => parts > 1)) return "0";
  return `{'at': row_number() OVER (PARTITION BY _hour ORDER BY ${fullOrder}) - 1, 'of': count(*) OVER (PARTITION BY _hour)}`;
}

function partOf(partsOf: ReadonlyMap<number, number>): string {
  const cases = [...partsOf].flatMap(([hour, parts]) =>
    parts > 1 ? [`WHEN ${hour} THEN (_rank['at'] * ${parts}) // _rank['of']`] : [],
  );
  return cases.length === 0 ? "0" : `CASE _hour ${cases.join(" ")} ELSE 0 END`;
}

function isOf({ versions, ranges }: TableRows): string {
  const lanes = ranges.map(isInRange);
  return `${isOfTopics(versions)} AND ${lanes.length === 0 ? "false" : `(${lanes.join(" OR ")})`}`;
}

function isOfTopics(versions: TableRows["versions"]): string {
  if (versions === null) return "reason IS NOT NULL";
  const topics = [...new Set(versions.map(({ topicId }) => quoteText(topicId)))];
  return `reason IS NULL AND ${topics.length === 0 ? "false" : `topic_id IN (${topics.join(", ")})`}`;
}

function isInRange({ lane, after, upTo }: LaneRange): string {
  return `(_lane = ${quoteText(lane)} AND _commit > ${after} AND _commit <= ${upTo})`;
}
