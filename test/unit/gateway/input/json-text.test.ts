import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonTextFault } from "../../../../gateway/input/json-text.ts";

test("the place at which a text is not JSON is reported", () => {
  const table: readonly [text: string, fault: string | null][] = [
    ['{"a":[1,2.5e3,"x\\u00e9",true,null]}', null],
    [" 7 \n", null],
    ["", "it is empty"],
    [" \n", "it is empty"],
    ["{", "it ends too early"],
    ['{"a"', "it ends too early"],
    ['{"a":', "it ends too early"],
    ['{"a":1\n', "it ends too early"],
    ['{"a":"x', "it ends too early"],
    ["tru", "it ends too early"],
    ["{a:1}", "line 1, column 2 does not fit"],
    ['{\n  "type": objekt\n}', "line 2, column 11 does not fit"],
    ['{"a":1,}', "line 1, column 8 does not fit"],
    ["[1 2]", "line 1, column 4 does not fit"],
    ["{} x", "line 1, column 4 does not fit"],
    ["'a'", "line 1, column 1 does not fit"],
    ['{"a":1}\n{"b":2}', "line 2, column 1 does not fit"],
  ];
  for (const [text, fault] of table) assert.equal(jsonTextFault(text), fault, JSON.stringify(text));
  const deep = "[".repeat(100_000);
  assert.equal(jsonTextFault(deep), "it ends too early");
});
