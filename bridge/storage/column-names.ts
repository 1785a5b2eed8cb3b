import { baseColumns, partitionColumns, quarantineColumns } from "./table-columns.ts";

/** Columns that every table has, and what Delta's change data feed adds. */
const reservedNames: ReadonlySet<string> = new Set([
  ...[...baseColumns, ...quarantineColumns, ...partitionColumns].map(({ name }) => name),
  ...["_change_type", "_commit_version", "_commit_timestamp"],
]);

/** What the AWS Glue Data Catalog takes, which holds the least. */
const nameBytesMax = 255;

/** Delta: names without these, as the table has no column mapping. */
const forbiddenInNames = /[ ,;{}()\n\t=]/;

/** Control characters, halves of surrogate pairs, separators of lines and paragraphs. */
const unreadableInNames = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u;

/** Why a property of this name can't become a column that each reader can hold, with what to do; null if it can. */
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

/** The same for names that Delta and Spark take for one: those that differ in case alone. */
export function foldedName(name: string): string {
  return Array.from(name, foldedCharacter).join("");
}

/** As Java compares characters: İ, i and I are one, ſ and s as well, ß and ss are not. */
function foldedCharacter(character: string): string {
  const [upper = character, ...more] = character.toUpperCase();
  const [lower = character] = (more.length === 0 ? upper : character).toLowerCase();
  return lower;
}

function codePointOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}
