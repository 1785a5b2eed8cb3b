import assert from "node:assert/strict";
import { test } from "node:test";
import type { Readiness } from "../../gateway/api/api-services.ts";
import { publishAll, statusOf } from "../support/gateway-books.ts";
import { GatewayProcess, runCommand } from "../support/gateway-process.ts";

test("a consumer that stands leaves the gateway ready, but degraded, with what waits; it goes on by itself", async (t) => {
  const gateway = await GatewayProcess.start({
    environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200", TIDEGATE_READINESS_STUCK_AFTER_MS: "1000" },
  });
  t.after(() => gateway.destroy());
  const readiness = async () => {
    const answer = await fetch(`${gateway.httpUrl}/readyz`);
    return { status: answer.status, ...((await answer.json()) as Readiness & { state: string }) };
  };
  const statusText = async () => (await runCommand(["status", "--data", gateway.dataFolder])).stdout;
  await publishAll(gateway, [{ device: "d1", id: "1" }]);
  await gateway.until("the first is filed", async () => /The books balance/.test(await statusText()));

  const consumer = gateway.childPid("consumer");
  assert(consumer);
  process.kill(consumer, "SIGSTOP");
  try {
    await publishAll(gateway, [{ device: "d1", id: "2" }]);
    // At first only that messages wait may be known.
    await gateway.until("it is degraded, and why", async () =>
      /does not answer/.test((await readiness()).degraded.join()),
    );
    const { status, isReady, reasons, degraded } = await readiness();
    assert.deepEqual([status, isReady, reasons], [200, true, []]);
    assert.match(degraded.join(), /^filing: the consumer is ready: it does not answer/);
    const shown = await statusText();
    assert.match(shown, /ready, but DEGRADED/);
    assert.doesNotMatch(shown, /books balance/i);
    // After 5 s its silence is a reason of its own.
    assert.match(await gateway.metrics(), /tidegate_degraded\{process="supervisor"\} [12]\n/);
  } finally {
    process.kill(consumer, "SIGCONT");
  }
  await gateway.until("it is ready", async () => (await readiness()).state === "ready");
  await gateway.until("all is filed", async () => ((await statusOf(gateway)).books?.filed ?? 0) === 2);
});
