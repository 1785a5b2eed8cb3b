import assert from "node:assert/strict";
import { test } from "node:test";
import { redisError } from "../../../../bridge/redis/redis-error.ts";

const answers: readonly [text: string, code: string, retryable: boolean][] = [
  ["OOM command not allowed when used memory > 'maxmemory'.", "REDIS_FULL", true],
  ["MISCONF Errors writing to the AOF file: No space left on device", "REDIS_FULL", true],
  ["WRONGPASS invalid username-password pair or user is disabled.", "REDIS_DENIED", false],
  ["NOPERM this user has no permissions to run the 'config|get' command", "REDIS_DENIED", false],
  ["ERR The user executing the script can't run this command or subcommand", "REDIS_DENIED", false],
  ["WRONGTYPE Operation against a key holding the wrong kind of value", "REDIS_KEY_TYPE", false],
  ["LOADING Redis is loading the dataset in memory", "REDIS_UNAVAILABLE", true],
  ["READONLY You can't write against a read only replica.", "REDIS_UNAVAILABLE", true],
  ["CLUSTERDOWN The cluster is down", "REDIS_UNAVAILABLE", true],
  ["Connection is closed.", "REDIS_UNAVAILABLE", true],
  ["Command timed out", "REDIS_UNAVAILABLE", true],
  ["Stream isn't writeable and enableOfflineQueue options is false", "REDIS_UNAVAILABLE", true],
];
/** The text instead of the client library's. */
const wrongType = "WRONGTYPE Operation against a key holding the wrong kind of value";
const words: Readonly<Record<string, string>> = {
  [wrongType]: `${wrongType}. Another application uses this name: give Tidegate a prefix of its own (?prefix=NAME in the URL)`,
  "Connection is closed.": "there is no connection to the server",
  "Command timed out": "the server has not answered in time",
  "Stream isn't writeable and enableOfflineQueue options is false": "there is no connection to the server",
};

for (const [text, code, retryable] of answers)
  test(`"${text}" is ${code}, to be tried again: ${retryable}`, () => {
    const error = redisError(new Error(text), "XADD");
    assert.deepEqual([error.code, error.retryable], [code, retryable]);
    assert.equal(error.message, `XADD: ${words[text] ?? text}`);
  });
