import assert from "node:assert/strict";
import { after, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { FaultProxy } from "../../simulator/prove/under-test/fault-proxy.ts";
import { LiveMemory } from "./live-memory.ts";
import { RedisServer } from "./redis-server.ts";
import { SharedGateways } from "./shared-gateways.ts";

const mib = 2 ** 20;
const rate = 3_000;
const connections = 100;
/** Longer than a message is held and its connection then closed. */
const outageMs = 35_000;
/** A held broker keeps the messages in flight, here 2,000. */
const growthMaxBytes = 24 * mib;

export interface RedisBehindProxy {
  readonly server: RedisServer;
  readonly proxy: FaultProxy;
}

/**
 * Two gateways under full load whose Redis is away for a while: bounded memory, no storm of reconnects,
 * nothing acknowledged lost.
 */
export async function surviveOutage(
  context: TestContext,
  outage: {
    readonly begin: (redis: RedisBehindProxy) => unknown;
    readonly end: (redis: RedisBehindProxy) => unknown;
  },
): Promise<void> {
  const server = await RedisServer.start();
  after(() => server.destroy());
  const proxy = await FaultProxy.start(server.port);
  after(() => proxy.close());
  const url = `redis://127.0.0.1:${proxy.port}/0`;
  const memory = new LiveMemory();
  const { environment } = memory;
  const gateways = await SharedGateways.start(2, ["--stream", url, "--window", url], { environment });
  after(() => gateways.destroy());
  after(() => memory.destroy());
  const fleet = gateways.fleet({ rate, connections });
  await gateways.untilAcknowledged(2 * rate);
  const before = await brokerBytes(gateways, memory);
  await outage.begin({ server, proxy });
  const most = await highestBytes(gateways, memory);
  for (const { isReady, reasons } of await gateways.statuses()) {
    assert.equal(isReady, false);
    assert.match(reasons.join(), /REDIS_UNAVAILABLE/);
  }
  await outage.end({ server, proxy });
  context.diagnostic(`broker: ${before / mib} MiB before, ${most / mib} MiB at most`);
  assert.ok(most - before < growthMaxBytes, `${most / mib} MiB of broker, ${before / mib} MiB before`);
  const expected = await fleet.finish();
  const { reconnects } = await fleet.summary();
  context.diagnostic(`${reconnects} reconnects of ${connections} connections`);
  assert.ok(reconnects <= 3 * connections, `no storm of reconnects: ${reconnects}`);
  const { stored, lost, duplicated, phantom, altered } = await gateways.audit(fleet.ledger);
  assert.deepEqual([stored, lost, duplicated, phantom, altered], [expected, 0, 0, 0, 0]);
  for (const { books, processes } of await gateways.statuses()) {
    assert.equal(books?.isBalanced, true);
    assert.deepEqual(
      processes.map(({ restarts }) => restarts),
      [0, 0, 0],
      "no process ended",
    );
  }
}

/** Live memory of the bigger broker. */
async function brokerBytes(gateways: SharedGateways, memory: LiveMemory): Promise<number> {
  const measured = gateways.all.map((gateway) => memory.of(gateway.childPid("broker") ?? 0));
  return Math.max(...(await Promise.all(measured)).map(({ liveBytes }) => liveBytes));
}

/** Live memory of the bigger broker during the outage. */
async function highestBytes(gateways: SharedGateways, memory: LiveMemory): Promise<number> {
  let most = 0;
  for (const endsAtMs = Date.now() + outageMs; Date.now() < endsAtMs; await delay(500))
    most = Math.max(most, await brokerBytes(gateways, memory));
  return most;
}
