import assert from "node:assert/strict";
import { test } from "node:test";
import { reasonsNotAcknowledging, reasonsNotFiling } from "../../../../gateway/status/gateway-status.ts";
import type { StreamMembers } from "../../../support/stream-members.ts";

type Broker = NonNullable<Parameters<typeof reasonsNotAcknowledging>[0]> & StreamMembers;
type Consumer = NonNullable<Parameters<typeof reasonsNotFiling>[0]> & StreamMembers;

const well = { redis: null, registry: { kind: "redis", trouble: null }, isOpen: true };

function brokerHeldFor(...forMs: (number | null)[]): Broker {
  const lastFailure = { code: "STREAM_FULL", message: "the disk is full", atMs: 0 };
  const lanes = forMs.map((heldForMs) => ({ heldForMs, lastFailure }));
  return { ...well, producer: { lanes } } as unknown as Broker;
}

test("a broker that does not answer, or whose stream accepts no block for 5 s, is not ready, and each reason is given once", () => {
  assert.deepEqual(reasonsNotAcknowledging(brokerHeldFor(null, null)), []);
  assert.deepEqual(reasonsNotAcknowledging(brokerHeldFor(4_999, null)), []);
  assert.deepEqual(reasonsNotAcknowledging(brokerHeldFor(5_000, 9_000, null)), [
    "broker: publishers wait without acknowledgement: the disk is full",
  ]);
  assert.deepEqual(reasonsNotAcknowledging(null), ["broker: the process does not answer"]);
});

test("a Redis that is held, unreachable or full, and a registry that can't be read, are reasons at once, each only once", () => {
  const held = { code: "REDIS_FULL", message: "the disk is full" };
  const redis = { held, isConnected: true } as unknown as NonNullable<Broker["redis"]>;
  const holding: Broker = { ...brokerHeldFor(9_000), redis };
  assert.deepEqual(reasonsNotAcknowledging(holding), [
    "broker: no message is acknowledged: REDIS_FULL: the disk is full",
  ]);
  const away = { held: null, isConnected: false } as unknown as NonNullable<Broker["redis"]>;
  const trouble = { code: "REGISTRY_LOST", message: "it is gone", sinceMs: 0 };
  const broker: Broker = {
    ...brokerHeldFor(null),
    redis: away,
    registry: { kind: "redis", trouble },
    isOpen: false,
  };
  assert.deepEqual(reasonsNotAcknowledging(broker), [
    "broker: Redis does not answer",
    "broker: topics and identities can't be read: REGISTRY_LOST: it is gone",
    "broker: the stream is so full that no further client may connect",
  ]);
});

test("a gateway without a broker is not ready while its Redis is unreachable, or Kinesis can't be read", () => {
  const consumer = (isConnected: boolean) =>
    ({ redis: { isConnected }, kinesis: null }) as unknown as Consumer;
  const kinesis = { held: { code: "STREAM_GAP", message: "it is gone" } } as unknown as NonNullable<
    Consumer["kinesis"]
  >;
  assert.deepEqual(reasonsNotFiling({ redis: null, kinesis } as Consumer), [
    "consumer: no message is read: STREAM_GAP: it is gone",
  ]);
  assert.deepEqual(reasonsNotFiling(consumer(true)), []);
  assert.deepEqual(reasonsNotFiling(consumer(false)), ["consumer: Redis does not answer"]);
  assert.deepEqual(reasonsNotFiling({ redis: null, kinesis: null } as Consumer), []);
  assert.deepEqual(reasonsNotFiling(null), ["consumer: the process does not answer"]);
});
