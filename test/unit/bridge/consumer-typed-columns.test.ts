import assert from "node:assert/strict";
import { test } from "node:test";
import { typedColumnsOf } from "../../../bridge/consumer/typed-columns.ts";

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

test("what is no single scalar stays in the payload alone", () => {
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

test("a schema that does not compile is refused", () => {
  assert.throws(() => typedColumnsOf({ type: "nonsense" }), refused);
  assert.throws(() => typedColumnsOf({ $ref: "#/nowhere" }), refused);
  assert.throws(() => typedColumnsOf({ $async: true, type: "object" }), refused);
  assert.throws(() => typedColumnsOf(object({ a: { type: "string", pattern: "(" } })), refused);
});
