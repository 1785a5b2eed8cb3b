import { BridgeError } from "../../../errors.ts";
import type { ColumnValue } from "../../../topics/column-value.ts";
import { mergeColumns } from "../../../topics/table-columns.ts";
import type { TypedColumn } from "../../../topics/topic-catalog.ts";
import { quarantineKey } from "../../commit-log/commit-log.ts";
import type { CommittedLanding } from "../../commit-log/landed-file.ts";
import { landedValues } from "../../landing/landed-values.ts";
import type { LandedVersion } from "../../landing/row-files.ts";
import { landedValue } from "../../parquet/landed-select.ts";
import type { FollowedTable } from "../committed-rows.ts";

/** The value of a cast in a row. */
type CastOf = (cast: number) => ColumnValue;

/** Where a table's column is in the rows of one version: at an index of its values, or of `casts`. */
type ColumnPlace = { readonly at: number } | { readonly cast: number };

interface FiledVersion {
  readonly table: FollowedTable;
  readonly columns: readonly TypedColumn[];
  /** By column of the table. */
  readonly places: readonly ColumnPlace[];
}

/**
 * The tables of a landing file, with the columns that a table file of the same rows would have: those of all
 * versions, the highest first.
 */
export class LandedTables {
  /** SQL for the columns whose type differs between versions: the engine casts as it does for table files. */
  readonly casts: string[] = [];
  readonly quarantine: FollowedTable = { key: quarantineKey, name: quarantineKey, version: 0, columns: [] };
  /** By topic id, then by version. */
  readonly #versions = new Map<string, Map<number, FiledVersion>>();

  /** @param versions Those that have rows in the file. */
  constructor(landing: CommittedLanding, versions: readonly LandedVersion[]) {
    const byTopic = new Map<string, LandedVersion[]>();
    for (const each of versions) byTopic.set(each.topicId, [...(byTopic.get(each.topicId) ?? []), each]);
    for (const [topicId, ofTopic] of byTopic) {
      const newestFirst = ofTopic.toSorted((left, right) => right.version - left.version);
      this.#versions.set(topicId, this.#filed(landing, topicId, newestFirst));
    }
  }

  /** The table and the values of a row that is not in quarantine. */
  filing(
    row: { readonly topicId: string; readonly version: number; readonly values: string | null },
    castOf: CastOf,
  ): { table: FollowedTable; values: ColumnValue[] } {
    const filed = this.#versions.get(row.topicId)?.get(row.version);
    if (!filed) throw new TypeError(`no version ${row.version} of topic ${row.topicId} was found before`);
    const values = landedValues(row.values, filed.columns);
    return {
      table: filed.table,
      values: filed.places.map((place) =>
        "cast" in place ? castOf(place.cast) : (values[place.at] ?? null),
      ),
    };
  }

  #filed(
    { file, tables }: CommittedLanding,
    key: string,
    versions: readonly LandedVersion[],
  ): Map<number, FiledVersion> {
    const named = tables[key];
    if (!named) throw unnamedTable(file.path, key);
    const merged = mergeColumns(versions.map(({ columns }) => columns));
    const table: FollowedTable = {
      key,
      name: named.name,
      version: named.version,
      columns: merged.map(({ name, type }) => ({ name, type })),
    };
    const casts = new Map<TypedColumn, number>();
    for (const column of merged)
      if (versions.some(({ columns }) => hasOtherType(columns, column)))
        casts.set(column, this.casts.push(landedValue(column, versions)) - 1);
    const placeOf = (columns: readonly TypedColumn[]) => (column: TypedColumn) => {
      const cast = casts.get(column);
      return cast === undefined ? { at: indexOf(columns, column) } : { cast };
    };
    return new Map(
      versions.map(({ version, columns }) => [
        version,
        { table, columns, places: merged.map(placeOf(columns)) },
      ]),
    );
  }
}

/** -1 if there is none. */
function indexOf(columns: readonly TypedColumn[], { name }: TypedColumn): number {
  return columns.findIndex((each) => each.name.toLowerCase() === name.toLowerCase());
}

function hasOtherType(columns: readonly TypedColumn[], column: TypedColumn): boolean {
  const own = columns[indexOf(columns, column)];
  return own !== undefined && own.type !== column.type;
}

function unnamedTable(path: string, topicId: string): BridgeError {
  return new BridgeError(
    "LAKE_DAMAGED",
    `${path} in the lake is damaged: it has rows of topic ${topicId}, which its commit does not name. Restore this file from a copy`,
    { retryable: false, details: { path, topicId } },
  );
}
