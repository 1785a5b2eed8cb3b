import type { JsonDocument } from "../decoders/document/json-document.ts";
import { type ContentFault, contentFault } from "../decoders/quarantine-reason.ts";
import { isFixedColumn } from "../topics/column-names.ts";
import type { ColumnValue } from "../topics/column-value.ts";
import type { TypedColumn } from "../topics/topic-catalog.ts";
import { readColumns } from "./column-values.ts";
import { PayloadSchema } from "./payload-schema.ts";

/** A schema check of a message that is still to be made. */
export interface OpenCheck {
  readonly document: JsonDocument;
  readonly schema: TopicSchema;
}

/** The JSON Schema of a topic version, compiled at its first use. */
export class TopicSchema {
  readonly #definition: Readonly<Record<string, unknown>>;
  readonly #columns: readonly TypedColumn[];
  #compiled: PayloadSchema | ContentFault | undefined;
  #taken: ContentFault | null | undefined;

  constructor(definition: Readonly<Record<string, unknown>>, columns: readonly TypedColumn[]) {
    this.#definition = definition;
    this.#columns = columns;
  }

  /** Values of the topic's columns, in their order, or why the document does not fit. */
  read(document: JsonDocument): readonly ColumnValue[] | ContentFault {
    const schema = this.#compile();
    if (!(schema instanceof PayloadSchema)) return schema;
    if (this.#taken === undefined) this.#taken = takenColumn(this.#columns);
    if (this.#taken) return this.#taken;
    const violation = violationOf(schema, document);
    if (typeof violation === "object" && violation !== null) return violation;
    if (violation !== null) return contentFault("schema-violated", violation);
    const values = readColumns(document, this.#columns);
    return typeof values === "string" ? contentFault("schema-violated", values) : values;
  }

  /** False if a pattern backtracks. Tidegate 0.1.0 accepted such schemas. */
  get isLinear(): boolean {
    const schema = this.#compile();
    return !(schema instanceof PayloadSchema) || schema.isLinear;
  }

  /** Compiles the schema in advance, so that `read` takes no time for it. */
  prepare(document: JsonDocument): void {
    const schema = this.#compile();
    if (schema instanceof PayloadSchema) schema.prepare(document);
  }

  /** Call this after an interrupted `read`. */
  reset(): void {
    if (this.#compiled instanceof PayloadSchema) this.#compiled.reset();
  }

  #compile(): PayloadSchema | ContentFault {
    this.#compiled ??= compiled(this.#definition);
    return this.#compiled;
  }
}

/**
 * Also catches an overflow of the stack: in schemas that 0.1.0 accepted, subschemas may lead to each other
 * in circles.
 */
function violationOf(schema: PayloadSchema, document: JsonDocument): string | ContentFault | null {
  try {
    return schema.violationOf(document);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const why = "its check takes more stack than a message may: subschemas of the topic lead to each other";
    return contentFault("schema-too-slow", `${why} (${error.message})`);
  }
}

/** A table that has the column already could take no row, and would hold all of them up. */
function takenColumn(columns: readonly TypedColumn[]): ContentFault | null {
  const [taken] = [...columns].filter(({ name }) => isFixedColumn(name));
  if (!taken) return null;
  const why = `the property ${taken.name} has the name of a column that every table has`;
  const mend =
    "delete the topic, and create one of another name whose schema has another name for the property";
  return contentFault("schema-unusable", `${why}: ${mend}`);
}

function compiled(definition: Readonly<Record<string, unknown>>): PayloadSchema | ContentFault {
  try {
    return new PayloadSchema(definition, { mayBacktrack: true });
  } catch (error) {
    const why = error instanceof Error ? error.message : "the topic's JSON Schema can't be used";
    return contentFault("schema-unusable", why);
  }
}
