import type { DuckDBDataChunk } from "@duckdb/node-api";
import type { CommittedRow } from "../committed-rows.ts";
import { baseDecoder, baseSelected, columnValue, type Filing, slicesOf } from "./base-decoder.ts";
import { factsOf } from "./decode-rows.ts";
import type { LandedTables } from "./landed-tables.ts";

const reasonColumn = baseSelected;
const topicColumn = baseSelected + 2;
const versionColumn = baseSelected + 3;
const valuesColumn = baseSelected + 4;
const firstCast = baseSelected + 5;

/** The rows of a chunk that `landedQuery` selected. */
export function decodeLanded(chunk: DuckDBDataChunk, tables: LandedTables): Generator<CommittedRow[]> {
  const base = baseDecoder(chunk);
  const filing = filingOf(chunk, tables);
  return slicesOf(chunk, (row) => base(row, filing(row)));
}

function filingOf(chunk: DuckDBDataChunk, tables: LandedTables): (row: number) => Filing {
  const [reasons, topics, versions, texts] = [reasonColumn, topicColumn, versionColumn, valuesColumn].map(
    (column) => chunk.getColumnValues(column),
  );
  const casts = tables.casts.map((_, cast) => chunk.getColumnValues(firstCast + cast));
  const facts = factsOf(chunk);
  return (row) => {
    const isQuarantined = (reasons?.[row] ?? null) !== null;
    if (isQuarantined) return { table: tables.quarantine, values: [], quarantine: facts(row) };
    const text = texts?.[row] ?? null;
    const landed = {
      topicId: String(topics?.[row]),
      version: Number(versions?.[row]),
      values: text === null ? null : String(text),
    };
    const filed = tables.filing(landed, (cast) => columnValue(casts[cast]?.[row] ?? null));
    return { ...filed, quarantine: null };
  };
}
