import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Redis } from "ioredis";
import { publishAll } from "../support/gateway-books.ts";
import { RedisServer } from "../support/redis-server.ts";
import { SharedGateways } from "../support/shared-gateways.ts";

describe("settings changed under two gateways and a fleet", { concurrency: false }, () => {
  let stream: RedisServer;
  let window: RedisServer;
  let gateways: SharedGateways;
  let fleet: ReturnType<SharedGateways["fleet"]>;
  const admins: Redis[] = [];
  before(async () => {
    [stream, window] = await Promise.all([RedisServer.start(), RedisServer.start()]);
    admins.push(stream.client(), window.client());
    gateways = await SharedGateways.start(2, ["--stream", stream.url, "--window", window.url]);
    fleet = gateways.fleet({ rate: 300 });
    await gateways.untilAcknowledged(500);
  });
  after(async () => {
    for (const admin of admins) admin.disconnect();
    await gateways?.destroy();
    await stream.destroy();
    await window.destroy();
  });

  for (const [name, harmful, wanted] of [
    ["appendfsync", "everysec", "always"],
    ["appendonly", "no", "yes"],
    ["no-appendfsync-on-rewrite", "yes", "no"],
    ["maxmemory-policy", "allkeys-lru", "noeviction"],
  ] as const)
    test(`${name} ${harmful} on the stream's server holds appends, with the fix in /readyz and status; ${wanted} resumes them`, async () => {
      const [admin] = admins as [Redis];
      await admin.config("SET", name, harmful);
      const mend = `CONFIG SET ${name} ${wanted}`;
      for (const [index, gateway] of gateways.all.entries()) {
        await gateway.until("/readyz has the fix", async () => {
          const answer = await fetch(`${gateway.httpUrl}/readyz`);
          return answer.status === 503 && (await answer.text()).includes(mend);
        });
        assert.ok((await gateways.statusText(index)).includes(mend));
      }
      const held = await gateways.acknowledged();
      assert.equal(await gateways.acknowledged(), held);
      await admin.config("SET", name, wanted);
      for (const gateway of gateways.all) await gateway.waitUntilReady();
      for (const gateway of gateways.all)
        await publishAll(gateway, [{ device: "probe", id: `${name}-${gateway.pid}` }]);
    });

  test("a policy that may evict the window stops nothing and is logged, and an evicted window costs no duplicate", async () => {
    const [, admin] = admins as [Redis, Redis];
    await admin.config("SET", "maxmemory-policy", "allkeys-lru");
    await gateways
      .at(0)
      .until("the policy is logged", () =>
        gateways.all.some(({ output }) => /window.*maxmemory-policy allkeys-lru/.test(output)),
      );
    for (const key of await admin.keys("*ids")) await admin.unlink(key);
    for (const gateway of gateways.all)
      await publishAll(gateway, [{ device: "probe", id: `window-${gateway.pid}` }]);
    await admin.config("SET", "maxmemory-policy", "noeviction");
  });

  test("the audit finds every message of these tests once, and no process ended", async () => {
    const total = await fleet.finish();
    const { stored, lost, duplicated, phantom, altered } = await gateways.audit(fleet.ledger);
    assert.deepEqual([stored, lost, duplicated, phantom, altered], [total, 0, 0, 0, 0]);
    for (const { books, processes } of await gateways.statuses()) {
      assert.equal(books?.isBalanced, true);
      assert.deepEqual(
        processes.map(({ restarts }) => restarts),
        [0, 0, 0],
      );
    }
  });
});
