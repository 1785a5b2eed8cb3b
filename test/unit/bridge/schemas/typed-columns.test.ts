import assert from "node:assert/strict";
import { test } from "node:test";
import { typedColumnsOf } from "../../../../bridge/schemas/typed-columns.ts";

const object = (properties: object) => ({ type: "object", properties });
const refused = { code: "TOPIC_SCHEMA_INVALID" };

test("each scalar property is a column; null beside the type is allowed", () => {
  const schema = object({
    on: { type: "boolean" },
    count: { type: "integer" },
    level: { type: ["number", "null"] },
    label: { type: "string" },
    at: { type: "string", format: "date-time" },
  });
  assert.deepEqual(typedColumnsOf(schema), [
    { name: "on", type: "boolean" },
    { name: "count", type: "long" },
    { name: "level", type: "double" },
    { name: "label", type: "string" },
    { name: "at", type: "timestamp" },
  ]);
});

test("properties other than a single scalar stay only in the payload", () => {
  const schema = object({
    nested: { type: "object" },
    list: { type: "array" },
    either: { type: ["string", "number"] },
    anything: {},
    yes: true,
  });
  assert.deepEqual(typedColumnsOf(schema), []);
  assert.deepEqual(typedColumnsOf({ type: "object" }), []);
});

test("names of fixed columns are refused in any case, so are doubles and what Delta can't name", () => {
  for (const name of ["payload", "Device_ID", "_INDEX", "event_date", "reason", "topic_id"])
    assert.throws(() => typedColumnsOf(object({ [name]: { type: "string" } })), refused, name);
  assert.throws(() => typedColumnsOf(object({ a: { type: "string" }, A: { type: "number" } })), refused);
  for (const name of ["", "a b", "a,b", "x=y", "p{", "t\tt"])
    assert.throws(() => typedColumnsOf(object({ [name]: { type: "string" } })), refused, name);
});

test("a name that a reader can't hold is refused, with its place and what to do", () => {
  const cases: readonly (readonly [names: readonly string[], message: RegExp])[] = [
    [["a\u0000b"], /property "a\\u0000b" under \/properties holds U\+0000.*leave it out/],
    [["a\ud800"], /"a\\ud800" .*U\+D800/],
    [["\u0001"], /U\+0001/],
    [["x\u0085"], /U\+0085/],
    [["x\u007f"], /U\+007F/],
    [["x\u2028"], /"x\\u2028" .*U\+2028/],
    [[""], /is empty: give it a name/],
    [["x".repeat(256)], /256 bytes .*the 255 .*shorten it/],
    [["é".repeat(128)], /256 bytes/],
    [["_Change_Type"], /reserved column: rename it/],
    [["Payload"], /fixed or reserved column: rename it/],
    [["speed", "Speed"], /"speed" and "Speed" .*only in case.*rename one/],
    [["ſ", "s"], /only in case/],
    [["İd", "id"], /only in case/],
    [["\u212a", "k"], /only in case/],
  ];
  for (const [names, message] of cases) {
    const properties = Object.fromEntries(names.map((name) => [name, { type: "number" }]));
    assert.throws(() => typedColumnsOf(object(properties)), { ...refused, message }, names.join());
  }
});

test("a schema that does not compile is refused", () => {
  assert.throws(() => typedColumnsOf({ type: "nonsense" }), refused);
  assert.throws(() => typedColumnsOf({ $ref: "#/nowhere" }), refused);
  assert.throws(() => typedColumnsOf({ $async: true, type: "object" }), refused);
  assert.throws(() => typedColumnsOf(object({ a: { type: "string", pattern: "(" } })), refused);
});

test("a schema that compiles but breaks its draft is refused, with the place", () => {
  const message = (schema: Record<string, unknown>) => {
    try {
      typedColumnsOf(schema);
    } catch (error) {
      return (error as Error).message;
    }
    return "accepted";
  };
  assert.match(
    message(object({ a: { type: "string", minLength: -1 } })),
    /data\/properties\/a\/minLength must be >= 0/,
  );
  assert.match(
    message(object({ a: { type: "number", multipleOf: 0 } })),
    /data\/properties\/a\/multipleOf must be > 0/,
  );
  assert.match(
    message({ type: "object", required: ["a", "a"] }),
    /data\/required must NOT have duplicate items/,
  );
  assert.match(
    message(object({ b: { enum: [] } })),
    /data\/properties\/b\/enum must NOT have fewer than 1 items/,
  );
});
