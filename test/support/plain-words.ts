import assert from "node:assert/strict";

/** Words of a validator, a parser, a regular expression or the system. */
const foreignWords =
  /must (be|match|have|NOT)|\bExpected (string|union|required|object|array|integer|number|boolean)|\^\[|\\d|\{0,|anyOf|instancePath|additional propert|Unexpected (property|token)|FST_ERR|ENOENT|EACCES|\[object/;

export function assertPlain(message: string, of: string): void {
  assert.doesNotMatch(message, foreignWords, of);
  assert.ok(message.length > 10, of);
}
