import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { GatewayProcess, runCli } from "../support/gateway-process.ts";
import { ReplicatedRedis } from "../support/replicated-redis.ts";
import { SharedGateways } from "../support/shared-gateways.ts";

const stillRunsAfterMs = 30_000;

describe("a URL that leads to a replica", { concurrency: false }, () => {
  let redis: ReplicatedRedis;
  let gateways: SharedGateways;
  before(async () => {
    redis = await ReplicatedRedis.start();
    gateways = await SharedGateways.start(1, ["--stream", redis.url]);
  });
  after(async () => {
    await gateways?.destroy();
    await redis?.destroy();
  });

  function assertTold(text: string): void {
    assert.match(text, /is a replica.*name its master in the URL.*REPLICAOF NO ONE/);
    assert.ok(text.includes(`Redis at ${new URL(redis.replicaUrl).host}`), "the error names the server");
  }

  for (const [place, flags, durability] of [
    ["stream", () => ["--stream", redis.replicaUrl], "strict"],
    ["stream", () => ["--stream", redis.replicaUrl], "relaxed"],
    ["window", () => ["--stream", redis.url, "--window", redis.replicaUrl], "strict"],
  ] as const)
    test(`a gateway ends if its URL for the ${place} leads there, durability ${durability}`, async () => {
      const gateway = await GatewayProcess.start({
        flags: [...flags(), "--lake", gateways.lake],
        environment: { TIDEGATE_REDIS_DURABILITY: durability },
        waitUntilReady: false,
      });
      try {
        const stillRuns = delay(stillRunsAfterMs, "it runs", { ref: false });
        assert.equal(await Promise.race([gateway.exited(), stillRuns]), 1);
        assertTold(gateway.output);
      } finally {
        await gateway.destroy();
      }
    });

  test("`stream new` and `migrate` end as well", async () => {
    await gateways.stop();
    const embedded = await SharedGateways.start(1, []);
    try {
      await embedded.stop();
      const places = ({ lake, all: [gateway] }: SharedGateways): string[] => [
        ...["--stream", redis.replicaUrl, "--lake", lake],
        ...["--data", gateway?.dataFolder ?? assert.fail("the gateway was started")],
      ];
      for (const args of [
        ["stream", "new", "--force", ...places(gateways)],
        ["migrate", ...places(embedded)],
      ]) {
        const { code, stderr } = await runCli(args);
        assert.equal(code, 1, args[0]);
        assertTold(stderr);
      }
    } finally {
      await embedded.destroy();
    }
  });
});
