import { quoteText } from "../../parquet/duckdb.ts";

/** A column with statistics. */
export interface StatisticsColumn {
  readonly name: string;
  /** Delta's name of the type. */
  readonly type: string;
}

/** Bounds that hold for each value of a type. JSON has none for other types. */
const widestBounds: Readonly<Record<string, readonly [min: string, max: string]>> = {
  boolean: ["false", "true"],
  byte: ["-128", "127"],
  short: ["-32768", "32767"],
  integer: ["-2147483648", "2147483647"],
  long: ["-9223372036854775808", "9223372036854775807"],
};

/** Paths as our writer names them. If such a file counts no nulls of a column, it lacks the column. */
const ownPath = "^event_date=[^/]+/event_hour=[^/]+/[0-9a-f-]{36}\\.parquet$";

/** A JSON pointer (RFC 6901). */
function pointer(...names: readonly string[]): string {
  return names.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/**
 * SQL: the rows of `select` with complete statistics. Their `add` has the fields `addFields`.
 *
 * delta-rs finds no row by a column with a null count but without bounds, and treats a column without a null
 * count as one without nulls. Files with such statistics come from version 0.1.0, from before a column was
 * added, and from other writers. Their columns get the widest bounds; if a type has none, the file keeps its
 * row count only.
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

/**
 * SQL: the completed statistics. `said` holds the row count and, by column, the null count and the bounds.
 */
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
