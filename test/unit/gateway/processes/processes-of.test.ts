import assert from "node:assert/strict";
import { test } from "node:test";
import { processesOf } from "../../../../gateway/processes/processes-of.ts";

test("a gateway with the role consumer runs the upkeep, unless upkeep.enabled is false", () => {
  const enabled = { enabled: true };
  assert.deepEqual(processesOf({ roles: ["consumer", "broker"], upkeep: enabled }), [
    "broker",
    "consumer",
    "upkeep",
  ]);
  assert.deepEqual(processesOf({ roles: ["consumer"], upkeep: enabled }), ["consumer", "upkeep"]);
  assert.deepEqual(processesOf({ roles: ["broker"], upkeep: enabled }), ["broker"]);
  assert.deepEqual(processesOf({ roles: ["broker", "consumer"], upkeep: { enabled: false } }), [
    "broker",
    "consumer",
  ]);
});
