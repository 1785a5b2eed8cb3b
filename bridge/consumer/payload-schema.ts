import assert from "node:assert/strict";
import { Ajv, type KeywordDefinition, type Options, str, type ValidateFunction } from "ajv";
import { BridgeError } from "../errors.ts";
import { withEqualityKeywords } from "./equality-keywords.ts";
import { readInstant } from "./instant.ts";
import type { JsonDocument } from "./json-document.ts";
import { isMultiple, wholeNumberOf } from "./json-numbers.ts";
import { SchemaPatterns } from "./schema-patterns.ts";

type Schema = Readonly<Record<string, unknown>>;

/** Of what the compiler says: it repeats names and references. */
const shownMax = 500;

/** A topic's JSON Schema, compiled. */
export class PayloadSchema {
  readonly #schema: Schema;
  readonly #patterns: SchemaPatterns;
  readonly #validate: ValidateFunction;
  #validateExactly: ValidateFunction | undefined;

  /**
   * @param options `mayBacktrack`: patterns that can't be matched in linear time are allowed, and `isLinear` tells of them.
   * @throws BridgeError TOPIC_SCHEMA_INVALID.
   */
  constructor(schema: Schema, options: { readonly mayBacktrack?: boolean } = {}) {
    this.#schema = schema;
    this.#patterns = new SchemaPatterns(options);
    this.#validate = compile(newAjv(this.#patterns), schema);
  }

  get isLinear(): boolean {
    return this.#patterns.areLinear;
  }

  /** Compiles what `violationOf` needs for such a document. */
  prepare(document: JsonDocument): void {
    if (document.hasLongNumbers) this.#exact();
  }

  /** After `violationOf` was interrupted: makes good what that may have left half done. */
  reset(): void {
    this.#patterns.reset();
  }

  /** What breaks the schema, after the JSON pointer of where it stands; null if nothing does. */
  violationOf(document: JsonDocument): string | null {
    const validate = document.hasLongNumbers ? this.#exact() : this.#validate;
    if (validate.call(document, document.value)) return null;
    const first = validate.errors?.[0];
    const where = first?.instancePath ? `${first.instancePath} ` : "";
    return `${where}${first?.message ?? "does not fit"}`;
  }

  /** The same with numbers as they were sent. */
  #exact(): ValidateFunction {
    // The schema was found valid, and the schema of schemas has bounds of its own, which are no business of the document.
    this.#validateExactly ??= compile(
      withBounds(newAjv(this.#patterns, { validateSchema: false }), Object.keys(bounds)),
      this.#schema,
    );
    return this.#validateExactly;
  }
}

function newAjv(patterns: SchemaPatterns, options: Options = {}): Ajv {
  // Formats are annotations here but for date-time, which makes a typed column. One instance each: `$id`s may repeat across versions.
  const ajv = new Ajv({
    ...options,
    code: { regExp: patterns.regExp },
    strict: false,
    logger: false,
    passContext: true,
    // What Object.prototype has (`constructor`, `toString`) is in no document.
    ownProperties: true,
    formats: { "date-time": (text: string) => readInstant(text) !== null },
  });
  // Ajv divides doubles: 0.3 is no multiple of 0.1 then, and 1e21 none of 1.
  return withBounds(withEqualityKeywords(ajv), ["multipleOf"]);
}

function compile(ajv: Ajv, schema: Schema): ValidateFunction {
  // Its verdict would be a promise.
  if (schema["$async"] !== undefined) throw invalidSchema("$async is not allowed");
  try {
    return ajv.compile(schema);
  } catch (cause) {
    if (cause instanceof RangeError) throw invalidSchema("it has too many subschemas to compile", cause);
    throw invalidSchema(cause instanceof Error ? cause.message : "it does not compile", cause);
  }
}

export function invalidSchema(fault: string, cause?: unknown): BridgeError {
  const why = fault.length > shownMax ? `${fault.slice(0, shownMax)}…` : fault;
  return new BridgeError("TOPIC_SCHEMA_INVALID", `the topic's JSON Schema can't be used: ${why}`, {
    retryable: false,
    cause,
  });
}

/** What a number must be, compared with a schema's limit: a bigint where its double may be another number. */
const bounds: Readonly<
  Record<string, readonly [text: string, holds: (value: number | bigint, limit: number) => boolean]>
> = {
  maximum: ["<=", (value, limit) => value <= limit],
  minimum: [">=", (value, limit) => value >= limit],
  exclusiveMaximum: ["<", (value, limit) => value < limit],
  exclusiveMinimum: [">", (value, limit) => value > limit],
  multipleOf: ["multiple of", isMultiple],
};

/** Ajv's own keywords see the double. */
function withBounds(ajv: Ajv, keywords: readonly string[]): Ajv {
  for (const keyword of keywords) {
    const [text, holds] = bounds[keyword] ?? assert.fail(keyword);
    const definition: KeywordDefinition = {
      keyword,
      type: "number",
      schemaType: "number",
      error: { message: ({ schemaCode }) => str`must be ${text} ${schemaCode}` },
      validate(this: JsonDocument, limit: number, value: number, _schema, at) {
        return holds(exactValue(this, value, at?.instancePath ?? ""), limit);
      },
    };
    ajv.removeKeyword(keyword).addKeyword(definition);
  }
  return ajv;
}

function exactValue(document: JsonDocument, value: number, pointer: string): number | bigint {
  if (!Number.isInteger(value) || !document.hasLongNumbers) return value;
  const path = pointer.split("/").slice(1);
  const names = path.map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  return wholeNumberOf(document.numberText(names)) ?? value;
}
