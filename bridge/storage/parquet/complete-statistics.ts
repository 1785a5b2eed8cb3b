import { quoteText } from "./duckdb.ts";

/** A column that statistics are about. */
export interface StatisticsColumn {
  readonly name: string;
  /** Of Delta. */
  readonly type: string;
}

/** Bounds that hold for each value of a type; for other types JSON has none. */
const widestBounds: Readonly<Record<string, readonly [min: string, max: string]>> = {
  boolean: ["false", "true"],
  byte: ["-128", "127"],
  short: ["-32768", "32767"],
  integer: ["-2147483648", "2147483647"],
  long: ["-9223372036854775808", "9223372036854775807"],
};

/** How our writer names files. A file of such a name that counts no nulls of a column lacks the column. */
const ownPath = "^event_date=[^/]+/event_hour=[^/]+/[0-9a-f-]{36}\\.parquet$";

/** RFC 6901. */
function pointer(...names: readonly string[]): string {
  return names.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/**
 * SQL: the rows of `select`, whose `add` has the fields of `addFields`, with complete statistics. delta-rs finds no row by a column that has
 * a null count and no bounds, and takes a column without a null count for one without nulls. Files with such statistics come from version
 * 0.1.0, from before a column was added, and from other writers. Columns get the widest bounds; where there are none the file keeps its
 * row count alone.
 */
export function withCompleteStatistics(
  select: string,
  addFields: readonly string[],
  columns: readonly StatisticsColumn[],
): string {
  const pointers = columns.flatMap(({ name }) => [
    pointer("nullCount", name),
    pointer("minValues", name),
    pointer("maxValues", name),
  ]);
  const list = [pointer("numRecords"), ...pointers].map(quoteText).join(", ");
  const fields = addFields.map((name) => {
    const value = name === "stats" ? completed(columns) : `"add"."${name}"`;
    return `"${name}": ${value}`;
  });
  return (
    `SELECT * EXCLUDE (said) REPLACE (CASE WHEN "add" IS NOT NULL THEN {${fields.join(", ")}} END AS "add") ` +
    `FROM (SELECT *, json_extract_string("add".stats, [${list}]) AS said FROM (${select}))`
  );
}

/** The statistics, of which `said` is the row count and, by column, its null count and bounds. */
function completed(columns: readonly StatisticsColumn[]): string {
  const isOwn = `regexp_matches("add".path, ${quoteText(ownPath)})`;
  const unknown: string[] = ["false"];
  const patch = { nullCount: [] as string[], minValues: [] as string[], maxValues: [] as string[] };
  for (const [index, { name, type }] of columns.entries()) {
    const [nulls, min, max] = [2, 3, 4].map((place) => `said[${place + 3 * index}]`);
    const key = `${JSON.stringify(name)}:`;
    patch.nullCount.push(`CASE WHEN ${nulls} IS NULL AND ${isOwn} THEN ${quoteText(key)} || said[1] END`);
    if (type === "binary") continue;
    unknown.push(`(${nulls} IS NULL AND NOT ${isOwn})`);
    const isUnbounded = `(${nulls} <> said[1] AND (${min} IS NULL OR ${max} IS NULL))`;
    const widest = widestBounds[type];
    if (!widest) unknown.push(isUnbounded);
    else {
      patch.minValues.push(`CASE WHEN ${isUnbounded} THEN ${quoteText(key + widest[0])} END`);
      patch.maxValues.push(`CASE WHEN ${isUnbounded} THEN ${quoteText(key + widest[1])} END`);
    }
  }
  const members = Object.entries(patch).map(
    ([member, pieces]) => `'"${member}":{' || concat_ws(',', ${["NULL", ...pieces].join(", ")}) || '}'`,
  );
  return (
    `CASE WHEN said[1] IS NULL OR NOT json_exists("add".stats, '/nullCount') THEN "add".stats ` +
    `WHEN ${unknown.map((condition) => `coalesce(${condition}, false)`).join(" OR ")} ` +
    `THEN '{"numRecords":' || said[1] || '}' ` +
    `ELSE json_merge_patch("add".stats, '{' || ${members.join(" || ',' || ")} || '}')::VARCHAR END`
  );
}
