import type { ColumnValue } from "../storage/row.ts";
import { readColumns } from "./column-values.ts";
import type { JsonDocument } from "./json-document.ts";
import { PayloadSchema } from "./payload-schema.ts";
import { type ContentFault, contentFault } from "./quarantine-reason.ts";
import type { TypedColumn } from "./topic-catalog.ts";

/** What is left to be judged of a message. */
export interface OpenCheck {
  readonly document: JsonDocument;
  readonly schema: TopicSchema;
}

/** The schema of a topic version, as documents are checked against it. */
export class TopicSchema {
  readonly #definition: Readonly<Record<string, unknown>>;
  readonly #columns: readonly TypedColumn[];
  #compiled: PayloadSchema | ContentFault | undefined;

  constructor(definition: Readonly<Record<string, unknown>>, columns: readonly TypedColumn[]) {
    this.#definition = definition;
    this.#columns = columns;
  }

  /** Values of the topic's columns, or why the document does not fit. */
  read(document: JsonDocument): readonly ColumnValue[] | ContentFault {
    const schema = this.#compile();
    if (!(schema instanceof PayloadSchema)) return schema;
    const violation = violationOf(schema, document);
    if (typeof violation === "object" && violation !== null) return violation;
    if (violation !== null) return contentFault("schema-violated", violation);
    const values = readColumns(document, this.#columns);
    return typeof values === "string" ? contentFault("schema-violated", values) : values;
  }

  /** False if a pattern backtracks: versions of 0.1.0 were not refused for it. */
  get isLinear(): boolean {
    const schema = this.#compile();
    return !(schema instanceof PayloadSchema) || schema.isLinear;
  }

  /** Does what takes long once, so that `read` need not. */
  prepare(document: JsonDocument): void {
    const schema = this.#compile();
    if (schema instanceof PayloadSchema) schema.prepare(document);
  }

  /** After an interrupted `read`. */
  reset(): void {
    if (this.#compiled instanceof PayloadSchema) this.#compiled.reset();
  }

  #compile(): PayloadSchema | ContentFault {
    this.#compiled ??= compiled(this.#definition);
    return this.#compiled;
  }
}

/** The stack is bounded, too: subschemas of versions of 0.1.0 may lead to each other without an end. */
function violationOf(schema: PayloadSchema, document: JsonDocument): string | ContentFault | null {
  try {
    return schema.violationOf(document);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const why = "its check takes more stack than a message may: subschemas of the topic lead to each other";
    return contentFault("schema-too-slow", `${why} (${error.message})`);
  }
}

function compiled(definition: Readonly<Record<string, unknown>>): PayloadSchema | ContentFault {
  try {
    return new PayloadSchema(definition, { mayBacktrack: true });
  } catch (error) {
    const why = error instanceof Error ? error.message : "the topic's JSON Schema can't be used";
    return contentFault("schema-unusable", why);
  }
}
