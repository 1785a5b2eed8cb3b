import assert from "node:assert/strict";
import { Ajv, type KeywordDefinition, type Options, str, type ValidateFunction } from "ajv";
import type { JsonDocument } from "../decoders/document/json-document.ts";
import { isMultiple, wholeNumberOf } from "../decoders/document/json-numbers.ts";
import { readInstant } from "../decoders/instant.ts";
import { BridgeError } from "../errors.ts";
import { withEqualityKeywords } from "./equality-keywords.ts";
import { SchemaPatterns } from "./schema-patterns.ts";

type Schema = Readonly<Record<string, unknown>>;

/** Characters of a compiler's message that an error shows; such messages repeat names and references. */
const shownMax = 500;

/** A compiled JSON Schema of a topic. */
export class PayloadSchema {
  readonly #schema: Schema;
  readonly #patterns: SchemaPatterns;
  readonly #validate: ValidateFunction;
  #validateExactly: ValidateFunction | undefined;

  /**
   * @param options `mayBacktrack` allows patterns that can't be matched in linear time; `isLinear` is then
   * false.
   * @throws BridgeError TOPIC_SCHEMA_INVALID.
   */
  constructor(schema: Schema, options: { readonly mayBacktrack?: boolean } = {}) {
    this.#schema = schema;
    this.#patterns = new SchemaPatterns(options);
    this.#validate = compile(newAjv(this.#patterns), schema, { isKnownValid: false });
  }

  get isLinear(): boolean {
    return this.#patterns.areLinear;
  }

  /** Compiles in advance what `violationOf` needs for this document. */
  prepare(document: JsonDocument): void {
    if (document.hasLongNumbers) this.#exact();
  }

  /** Call this after an interrupted `violationOf`, which may leave caches half filled. */
  reset(): void {
    this.#patterns.reset();
  }

  /**
   * The first violation of the schema, after the JSON pointer of its place; null if the document is valid.
   */
  violationOf(document: JsonDocument): string | null {
    const validate = document.hasLongNumbers ? this.#exact() : this.#validate;
    if (validate.call(document, document.value)) return null;
    const first = validate.errors?.[0];
    const where = first?.instancePath ? `${first.instancePath} ` : "";
    return `${where}${first?.message ?? "does not fit"}`;
  }

  /** The validator that compares numbers as they were sent. */
  #exact(): ValidateFunction {
    this.#validateExactly ??= compile(withBounds(newAjv(this.#patterns), Object.keys(bounds)), this.#schema, {
      isKnownValid: true,
    });
    return this.#validateExactly;
  }
}

const commonOptions: Options = { strict: false, logger: false };

/**
 * Checks schemas against the meta-schema of their draft. One for all schemas: to compile a meta-schema takes
 * ten times as long as a topic's schema.
 */
let metaSchemas: Ajv | undefined;

function checkSchema(schema: Schema): void {
  // Meta-schemas have limits and patterns of their own, to which ours must not apply.
  metaSchemas ??= withEqualityKeywords(new Ajv(commonOptions));
  assert.equal(metaSchemas.validateSchema(schema, true), true);
}

function newAjv(patterns: SchemaPatterns): Ajv {
  // Formats are only annotations, except date-time, which makes a typed column. Each schema has its own
  // instance, because versions of a topic may repeat an `$id`.
  const ajv = new Ajv({
    ...commonOptions,
    validateSchema: false,
    code: { regExp: patterns.regExp },
    passContext: true,
    // Members of Object.prototype (`constructor`, `toString`) are not in a document.
    ownProperties: true,
    formats: { "date-time": (text: string) => readInstant(text) !== null },
  });
  // Ajv divides doubles: for ajv, 0.3 is no multiple of 0.1, and 1e21 none of 1.
  return withBounds(withEqualityKeywords(ajv), ["multipleOf"]);
}

function compile(ajv: Ajv, schema: Schema, { isKnownValid = false }): ValidateFunction {
  // An asynchronous schema would return a promise.
  if (schema["$async"] !== undefined) throw invalidSchema("$async is not allowed");
  try {
    if (!isKnownValid) checkSchema(schema);
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

/** Keywords that compare a number with a limit. The number is a bigint if a double may not be exact. */
const bounds: Readonly<
  Record<string, readonly [text: string, holds: (value: number | bigint, limit: number) => boolean]>
> = {
  maximum: ["<=", (value, limit) => value <= limit],
  minimum: [">=", (value, limit) => value >= limit],
  exclusiveMaximum: ["<", (value, limit) => value < limit],
  exclusiveMinimum: [">", (value, limit) => value > limit],
  multipleOf: ["multiple of", isMultiple],
};

/** Replaces ajv's own keywords, which see only the double. */
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
