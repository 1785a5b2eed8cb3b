import type { DuckDBValue } from "@duckdb/node-api";
import { DuckDBMapValue } from "@duckdb/node-api";
import type { TableColumn } from "../table-columns.ts";

/** Delta's writers cut statistics of text at 32 characters; readers only need bounds. */
const textCharactersMax = 32;
/** Sorts after every character, so that a cut upper bound is still one. */
const highestCharacter = "\u{10ffff}";

/** Columns whose bounds no query can use. */
const withoutBounds = new Set(["payload_crc", "_index", "event_time_outside"]);

/** What DuckDB's COPY says about one column of the file (RETURN_STATS); absent where it does not know. */
interface ColumnFacts {
  readonly min?: string;
  readonly max?: string;
  readonly nullCount: number;
  readonly hasNan: boolean;
}

/** The `column_statistics` of COPY … RETURN_STATS by column name. */
export function columnFacts(statistics: DuckDBValue): ReadonlyMap<string, ColumnFacts> {
  const facts = new Map<string, ColumnFacts>();
  if (!(statistics instanceof DuckDBMapValue)) return facts;
  for (const { key, value } of statistics.entries) {
    if (!(value instanceof DuckDBMapValue)) continue;
    const entries = new Map(value.entries.map((entry) => [String(entry.key), String(entry.value)]));
    const min = entries.get("min");
    const max = entries.get("max");
    facts.set(String(key).slice(1, -1).replaceAll('""', '"'), {
      ...(min === undefined ? {} : { min }),
      ...(max === undefined ? {} : { max }),
      nullCount: Number(entries.get("null_count") ?? 0),
      hasNan: entries.get("has_nan") === "true",
    });
  }
  return facts;
}

function cutText(text: string, bound: "min" | "max"): string {
  const characters = [...text];
  if (characters.length <= textCharactersMax) return text;
  const start = characters.slice(0, textCharactersMax).join("");
  return bound === "min" ? start : start + highestCharacter;
}

/** `2026-11-22 01:02:03.456+00` → `2026-11-22T01:02:03.456Z`; undefined for years that need more than four digits. */
function isoTimestamp(text: string): string | undefined {
  const [, date, time, fraction = ""] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?\+00$/.exec(text) ?? [];
  if (date === undefined) return undefined;
  return `${date}T${time}.${fraction.slice(1, 4).padEnd(3, "0")}Z`;
}

/** A bound as JSON text, or undefined where it can't be given. */
function boundJson(column: TableColumn, facts: ColumnFacts, bound: "min" | "max"): string | undefined {
  const text = facts[bound];
  if (text === undefined || withoutBounds.has(column.name)) return undefined;
  switch (column.type) {
    case "string":
      return JSON.stringify(cutText(text, bound));
    case "timestamp": {
      const time = isoTimestamp(text);
      return time === undefined ? undefined : JSON.stringify(time);
    }
    case "long":
    case "integer":
      return text;
    case "double":
      return facts.hasNan || !Number.isFinite(Number(text)) ? undefined : String(Number(text));
    default:
      return undefined;
  }
}

/** The Delta `stats` text of a file: row count, bounds and null counts. Longs keep all their digits, so it is put together by hand. */
export function deltaStatistics(
  rows: number,
  columns: readonly TableColumn[],
  facts: ReadonlyMap<string, ColumnFacts>,
): string {
  const bounds = (bound: "min" | "max") =>
    columns.flatMap((column) => {
      const known = facts.get(column.name);
      const json = known && boundJson(column, known, bound);
      return json === undefined ? [] : [`${JSON.stringify(column.name)}:${json}`];
    });
  const nulls = columns.flatMap(({ name }) => {
    const known = facts.get(name);
    return known ? [`${JSON.stringify(name)}:${known.nullCount}`] : [];
  });
  return (
    `{"numRecords":${rows},"minValues":{${bounds("min").join(",")}},` +
    `"maxValues":{${bounds("max").join(",")}},"nullCount":{${nulls.join(",")}}}`
  );
}
