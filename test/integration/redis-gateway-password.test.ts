import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { startTwoOnRedis } from "../support/gateways-on-redis.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-password-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("a password that is rotated under two gateways: they hold and report that, continue with the new one after a restart, and print neither", async (context) => {
  const [old, fresh] = ["first-pa55word", "second-pa55word"];
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, `${old}\n`);
  const { server, gateways } = await startTwoOnRedis(context, {
    settings: { requirepass: old },
    environment: {
      TIDEGATE_STREAM_PASSWORD_FILE: passwordFile,
      TIDEGATE_WINDOW_PASSWORD_FILE: passwordFile,
    },
  });
  const fleet = gateways.fleet({ rate: 400 });
  await gateways.untilAcknowledged(800);
  const admin = server.client();
  await admin.config("SET", "requirepass", fresh);
  // Connections that have logged in stay logged in.
  await gateways.untilAcknowledged(400);
  await admin.call("client", "kill", "type", "normal", "skipme", "yes");
  admin.disconnect();
  for (const [index, gateway] of gateways.all.entries()) {
    await gateway.until("/readyz says why", async () => {
      const answer = await fetch(`${gateway.httpUrl}/readyz`);
      return answer.status === 503 && /WRONGPASS.*restart/.test(await answer.text());
    });
    assert.match(await gateways.statusText(index), /WRONGPASS/);
  }
  writeFileSync(passwordFile, `${fresh}\n`);
  await gateways.stop();
  await gateways.startAgain();
  const total = await fleet.finish();
  const { stored, lost, duplicated, phantom, altered } = await gateways.audit(fleet.ledger);
  assert.deepEqual([stored, lost, duplicated, phantom, altered], [total, 0, 0, 0, 0]);
  const metrics = await Promise.all(gateways.all.map((gateway) => gateway.metrics()));
  for (const text of [gateways.output, JSON.stringify(await gateways.statuses()), ...metrics]) {
    assert.notEqual(text, "");
    for (const password of [old, fresh]) assert.equal(text.includes(password), false);
  }
});
