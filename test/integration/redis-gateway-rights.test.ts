import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { errorOf, freePorts, GatewayProcess, runCli } from "../support/gateway-process.ts";
import { RedisServer } from "../support/redis-server.ts";
import type { RunningFleet } from "../support/running-fleet.ts";
import { SharedGateways } from "../support/shared-gateways.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "operating", "redis.md"), "utf8");
const rights = /^(~<prefix>:\* .+)$/m.exec(page)?.[1]?.replace("<prefix>", "tidegate").split(" ") ?? [];
const [old, fresh] = ["first-pa55word", "second-pa55word"];

/** Of an entry of ACL LOG: names and values in turn. */
function reasonOf(entry: readonly unknown[]): unknown {
  return entry[entry.indexOf("reason") + 1];
}

test("a user with exactly the documented rights can do everything, its password can be replaced, and without +config|get nothing is confirmed", async (context) => {
  const open: { destroy(): Promise<void> }[] = [];
  context.after(async () => {
    for (const each of open.reverse()) await each.destroy();
  });
  const server = await RedisServer.start();
  open.push(server);
  const admin = server.client();
  open.push({ destroy: async () => admin.disconnect() });
  const setUser = (...rules: string[]) => admin.call("ACL", ["SETUSER", "gate", ...rules]);
  await setUser("reset", "on", `>${old}`, ...rights);
  const url = server.url.replace("//", "//gate@");
  const flags = ["--stream", url, "--window", url];
  const environment = { TIDEGATE_STREAM_PASSWORD: old, TIDEGATE_WINDOW_PASSWORD: old };
  const gateways = await SharedGateways.start(2, flags, { environment });
  open.push(gateways);
  const assertFiledOnce = async (fleet: RunningFleet): Promise<void> => {
    const total = await fleet.finish();
    const { stored, lost, duplicated, phantom, altered } = await gateways.audit(fleet.ledger);
    assert.deepEqual([stored, lost, duplicated, phantom, altered], [total, 0, 0, 0, 0]);
  };

  const fleet = gateways.fleet({ rate: 300 });
  await gateways.untilAcknowledged(100);
  await setUser(`>${fresh}`);
  await setUser(`<${old}`);
  await gateways.untilAcknowledged(300);
  await assertFiledOnce(fleet);
  // A connection that broke meanwhile reconnects with the old password; `auth` in the log is not about
  // rights.
  const denied = ((await admin.call("ACL", ["LOG"])) as unknown[][]).filter(
    (entry) => reasonOf(entry) !== "auth",
  );
  assert.deepEqual(denied, [], "no command, key or channel was denied");

  await admin.call("client", ["kill", "user", "gate"]);
  for (const gateway of gateways.all)
    await gateway.until("/readyz says why", async () => {
      const answer = await fetch(`${gateway.httpUrl}/readyz`);
      return answer.status === 503 && /WRONGPASS.*restart/.test(await answer.text());
    });
  await gateways.stop();
  const [{ dataFolder }] = gateways.all as [GatewayProcess];
  const renewed = await GatewayProcess.start({
    dataFolder,
    flags: [...flags, "--lake", gateways.lake],
    environment: {
      TIDEGATE_STREAM_PASSWORD: fresh,
      TIDEGATE_WINDOW_PASSWORD: fresh,
      TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300",
    },
  });
  open.push(renewed);
  const later = gateways.fleet({ rate: 300, durationS: 3, mqttUrls: [renewed.mqttUrl] });
  await later.ended;
  await assertFiledOnce(later);

  await setUser("-config|get");
  const mend = "ACL SETUSER gate +config|get";
  await renewed.until("appends are held, and /readyz has the fix", async () => {
    const answer = await fetch(`${renewed.httpUrl}/readyz`);
    return answer.status === 503 && (await answer.text()).includes(mend);
  });
  const refusals: string[] = [];
  for (const password of [old, fresh]) {
    const places = ["--data", join(gateways.folder, "data"), "--lake", gateways.lake, ...freePorts];
    const refused = await runCli(["up", ...flags, ...places, "--json"], {
      TIDEGATE_STREAM_PASSWORD: password,
      TIDEGATE_WINDOW_PASSWORD: password,
    });
    assert.equal(refused.code, 1, refused.stdout);
    const { code, message } = errorOf(refused);
    refusals.push(`${code}: ${message}`);
  }
  assert.match(refusals[0] ?? "", /^REDIS_DENIED: .*WRONGPASS/);
  assert.match(refusals[1] ?? "", /REDIS_UNSUPPORTED.*ACL SETUSER gate \+config\|get/);
  for (const text of [gateways.output, renewed.output, ...refusals])
    for (const password of [old, fresh]) assert.equal(text.includes(password), false);
});
