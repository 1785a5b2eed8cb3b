import type { DecodedArray } from "hyparquet";
import type { TypedValues } from "../scenario/typed-values.ts";
import { parseValues } from "./landed-values.ts";
import { hourOf, keyOf, LandingCheck, type LandingColumns, landingColumns, partOf } from "./landing-check.ts";
import type { UnsettledLanding } from "./live-rows.ts";
import type { RowGroup } from "./parquet-file.ts";
import { type CursorContext, RowCursor } from "./row-cursor.ts";
import type { RowJudge } from "./row-judge.ts";
import { type FileRows, quarantineTable } from "./table-file.ts";
import type { TopicDefinitions } from "./topic-definitions.ts";
import { payloadFaults, type TypedColumn, valueFaults } from "./typed-values.ts";

/**
 * A landing file with rows that no table shows: those count. The rest of the file is only checked against its
 * entry. Memory is bounded by a row group.
 */
export class LandingFile implements FileRows {
  readonly stream = null;
  readonly #file: UnsettledLanding;
  readonly #topics: TopicDefinitions;
  readonly #check: LandingCheck;
  /** Tables and lanes whose rows count. */
  readonly #counted: ReadonlySet<string>;
  /** By topic id: the folder of the table. */
  readonly #names: ReadonlyMap<string, string>;
  /** By version of a topic: its columns, each with the value of one row; null = they are not known. */
  readonly #typed = new Map<string, RowColumns | null>();

  constructor(file: UnsettledLanding, topics: TopicDefinitions) {
    this.#file = file;
    this.#topics = topics;
    this.#check = new LandingCheck(file);
    this.#counted = new Set(file.unsettled.map(({ key, lane }) => partOf(key, lane)));
    this.#names = new Map(file.landed.map(({ key, name }) => [key, name]));
  }

  takeGroup(group: RowGroup, judge: RowJudge): void {
    this.#check.takeGroup(group);
    const columns = landingColumns(group);
    const row = new RowCursor(group, this.#contextOf(columns, judge));
    for (let at = 0; at < group.rows; at++) {
      if (!this.#counted.has(partOf(keyOf(columns, at), String(columns._lane[at])))) continue;
      row.moveTo(at);
      judge.take(row);
    }
  }

  fault(bytes: number): string | null {
    return this.#check.fault(bytes);
  }

  #contextOf(columns: LandingColumns, { places }: RowJudge): CursorContext {
    const { topic_id, topic_version, _hour } = columns;
    return {
      file: this.#file.landing.path,
      places,
      tableOf: (row) => this.#names.get(keyOf(columns, row)) ?? String(topic_id[row]),
      isQuarantined: (row) => keyOf(columns, row) === quarantineTable,
      // Readers find a landed row by its column `_hour`.
      finds: (row) => _hour[row] === hourOf(columns, row),
      boundsOf: (row) => this.#topics.boundsOfVersion(topic_id[row], topic_version[row]),
      typedFaults: (row, payload, typed) => this.#typedFaults(columns, row, { payload, typed }),
    };
  }

  #typedFaults(
    columns: LandingColumns,
    row: number,
    { payload, typed }: { readonly payload: Uint8Array; readonly typed: TypedValues | null },
  ): readonly string[] {
    const text: unknown = columns._values[row];
    if (keyOf(columns, row) === quarantineTable)
      return typeof text === "string" ? ["it is quarantined and has _values"] : [];
    const defined = this.#columnsOf(columns.topic_id[row], columns.topic_version[row]);
    if (!defined) return [];
    try {
      defined.set(text);
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
    return typed ? valueFaults(typed, defined.columns, 0) : payloadFaults(payload, defined.columns, 0);
  }

  #columnsOf(topicId: unknown, version: unknown): RowColumns | null {
    const key = `${String(topicId)}/${String(version)}`;
    const known = this.#typed.get(key);
    if (known !== undefined) return known;
    const defined = this.#topics.columnsOfVersion(topicId, version);
    const made = defined && rowColumns(defined);
    this.#typed.set(key, made);
    return made;
  }
}

/** The typed columns of a topic version, which hold the values of one row. */
interface RowColumns {
  readonly columns: readonly TypedColumn[];
  /** Throws the fault of the text. */
  set(values: unknown): void;
}

function rowColumns(defined: Parameters<typeof parseValues>[1]): RowColumns {
  const columns = defined.map(({ name }) => {
    const values: unknown[] = [null];
    return { name, key: Buffer.from(`${JSON.stringify(name)}:`), values, isInEachVersion: true };
  });
  return {
    columns: columns as readonly (TypedColumn & { readonly values: DecodedArray })[],
    set(text) {
      for (const [at, value] of parseValues(text, defined).entries())
        (columns[at] as (typeof columns)[number]).values[0] = value;
    },
  };
}
