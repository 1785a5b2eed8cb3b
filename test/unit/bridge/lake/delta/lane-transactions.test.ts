import assert from "node:assert/strict";
import { test } from "node:test";
import { fenceId, isFenced, settledLanes } from "../../../../../bridge/lake/delta/lane-transactions.ts";

function txns(versions: Readonly<Record<string, number>>) {
  return new Map(Object.entries(versions).map(([appId, version]) => [appId, { appId, version }]));
}

test("each lane has a transaction of its own; that of version 0.1.0 is the lane of table files", () => {
  const found = txns({
    "tidegate/l1": 4,
    "tidegate/l1/odd": 7,
    "tidegate/l2": 9,
    "tidegate/l2/even": 9,
    other: 9,
  });
  assert.deepEqual(settledLanes(found, "l1"), { direct: 4, even: 0, odd: 7, late: 0 });
});

test("files are fenced by a later fence, or if the table was read from a later checkpoint that may lack one", () => {
  const at = (version: number) => ({ version, paths: [] });
  const none = { txns: txns({}), base: null };
  assert.equal(isFenced(none, "l1", 4), false);
  assert.equal(isFenced({ ...none, txns: txns({ [fenceId("l1")]: 4 }) }, "l1", 4), false);
  assert.equal(isFenced({ ...none, txns: txns({ [fenceId("l1")]: 5 }) }, "l1", 4), true);
  assert.equal(isFenced({ ...none, txns: txns({ [fenceId("l2")]: 5 }) }, "l1", 4), false);
  assert.equal(isFenced({ ...none, base: at(4) }, "l1", 4), false);
  assert.equal(isFenced({ ...none, base: at(5) }, "l1", 4), true);
});
