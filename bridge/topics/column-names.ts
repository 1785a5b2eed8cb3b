import { baseColumns, partitionColumns, quarantineColumns } from "./table-columns.ts";

/** Columns that every table has, and columns that Delta's change data feed adds. */
const reservedNames: ReadonlySet<string> = new Set([
  ...[...baseColumns, ...quarantineColumns, ...partitionColumns].map(({ name }) => name),
  ...["_change_type", "_commit_version", "_commit_timestamp"],
]);

const fixedNames: ReadonlySet<string> = new Set(baseColumns.map(({ name }) => name));

/** Limit of the AWS Glue Data Catalog, the lowest of all catalogs. */
const nameBytesMax = 255;

/** Delta allows these characters only with column mapping, which our tables do not use. */
const forbiddenInNames = /[ ,;{}()\n\t=]/;

/** Control characters, halves of surrogate pairs, line and paragraph separators. */
const unreadableInNames = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u;

/** Why a property of this name can't be a column in every reader, and what to do; null if it can. */
export function columnNameFault(name: string): string | null {
  if (name === "") return "is empty: give it a name";
  const [unreadable] = unreadableInNames.exec(name) ?? [];
  if (unreadable !== undefined)
    return `holds ${codePointOf(unreadable)}, which no reader shows: leave it out`;
  if (forbiddenInNames.test(name))
    return "can't be a column: no blanks, commas, semicolons, parentheses, braces or = in its name";
  const bytes = Buffer.byteLength(name);
  if (bytes > nameBytesMax)
    return `has ${bytes} bytes in its name, more than the ${nameBytesMax} that catalogs take: shorten it`;
  if (reservedNames.has(foldedName(name))) return "has the name of a fixed or reserved column: rename it";
  return null;
}

/** Whether every table has a column of this name. Version 0.1.0 had fewer such columns. */
export function isFixedColumn(name: string): boolean {
  return fixedNames.has(foldedName(name));
}

/** The name without regard to case. Delta and Spark treat names with the same result as one column. */
export function foldedName(name: string): string {
  return Array.from(name, foldedCharacter).join("");
}

/** Folds as Java's `equalsIgnoreCase` does: İ, i and I are equal, ſ and s as well; ß and ss are not. */
function foldedCharacter(character: string): string {
  const [upper = character, ...more] = character.toUpperCase();
  const [lower = character] = (more.length === 0 ? upper : character).toLowerCase();
  return lower;
}

function codePointOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}
