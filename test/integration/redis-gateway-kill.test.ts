import assert from "node:assert/strict";
import { test } from "node:test";
import { statusOf } from "../support/gateway-books.ts";
import { startTwoOnRedis } from "../support/gateways-on-redis.ts";
import { killGateway } from "../support/kill-gateway.ts";
import { machineSlowness } from "../support/machine-slowness.ts";

const rate = 300;
/** The default. */
const leaseMs = 10_000;
/**
 * Time until the others own the partitions of the dead gateway: a lease, and the interval in which they check
 * for free ones.
 */
const takeOverMs = leaseMs + 5_000 * machineSlowness();

test("a gateway is killed with all its processes: before it is back, the other one takes over all partitions and files everything once", async (context) => {
  const environment = { TIDEGATE_LEASES_LEASE_MS: String(leaseMs) };
  const { gateways } = await startTwoOnRedis(context, { environment });
  const [killed, survivor] = [gateways.at(0), gateways.at(1)];
  const owned = async (): Promise<{ own: number; all: number }> => {
    const { consumer } = await statusOf(survivor);
    if (!consumer) throw new Error("the consumer does not answer");
    const { processName, partitions, ageMs } = consumer.leases;
    if (ageMs === null || ageMs > leaseMs / 2) throw new Error("the known leases are outdated");
    return { own: partitions.filter(({ owner }) => owner === processName).length, all: partitions.length };
  };
  await survivor.until("both gateways own partitions", async () => (await owned()).own === 2);
  const fleet = gateways.fleet({ rate });
  await gateways.untilAcknowledged(rate);
  await killGateway(killed);
  await survivor.until(
    "the survivor owns all partitions",
    async () => {
      const { own, all } = await owned();
      return own === all;
    },
    takeOverMs,
  );
  const late = gateways.fleet({ rate, durationS: 1, mqttUrls: [survivor.mqttUrl] });
  await late.ended;
  const { acked, stored, lost } = await gateways.audit(late.ledger);
  assert.deepEqual([acked, stored, lost], [rate, rate, 0], "the survivor files all partitions");
  await killed.start();
  const total = await fleet.finish();
  const audit = await gateways.audit(fleet.ledger);
  assert.deepEqual(
    [audit.stored, audit.lost, audit.duplicated, audit.phantom, audit.altered],
    [total, 0, 0, 0, 0],
  );
  for (const { books } of await gateways.statuses()) assert.equal(books?.isBalanced, true);
});
