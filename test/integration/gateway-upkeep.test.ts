import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { stagedFolder } from "../../bridge/lake/stores/lake-folders.ts";
import type { GatewayStatus } from "../../gateway/status/gateway-status.ts";
import { publishAll, statusOf } from "../support/gateway-books.ts";
import { GatewayProcess, isAlive, runCommand } from "../support/gateway-process.ts";
import { startTwoOnRedis } from "../support/gateways-on-redis.ts";

const environment = {
  TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200",
  TIDEGATE_TABLES_VACUUM_INTERVAL_MS: "10000",
  TIDEGATE_TABLES_VACUUM_AGE_MS: "60000",
};
const dayMs = 86_400_000;

/** A data file that no commit names, as a crash leaves it, old enough for vacuum. */
function leaveFile(lakeFolder: string): string {
  const path = join(lakeFolder, "telemetry/event_date=2026-11-22/event_hour=10", `${randomUUID()}.parquet`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "left");
  const time = new Date(Date.now() - dayMs);
  utimesSync(path, time, time);
  return path;
}

function pidOf(gateway: GatewayProcess, role: "broker" | "consumer" | "upkeep"): number {
  return gateway.childPid(role) ?? assert.fail(`no ${role} runs`);
}

async function upkeepOf(gateway: GatewayProcess): Promise<NonNullable<GatewayStatus["upkeep"]>> {
  return (await statusOf(gateway)).upkeep ?? assert.fail("no upkeep");
}

async function untilUpkeepRuns(gateway: GatewayProcess, other: number | null = null): Promise<number> {
  await gateway.until("the upkeep runs", async () => {
    const isAnother = (gateway.childPid("upkeep") ?? other) !== other;
    return isAnother && (await upkeepOf(gateway)) !== null;
  });
  return pidOf(gateway, "upkeep");
}

/** Nice values of the threads of a process: field 19 of proc(5). */
function priorities(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  });
}

test("the upkeep vacuums, is killed and comes back, hangs and is replaced; broker and consumer never notice, and TERM ends all", async (t) => {
  const gateway = await GatewayProcess.start({
    environment: { ...environment, TIDEGATE_SUPERVISION_SILENCE_MS: "8000" },
  });
  t.after(() => gateway.destroy());
  const others = [pidOf(gateway, "broker"), pidOf(gateway, "consumer")];
  const file = async (count: number) => {
    await publishAll(gateway, [{ device: "d1", id: String(count) }]);
    await gateway.until("it is filed", async () => (await statusOf(gateway)).books?.filed === count);
  };
  await file(1);
  const first = await untilUpkeepRuns(gateway);
  const lake = join(gateway.dataFolder, "lake");
  let left = leaveFile(lake);
  const { state, next, lease, failure } = await upkeepOf(gateway);
  assert.deepEqual([state, next?.work, lease, failure], ["waiting", "vacuum", null, null]);
  await gateway.until("it is deleted", () => !existsSync(left));
  await gateway.until("it is told", async () => (await upkeepOf(gateway)).last?.work === "vacuum");
  const text = (await runCommand(["status", "--data", gateway.dataFolder])).stdout;
  assert.match(text, /Upkeep of the lake: next vacuum at \S+; last vacuum ended at /);
  const metrics = await gateway.metrics();
  assert.match(metrics, /tidegate_vacuum_deleted_files_total\{process="upkeep"\} 1/);
  assert.match(metrics, /tidegate_upkeep_runs_total\{work="vacuum",outcome="done",process="upkeep"\} [1-9]/);
  assert.match(metrics, /tidegate_upkeep_active\{process="upkeep"\} 1/);
  const normal = Math.min(...others.flatMap(priorities));
  assert.deepEqual([...new Set(priorities(first))], [Math.min(19, normal + 10)]);

  left = leaveFile(lake);
  process.kill(first, "SIGKILL");
  const second = await untilUpkeepRuns(gateway, first);
  await gateway.until("another one vacuums", () => !existsSync(left));
  await file(2);

  process.kill(second, "SIGSTOP");
  await gateway.until("that is told, and the gateway stays ready", async () => {
    const { status, body } = await gateway.api("GET", "/readyz");
    return status === 200 && /upkeep has hung for \d+ s/.test(String(body["degraded"]));
  });
  await file(3);
  left = leaveFile(lake);
  const third = await untilUpkeepRuns(gateway, second);
  assert.equal(isAlive(second), false);
  await gateway.until("it vacuums", () => !existsSync(left));
  const { processes, books } = await statusOf(gateway);
  assert.deepEqual(
    processes.map(({ role, restarts, hangs }) => [role, restarts, hangs]),
    [
      ["broker", 0, 0],
      ["consumer", 0, 0],
      ["upkeep", 2, 1],
    ],
  );
  assert.equal(books?.isBalanced, true);
  assert.deepEqual([pidOf(gateway, "broker"), pidOf(gateway, "consumer")], others);

  assert.equal(await gateway.stop(), 0);
  assert.equal(isAlive(third), false);
});

