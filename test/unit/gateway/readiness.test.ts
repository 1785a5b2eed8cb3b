import assert from "node:assert/strict";
import { test } from "node:test";
import { reasonsNotAcknowledging, reasonsNotFiling } from "../../../gateway/supervisor/gateway-status.ts";

type Broker = NonNullable<Parameters<typeof reasonsNotAcknowledging>[0]>;

const nowMs = 100_000;

const well = { redis: null, registry: { kind: "redis", trouble: null }, isOpen: true };

function brokerHeldSince(...sinceMs: (number | null)[]): Broker {
  const lastFailure = { code: "STREAM_FULL", message: "the disk is full", atMs: nowMs };
  const lanes = sinceMs.map((heldSinceMs) => ({ heldSinceMs, lastFailure }));
  return { ...well, producer: { lanes } } as unknown as Broker;
}

test("a broker that does not answer, or whose stream takes nothing for 5 s, is not ready, and says why once", () => {
  assert.deepEqual(reasonsNotAcknowledging(brokerHeldSince(null, null), nowMs), []);
  assert.deepEqual(reasonsNotAcknowledging(brokerHeldSince(nowMs - 4_999, null), nowMs), []);
  assert.deepEqual(reasonsNotAcknowledging(brokerHeldSince(nowMs - 5_000, nowMs - 9_000, null), nowMs), [
    "broker: publishers wait without acknowledgement: the disk is full",
  ]);
  assert.deepEqual(reasonsNotAcknowledging(null, nowMs), ["broker: it does not answer"]);
});

test("Redis that holds, is away or full, and a registry that can't be asked, are reasons at once, each said once", () => {
  const held = { code: "REDIS_FULL", message: "the disk is full" };
  const redis = { held, isConnected: true } as unknown as Broker["redis"];
  assert.deepEqual(reasonsNotAcknowledging({ ...brokerHeldSince(nowMs - 9_000), redis }, nowMs), [
    "broker: nothing is acknowledged: REDIS_FULL: the disk is full",
  ]);
  const away = { held: null, isConnected: false } as unknown as Broker["redis"];
  const trouble = { code: "REGISTRY_LOST", message: "it is gone", sinceMs: 0 };
  const broker: Broker = {
    ...brokerHeldSince(null),
    redis: away,
    registry: { kind: "redis", trouble },
    isOpen: false,
  };
  assert.deepEqual(reasonsNotAcknowledging(broker, nowMs), [
    "broker: Redis does not answer",
    "broker: topics and identities can't be asked for: REGISTRY_LOST: it is gone",
    "broker: the stream is so full that nobody more may connect",
  ]);
});

test("a gateway that only files is not ready while its Redis is away, or Kinesis can't be read", () => {
  type Consumer = NonNullable<Parameters<typeof reasonsNotFiling>[0]>;
  const consumer = (isConnected: boolean) =>
    ({ redis: { isConnected }, kinesis: null }) as unknown as Consumer;
  const kinesis = { held: { code: "STREAM_GAP", message: "it is gone" } } as unknown as Consumer["kinesis"];
  assert.deepEqual(reasonsNotFiling({ redis: null, kinesis }), [
    "consumer: nothing is read: STREAM_GAP: it is gone",
  ]);
  assert.deepEqual(reasonsNotFiling(consumer(true)), []);
  assert.deepEqual(reasonsNotFiling(consumer(false)), ["consumer: Redis does not answer"]);
  assert.deepEqual(reasonsNotFiling({ redis: null, kinesis: null }), []);
  assert.deepEqual(reasonsNotFiling(null), ["consumer: it does not answer"]);
});
