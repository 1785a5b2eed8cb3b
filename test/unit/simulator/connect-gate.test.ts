import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectGate } from "../../../simulator/fleet/connect-gate.ts";

test("connections pass in order, at the rate, and a pause does not let a crowd through", () => {
  const gate = new ConnectGate<number>(100);
  for (let item = 0; item < 200; item++) gate.enter(item);
  const passed: number[] = [];
  for (let nowMs = 0; nowMs <= 1000; nowMs += 5) passed.push(...gate.admit(nowMs));
  assert.ok(passed.length >= 99 && passed.length <= 101, `${passed.length} in a second`);
  assert.deepEqual(passed, [...passed.keys()]);
  assert.ok(gate.admit(60_000).length <= 11);
  gate.clear();
  assert.deepEqual([gate.waiting, gate.admit(90_000)], [0, []]);
});

test("a rate below one a second lets one through in time", () => {
  const gate = new ConnectGate<string>(0.5);
  gate.enter("a");
  assert.deepEqual(gate.admit(0), []);
  assert.deepEqual(gate.admit(1000), []);
  assert.deepEqual(gate.admit(2500), ["a"]);
});