test("an upkeep that can't work is told by /readyz, status and metrics, while the gateway stays ready and files; TERM ends one that stands still", async (t) => {
  const gateway = await GatewayProcess.start({
    environment: { ...environment, TIDEGATE_READINESS_STUCK_AFTER_MS: "1000" },
  });
  t.after(() => gateway.destroy());
  const upkeep = await untilUpkeepRuns(gateway);
  const lake = join(gateway.dataFolder, "lake");
  // Vacuum asks the disk for its time by a file in the staging folder of its process.
  const [staging] = readdirSync(join(lake, stagedFolder)).filter((name) => name.includes(`~${upkeep}~`));
  assert(staging);
  rmSync(join(lake, stagedFolder, staging), { recursive: true });
  writeFileSync(join(lake, stagedFolder, staging), "a file where a folder should be");
  await gateway.until("it is told", async () => {
    const { status, body } = await gateway.api("GET", "/readyz");
    return status === 200 && /upkeep: the vacuum of the lake fails: \w+: /.test(String(body["degraded"]));
  });
  const { failure } = await upkeepOf(gateway);
  assert.equal(failure?.work, "vacuum");
  assert.match(await gateway.metrics(), /tidegate_upkeep_failing\{work="vacuum",process="upkeep"\} 1/);
  assert.match(
    (await runCommand(["status", "--data", gateway.dataFolder])).stdout,
    / {2}! The vacuum has failed /,
  );
  assert.match(gateway.output, /"event":"upkeep\.failed","work":"vacuum"/);
  await publishAll(gateway, [{ device: "d1", id: "1" }]);
  await gateway.until("it is filed", async () => (await statusOf(gateway)).books?.filed === 1);
  process.kill(upkeep, "SIGSTOP");
  assert.equal(await gateway.stop(), 0);
  assert.equal(isAlive(upkeep), false);
  assert.match(gateway.output, /"event":"child\.killed","role":"upkeep"/);
});

test("a gateway whose setting upkeep.enabled is false runs no upkeep", async (t) => {
  const gateway = await GatewayProcess.start({
    environment: { ...environment, TIDEGATE_UPKEEP_ENABLED: "false" },
  });
  t.after(() => gateway.destroy());
  const { roles, upkeep, processes } = await statusOf(gateway);
  assert.deepEqual([roles, upkeep, processes.length], [["broker", "consumer"], null, 2]);
  assert.match(
    (await runCommand(["status", "--data", gateway.dataFolder])).stdout,
    /runs in another gateway/,
  );
});

test("of two gateways on a Redis one does the upkeep; the other one takes it over if that one is killed", async (t) => {
  const { gateways } = await startTwoOnRedis(t, { environment });
  const stateOf = async (gateway: GatewayProcess) => (await statusOf(gateway)).upkeep?.state;
  const active = async () => {
    const states = await Promise.all(gateways.all.map(stateOf));
    return states.every((state) => state !== undefined) &&
      states.filter((state) => state !== "standing-by").length === 1
      ? states.findIndex((state) => state !== "standing-by")
      : null;
  };
  await gateways.at(0).until("one of them does it", async () => (await active()) !== null);
  const owner = (await active()) ?? assert.fail();
  const [working, waiting] = [gateways.at(owner), gateways.at(1 - owner)];
  const ownName = (await upkeepOf(working)).lease?.processName;
  assert.equal((await upkeepOf(waiting)).lease?.owner, ownName);
  const lake = fileURLToPath(gateways.lake);
  const left = leaveFile(lake);
  await working.until("it is deleted", () => !existsSync(left));
  assert.match(await waiting.metrics(), /tidegate_upkeep_active\{process="upkeep"\} 0/);
  assert.doesNotMatch(await waiting.metrics(), /tidegate_upkeep_runs_total\{/);

  working.signal("SIGKILL");
  await working.exited();
  await waiting.until("the lease moves", async () => (await stateOf(waiting)) !== "standing-by");
  const again = leaveFile(lake);
  await waiting.until("the other one vacuums", () => !existsSync(again));
  assert.equal((await upkeepOf(waiting)).lease?.owner, (await upkeepOf(waiting)).lease?.processName);
});
