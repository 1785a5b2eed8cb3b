import assert from "node:assert/strict";
import { test } from "node:test";
import { lostNumbers } from "../../../../gateway/input/lost-numbers.ts";

const lostOf = (text: string) => lostNumbers(text).map(({ where, value }) => [where, value]);

test("numbers that JSON.parse would change are found, with their place and the one that can be kept", () => {
  const table: readonly [number: string, kept: string][] = [
    ["9007199254740993", "9007199254740992"],
    ["-9007199254740993", "-9007199254740992"],
    ["9223372036854775807", "9223372036854775808"],
    ["9007199254740993.0", "9007199254740992"],
    ["900719925474099.31e1", "9007199254740994"],
    ["0.12345678901234567891", "0.12345678901234568"],
    ["1e-400", "0"],
  ];
  for (const [number, kept] of table) {
    const [fault] = lostNumbers(`{"a":{"b":[1,${number}]}}`);
    assert.deepEqual([fault?.where, fault?.value], ["a.b[1]", number]);
    assert(fault?.mend.includes(`give ${kept},`), `${number}: ${fault?.mend}`);
  }
});

test("numbers that a double keeps are none of them, whatever their spelling, nor are digits in texts and names", () => {
  const kept = [
    ...["0.1", "1.0", "-0", "0e5", "1E3", "9007199254740992", "9007199254740994", "9223372036854775808"],
    ...["9223372036854776000", "1.7976931348623157e308", "100000000000000000000", "1e400", "1e-300"],
    ...["0.30000000000000004", "0.000000000000000000001", '"9007199254740993"'],
  ];
  assert.deepEqual(lostOf(`{"9007199254740993":[${kept.join(",")}]}`), []);
});

test("of a member that stands twice, the last one counts; a deep text is no trouble", () => {
  assert.deepEqual(lostOf('{"a":9007199254740993,"a":1}'), []);
  const deep = `${"[".repeat(50_000)}9007199254740993${"]".repeat(50_000)}`;
  assert.equal(lostNumbers(deep).length, 1);
  assert.equal(lostNumbers(`[${Array(100).fill("9007199254740993").join(",")}]`).length, 10);
});
