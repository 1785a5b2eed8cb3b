import assert from "node:assert/strict";
import { test } from "node:test";
import { crashesIn, silentProcesses } from "../../../../../simulator/prove/under-test/ended-processes.ts";

test("only processes that their own supervisor ended for silence are found in a log", () => {
  const log = [
    '{"level":50,"event":"child.silent","role":"consumer","pid":25391,"silentForMs":10000}',
    '{"level":40,"event":"child.ended","role":"consumer","pid":25391,"signal":"SIGKILL"}',
    '{"level":40,"event":"child.ended","role":"broker","pid":7,"signal":"SIGKILL"}',
    'a line of another program that says "child.silent"',
    '{"event":"other","msg":"\\"child.silent\\"","pid":8}',
    '{"level":50,"event":"child.silent","role":"bro',
  ].join("\n");
  assert.deepEqual([...silentProcesses(log)], [25391]);
});

test("a process that ended by itself with an error is found in a log, and one that a signal ended is not", () => {
  const log = [
    '{"level":40,"event":"child.ended","role":"broker","pid":7,"code":1,"signal":null,"msg":"broker ended"}',
    '{"level":50,"event":"child.ended","role":"consumer","pid":8,"code":1,"signal":null,"refusal":"LAKE_DAMAGED","isRetryable":false}',
    '{"level":50,"event":"child.ended","role":"upkeep","pid":13,"code":1,"signal":null,"refusal":"INTERNAL_ERROR","isRetryable":true}',
    '{"level":40,"event":"child.ended","role":"upkeep","pid":14,"code":1,"signal":null,"refusal":"REDIS_UNAVAILABLE","isRetryable":true}',
    '{"level":40,"event":"child.ended","role":"broker","pid":9,"code":null,"signal":"SIGKILL"}',
    '{"level":30,"event":"child.ended","role":"broker","pid":10,"code":0,"signal":null}',
    '{"level":30,"event":"other","msg":"child.ended","pid":11,"code":1}',
    '{"level":40,"event":"child.ended","role":"broker","pid":12,"code":1,"sig',
  ].join("\n");
  assert.deepEqual(crashesIn(log), [
    { role: "broker", pid: 7, code: 1, refusal: null },
    { role: "consumer", pid: 8, code: 1, refusal: "LAKE_DAMAGED" },
    { role: "upkeep", pid: 13, code: 1, refusal: "INTERNAL_ERROR" },
  ]);
});
