import assert from "node:assert/strict";
import { test } from "node:test";
import type { Readiness } from "../../gateway/api/api-services.ts";
import { publishAll, statusOf } from "../support/gateway-books.ts";
import { GatewayProcess, runCommand } from "../support/gateway-process.ts";

const isSilentConsumer = /^filing: the consumer is ready: the process does not answer/;

test("if the consumer is stuck, the gateway stays ready but degraded, counts the waiting messages, and recovers by itself", async (t) => {
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
  await gateway.until("the first message is filed", async () => /The books balance/.test(await statusText()));
  // On a slow machine the upkeep may still be starting, which is another reason.
  await gateway.until("every process answers", async () => (await readiness()).state === "ready");

  const consumer = gateway.childPid("consumer");
  assert(consumer);
  process.kill(consumer, "SIGSTOP");
  try {
    await publishAll(gateway, [{ device: "d1", id: "2" }]);
    // At first the only known reason may be that messages wait.
    await gateway.until("the gateway is degraded, with the reason", async () =>
      (await readiness()).degraded.some((reason) => isSilentConsumer.test(reason)),
    );
    const { status, isReady, reasons, degraded } = await readiness();
    assert.deepEqual([status, isReady, reasons], [200, true, []]);
    assert(
      degraded.some((reason) => isSilentConsumer.test(reason)),
      degraded.join(),
    );
    const shown = await statusText();
    assert.match(shown, /ready, but DEGRADED/);
    assert.doesNotMatch(shown, /books balance/i);
    // After 5 s without an answer, the silence is a reason of its own.
    assert.match(await gateway.metrics(), /tidegate_degraded\{process="supervisor"\} [12]\n/);
  } finally {
    process.kill(consumer, "SIGCONT");
  }
  await gateway.until("the gateway is ready", async () => (await readiness()).state === "ready");
  await gateway.until("all is filed", async () => ((await statusOf(gateway)).books?.filed ?? 0) === 2);
});
