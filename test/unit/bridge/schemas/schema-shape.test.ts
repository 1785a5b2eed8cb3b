import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonDocument } from "../../../../bridge/decoders/document/json-document.ts";
import { isMultiple } from "../../../../bridge/decoders/document/json-numbers.ts";
import { TopicSchema } from "../../../../bridge/schemas/topic-schema.ts";
import { typedColumnsOf } from "../../../../bridge/schemas/typed-columns.ts";

type Schema = Readonly<Record<string, unknown>>;

/** As an admin sends it: `__proto__` is a name like any other. */
const schemaOf = (text: string) => JSON.parse(text) as Schema;

function nested(levels: number, wrap: (inner: Schema) => Schema): Schema {
  let schema: Schema = { type: "object" };
  for (let level = 0; level < levels; level++) schema = wrap(schema);
  return schema;
}

/** Values of the columns, or why there are none. */
function read(schema: Schema, text: string): unknown {
  const read = new TopicSchema(schema, typedColumnsOf(schema)).read(new JsonDocument(text));
  return "reason" in read ? `${read.reason}: ${read.detail}` : read;
}

test("a schema that no validator can use is refused at creation, with the place", () => {
  const refused: Record<string, [Schema, RegExp]> = {
    "10,000 levels": [
      nested(10_000, (inner) => ({ type: "object", properties: { a: inner } })),
      /more than 256 deep at #\/properties\/a/,
    ],
    "10,000 levels of a default": [
      { type: "object", default: JSON.parse(`${"[".repeat(10_000)}${"]".repeat(10_000)}`) },
      /more than 256 deep at #\/default/,
    ],
    "a reference to the schema itself": [{ type: "object", $ref: "#" }, /# leads back to # for the same/],
    "a cycle by way of two definitions": [
      {
        type: "object",
        properties: { v: { $ref: "#/definitions/a" } },
        definitions: {
          a: { anyOf: [{ type: "number" }, { $ref: "#/definitions/b" }] },
          b: { not: { $ref: "#/definitions/a" } },
        },
      },
      /leads back to #\/definitions\/a /,
    ],
    "a cycle by way of an id": [
      { type: "object", properties: { v: { $id: "http://x/v", allOf: [{ $ref: "http://x/v" }] } } },
      /#\/properties\/v\/allOf\/0 leads back to #http:\/\/x\/v/,
    ],
    "a chain of references": [
      {
        type: "object",
        $ref: "#/definitions/0",
        definitions: Object.fromEntries(
          Array.from({ length: 1_000 }, (_, index) => [index, { $ref: `#/definitions/${index + 1}` }]),
        ),
      },
      /more than 32 subschemas follow on each other/,
    ],
    "a name that validators pass over": [
      schemaOf('{"type":"object","properties":{"a":{"properties":{"__proto__":{}}}}}'),
      /#\/properties\/a\/properties names __proto__/,
    ],
    "a limit beyond all numbers": [
      schemaOf('{"type":"object","properties":{"v":{"type":"number","maximum":1e400}}}'),
      /#\/properties\/v\/maximum is a number beyond/,
    ],
  };
  for (const [what, [schema, message]] of Object.entries(refused))
    assert.throws(() => typedColumnsOf(schema), { code: "TOPIC_SCHEMA_INVALID", message }, what);
});

test("a schema of another draft is refused, with the keyword that would check nothing", () => {
  const within: Record<string, unknown> = {
    dependentRequired: { a: ["b"] },
    dependentSchemas: { a: { required: ["b"] } },
    minContains: 2,
    maxContains: 3,
    prefixItems: [{}],
    unevaluatedItems: false,
    unevaluatedProperties: false,
    $dynamicRef: "#node",
    $recursiveRef: "#",
    divisibleBy: 2,
    disallow: "string",
    extends: {},
  };
  for (const [keyword, value] of Object.entries(within)) {
    const at = { [keyword]: value };
    const schemas: [Schema, string][] = [
      [{ type: "object", ...at }, `#/${keyword} `],
      [
        { type: "object", properties: { v: { items: [{ not: at }] } } },
        `#/properties/v/items/0/not/${keyword} `,
      ],
    ];
    for (const [schema, where] of schemas)
      assert.throws(
        () => typedColumnsOf(schema),
        ({ code, message }: Error & { code: string }) =>
          code === "TOPIC_SCHEMA_INVALID" && message.includes(where) && message.includes("draft-07"),
        keyword,
      );
    // A property, or a value, of that name is none of them; a version that was accepted earlier is checked as
    // before.
    typedColumnsOf({ type: "object", properties: { [keyword]: {} }, default: at, enum: [at] });
    assert.deepEqual(new TopicSchema({ type: "object", ...at }, []).read(new JsonDocument("{}")), []);
  }
  for (const name of [
    "https://json-schema.org/draft/2020-12/schema",
    "http://json-schema.org/draft-04/schema#",
  ])
    assert.throws(
      () => typedColumnsOf({ $schema: name, type: "object" }),
      /\$schema .*draft-07: leave it out/,
    );
  for (const name of ["http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-07/schema#"])
    assert.deepEqual(typedColumnsOf({ $schema: name, type: "object" }), []);
});

test("a refusal is short, whatever the schema says", () => {
  const schema = { type: "object", properties: { v: { $ref: `#/${"x".repeat(100_000)}` } } };
  assert.throws(
    () => typedColumnsOf(schema),
    ({ message }: Error) => message.length < 600,
  );
});

test("a schema that recurses down the document is used, as deep as documents are", () => {
  const tree = { type: "object", properties: { c: { $ref: "#" }, n: { type: "number" } } };
  const levels = 127;
  assert.deepEqual(read(tree, `${'{"c":'.repeat(levels)}{"n":1}${"}".repeat(levels)}`), [null]);
  assert.match(String(read(tree, '{"c":{"n":"x"}}')), /^schema-violated: \/c\/n/);
  const deep = nested(100, (inner) => ({ type: "object", properties: { a: inner } }));
  assert.deepEqual(read(deep, "{}"), []);
});

test("members that every object of JavaScript inherits are in no document", () => {
  const properties = { constructor: { type: "string" }, toString: { type: "number" } };
  assert.deepEqual(read({ type: "object", properties }, "{}"), [null, null]);
  assert.deepEqual(read({ type: "object", properties }, '{"constructor":"x"}'), ["x", null]);
  const required = { type: "object", required: ["valueOf", "__proto__"] };
  assert.match(String(read(required, "{}")), /^schema-violated: .*valueOf/);
  assert.match(String(read(required, '{"valueOf":1}')), /^schema-violated: .*__proto__/);
  assert.deepEqual(read(required, '{"valueOf":1,"__proto__":1}'), []);
  assert.deepEqual(read({ type: "object", dependencies: { constructor: ["a"] } }, "{}"), []);
});

test("a schema of 0.1.0 whose subschemas lead to each other costs its messages, and is no fault of ours", () => {
  const schema = new TopicSchema({ type: "object", allOf: [{ $ref: "#" }] }, []);
  const read = schema.read(new JsonDocument("{}"));
  assert("reason" in read);
  assert.equal(read.reason, "schema-too-slow");
  assert.match(read.detail, /more stack/);
});

test("multipleOf is decided by decimals, with the digits that were sent", () => {
  const of = (step: number) => ({ type: "object", properties: { v: { type: "number", multipleOf: step } } });
  const rows: [number, string, boolean][] = [
    [0.1, "0.3", true],
    [0.1, "0.35", false],
    [0.01, "19.99", true],
    [1, "1e21", true],
    [1, "1.5e21", true],
    [1, "1e-7", false],
    [5e-324, "1.5", true],
    [3, "9007199254740993", true],
    [2, "9007199254740993", false],
    [1e300, "3e300", true],
  ];
  for (const [step, text, fits] of rows)
    assert.equal(typeof read(of(step), `{"v":${text}}`) === "object", fits, `${text} of ${step}`);
  assert.equal(isMultiple(-0.3, 0.1), true);
  assert.equal(isMultiple(Number.POSITIVE_INFINITY, 1), false);
  assert.equal(isMultiple(10n ** 40n + 1n, 10), false);
});
