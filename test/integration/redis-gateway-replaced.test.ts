import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { startTwoOnRedis } from "../support/gateways-on-redis.ts";

describe("a Redis that is replaced under two gateways", { concurrency: false }, () => {
  test("an empty server in its place is detected, and so is one restored from an older copy; no filed message is lost or duplicated", async (context) => {
    const { server, gateways } = await startTwoOnRedis(context);
    const run = async (): Promise<string> => {
      const fleet = gateways.fleet({ rate: 500, durationS: 2 });
      await fleet.ended;
      return fleet.ledger;
    };
    const files = join(server.folder, "appendonlydir");
    const copy = join(server.folder, "copy");
    const ledgers = [await run()];
    await server.kill();
    cpSync(files, copy, { recursive: true });
    await server.start();
    await gateways.at(0).waitUntilReady();
    await gateways.at(1).waitUntilReady();
    ledgers.push(await run());
    for (const ledger of ledgers) assert.equal((await gateways.audit(ledger)).lost, 0);
    await server.kill();
    rmSync(files, { recursive: true });
    cpSync(copy, files, { recursive: true });
    await server.start();
    await gateways.follow(await gateways.mendCommand());
    ledgers.push(await run());
    for (const ledger of ledgers) assert.equal((await gateways.audit(ledger)).lost, 0);
    await server.kill();
    rmSync(files, { recursive: true });
    await server.start();
    await gateways.follow(await gateways.mendCommand());
    ledgers.push(await run());
    for (const ledger of ledgers) {
      const { acked, stored, lost, duplicated, phantom, altered } = await gateways.audit(ledger);
      assert.deepEqual([acked, stored, lost, duplicated, phantom, altered], [1_000, 1_000, 0, 0, 0, 0]);
    }
  });
});
