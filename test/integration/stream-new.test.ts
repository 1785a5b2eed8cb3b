import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { publishAll, statusOf, storedIds } from "../support/gateway-books.ts";
import { GatewayProcess, runCommand } from "../support/gateway-process.ts";
import { killGateway, stopReading } from "../support/kill-gateway.ts";
import { RedisServer } from "../support/redis-server.ts";

const environment = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" };

/** Each device sends one message. */
function fromDevices(name: string, count: number) {
  return Array.from({ length: count }, (_, index) => ({ device: `${name}${index}`, id: `${name}${index}` }));
}

describe("a new stream reports the discarded messages of the old one, and its status keeps their number", () => {
  let server: RedisServer;
  before(async () => {
    server = await RedisServer.start();
  });
  after(() => server.destroy());

  for (const kind of ["embedded", "redis"] as const)
    test(kind, async (t) => {
      const flags = kind === "redis" ? ["--stream", server.url] : [];
      const gateway = await GatewayProcess.start({ flags, environment });
      t.after(() => gateway.destroy());
      const cli = (...args: string[]) => runCommand([...args, "--data", gateway.dataFolder]);
      const renew = () => gateway.cli("stream", "new", "--force", ...flags);
      await publishAll(gateway, fromDevices("filed", 3));
      await gateway.until("the messages are filed", async () => (await storedIds(gateway)).length === 3);
      const first = (await statusOf(gateway)).consumer;
      assert.equal(first?.replacement, null);
      stopReading(gateway);
      await publishAll(gateway, fromDevices("unread", 7));
      await killGateway(gateway);

      const renewed = await renew();
      assert.equal(renewed.code, 0, renewed.stderr);
      const { replaces, unread } = renewed.json as {
        replaces: string;
        unread: { blocks: number; messages: number };
      };
      assert.deepEqual([replaces, unread.messages], [first?.streamId, 7]);
      assert.ok(unread.blocks >= 1 && unread.blocks <= 7);
      await gateway.start();
      const { broker, consumer } = await statusOf(gateway);
      for (const end of [broker, consumer]) {
        const { atMs = 0, ...known } = end?.replacement ?? {};
        assert.deepEqual(known, { replaces, unread });
        assert.ok(atMs > 0);
      }
      const shown = await cli("status");
      assert.match(
        shown.stdout,
        new RegExp(`! Given up at \\S+ with the stream ${replaces}: 7 unfiled messages`),
      );
      assert.deepEqual(await storedIds(gateway), ["filed0", "filed1", "filed2"]);
      assert.equal(await gateway.stop(), 0);

      const again = await cli("stream", "new", "--force", ...flags);
      assert.match(
        again.stdout,
        new RegExp(`Given up with ${consumer?.streamId}: nothing, because all messages were filed`),
      );
      await gateway.start();
      assert.doesNotMatch((await cli("status")).stdout, /Given up/);
      assert.equal(await gateway.stop(), 0);
    });
});
