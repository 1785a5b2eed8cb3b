import assert from "node:assert/strict";
import { test } from "node:test";
import { reasonsNotAcknowledging } from "../../../gateway/supervisor/gateway-status.ts";

type Broker = NonNullable<Parameters<typeof reasonsNotAcknowledging>[0]>;

const nowMs = 100_000;

function brokerHeldSince(...sinceMs: (number | null)[]): Broker {
  const lastFailure = { code: "STREAM_FULL", message: "the disk is full", atMs: nowMs };
  const lanes = sinceMs.map((heldSinceMs) => ({ heldSinceMs, lastFailure }));
  return { producer: { lanes } } as unknown as Broker;
}

test("a broker that does not answer, or whose stream takes nothing for 5 s, is not ready, and says why once", () => {
  assert.deepEqual(reasonsNotAcknowledging(brokerHeldSince(null, null), nowMs), []);
  assert.deepEqual(reasonsNotAcknowledging(brokerHeldSince(nowMs - 4_999, null), nowMs), []);
  assert.deepEqual(reasonsNotAcknowledging(brokerHeldSince(nowMs - 5_000, nowMs - 9_000, null), nowMs), [
    "broker: publishers wait without acknowledgement: the disk is full",
  ]);
  assert.deepEqual(reasonsNotAcknowledging(null, nowMs), ["broker: it does not answer"]);
});
