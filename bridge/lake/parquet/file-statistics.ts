import type { DuckDBValue } from "@duckdb/node-api";
import { DuckDBMapValue } from "@duckdb/node-api";
import type { TableColumn } from "../../topics/table-columns.ts";

/** Delta's writers cut text statistics at 32 characters, because readers only need bounds. */
const textCharactersMax = 32;
const highestCharacter = 0x10ffff;
const lastBeforeSurrogates = 0xd7ff;
const firstAfterSurrogates = 0xe000;

type Bound = "min" | "max";

/**
 * What DuckDB's COPY reports about one column of the file (RETURN_STATS). Bounds are absent if it does not
 * know them.
 */
interface ColumnFacts {
  readonly min?: string;
  readonly max?: string;
  readonly nullCount: number;
  readonly hasNan: boolean;
}

/** The `column_statistics` of COPY … RETURN_STATS, by column name. */
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

/**
 * A bound of the text with at most 32 characters: not above it for `min`, not below it for `max`. Undefined
 * if there is none.
 */
function textBound(text: string, bound: Bound): string | undefined {
  const characters = [...text];
  if (characters.length <= textCharactersMax) return text;
  const start = characters.slice(0, textCharactersMax);
  return bound === "min" ? start.join("") : textAfter(start);
}

/**
 * The smallest text above all texts that begin with these characters. Texts compare by code points, as their
 * UTF-8 does.
 */
function textAfter(characters: readonly string[]): string | undefined {
  for (let at = characters.length - 1; at >= 0; at--) {
    const code = characters[at]?.codePointAt(0) ?? highestCharacter;
    if (code === highestCharacter) continue;
    const next = code === lastBeforeSurrogates ? firstAfterSurrogates : code + 1;
    return characters.slice(0, at).join("") + String.fromCodePoint(next);
  }
  return undefined;
}

/**
 * `2026-11-22 01:02:03.456789+00` → `2026-11-22T01:02:03.456Z`, or `…457Z` as an upper bound, because readers
 * expect milliseconds. Undefined for years with more than four digits.
 */
function timestampBound(text: string, bound: Bound): string | undefined {
  const [, date, time, fraction = ""] =
    /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text) ?? [];
  if (date === undefined) return undefined;
  const cut = `${date}T${time}.${fraction.slice(0, 3).padEnd(3, "0")}Z`;
  if (bound === "min" || /^0*$/.test(fraction.slice(3))) return cut;
  const next = new Date(Date.parse(cut) + 1).toISOString();
  // The last millisecond of 9999 has no next one with four digits.
  return next.startsWith("+") ? `${date}T${time}.${fraction.padEnd(6, "0")}Z` : next;
}

/** A bound as JSON text; undefined if there is none. */
function boundJson(type: TableColumn["type"], facts: ColumnFacts, bound: Bound): string | undefined {
  const text = facts[bound];
  if (text === undefined) return undefined;
  switch (type) {
    case "string":
      return JSON.stringify(textBound(text, bound));
    case "timestamp":
      return JSON.stringify(timestampBound(text, bound));
    case "long":
    case "integer":
      return text;
    case "double":
      return facts.hasNan || !Number.isFinite(Number(text)) ? undefined : String(Number(text));
    case "boolean":
      return text === "1" || text === "true" ? "true" : "false";
    default:
      return undefined;
  }
}

/**
 * The Delta `stats` text of a file: row count, null counts, and bounds of all columns that are not binary.
 * delta-rs finds no row by a column with a null count but without bounds, so a file with such a column gets
 * only its row count. The text is built by hand, so that longs keep all their digits.
 */
export function deltaStatistics(
  rows: number,
  columns: readonly TableColumn[],
  facts: ReadonlyMap<string, ColumnFacts>,
): string {
  const members = { minValues: [] as string[], maxValues: [] as string[], nullCount: [] as string[] };
  for (const { name, type } of columns) {
    const known = facts.get(name);
    if (!known) return rowCountAlone(rows);
    const key = JSON.stringify(name);
    members.nullCount.push(`${key}:${known.nullCount}`);
    if (type === "binary" || known.nullCount === rows) continue;
    const min = boundJson(type, known, "min");
    const max = boundJson(type, known, "max");
    if (min === undefined || max === undefined) return rowCountAlone(rows);
    members.minValues.push(`${key}:${min}`);
    members.maxValues.push(`${key}:${max}`);
  }
  const objects = Object.entries(members).map(([name, list]) => `"${name}":{${list.join(",")}}`);
  return `{"numRecords":${rows},${objects.join(",")}}`;
}

function rowCountAlone(rows: number): string {
  return `{"numRecords":${rows}}`;
}
