import type { DataFile } from "./delta-actions.ts";
import { FileCheck } from "./file-check.ts";
import type { RowGroup } from "./parquet-file.ts";
import { type CursorContext, columns, RowCursor } from "./row-cursor.ts";
import type { RowJudge } from "./row-judge.ts";
import type { TopicDefinitions } from "./topic-definitions.ts";
import { payloadFaults, type TypedColumn, valueFaults } from "./typed-values.ts";

/** The table of rows that belong in no other. */
export const quarantineTable = "_quarantine";
const quarantineColumns = ["reason", "detail", "topic_id", "topic_version"];
/** Names with this first character are the gateway's; the schemas of topics define the others. */
const ownPrefix = "_";

/** A file whose rows are judged, one row group after another. */
export interface FileRows {
  /** The stream of all rows; null = they came from several or none, or it is not asked for. */
  readonly stream: string | null;
  /** Takes the next row group. Throws if it lacks a column. */
  takeGroup(group: RowGroup, judge: RowJudge): void;
  /** Call this after the last row group. What is wrong about the file, or null. `bytes`: its true size. */
  fault(bytes: number): string | null;
}

/** A data file of a table. */
export class TableFile implements FileRows {
  readonly #path: string;
  readonly #table: string;
  readonly #check: FileCheck;
  readonly #topics: TopicDefinitions;

  constructor(file: DataFile, topics: TopicDefinitions) {
    this.#path = file.path;
    this.#table = tableOfPath(file.path);
    this.#check = new FileCheck(file);
    this.#topics = topics;
  }

  get stream(): string | null {
    return this.#check.stream;
  }

  takeGroup(group: RowGroup, judge: RowJudge): void {
    this.#check.takeGroup(group);
    const row = new RowCursor(group, this.#contextOf(group, judge));
    for (let at = 0; at < group.rows; at++) {
      row.moveTo(at);
      judge.take(row);
    }
  }

  fault(bytes: number): string | null {
    return this.#check.fault(bytes);
  }

  #contextOf({ values }: RowGroup, { places }: RowJudge): CursorContext {
    const [table, topics] = [this.#table, this.#topics];
    const isQuarantine = table === quarantineTable;
    const typedColumns = isQuarantine ? [] : typedColumnsOf(values, topics.inEachVersion(table));
    const bounds = topics.boundsOf(table);
    const [topicIds, versions] = [values["topic_id"], values["topic_version"]];
    return {
      file: this.#path,
      places,
      tableOf: () => table,
      isQuarantined: () => isQuarantine,
      finds: (_, { deviceId, eventTimeUs, timeUs }) => this.#check.finds(deviceId, eventTimeUs, timeUs),
      // A row of the quarantine names its version.
      boundsOf: (row) => (isQuarantine ? topics.boundsOfVersion(topicIds?.[row], versions?.[row]) : bounds),
      typedFaults: (row, payload, typed) => {
        if (typedColumns.length === 0) return [];
        return typed ? valueFaults(typed, typedColumns, row) : payloadFaults(payload, typedColumns, row);
      },
    };
  }
}

export function tableOfPath(path: string): string {
  return path.slice(0, path.indexOf("/"));
}

/** The typed columns of the file, and those that the file should have. */
function typedColumnsOf(values: RowGroup["values"], inEachVersion: ReadonlySet<string>): TypedColumn[] {
  const known = new Set<string>([...columns, ...quarantineColumns]);
  const names = Object.keys(values).filter((name) => !known.has(name) && !name.startsWith(ownPrefix));
  return [...new Set([...names, ...inEachVersion])].map((name) => ({
    name,
    key: Buffer.from(`${JSON.stringify(name)}:`),
    values: values[name] ?? [],
    isInEachVersion: inEachVersion.has(name),
  }));
}
