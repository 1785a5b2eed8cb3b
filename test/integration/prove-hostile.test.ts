import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { appendEntry } from "../../simulator/prove/foreign/foreign-log.ts";
import { HostileBook } from "../../simulator/prove/hostile/hostile-book.ts";
import { publishHostile } from "../../simulator/prove/hostile/hostile-publisher.ts";
import { hostileRows } from "../../simulator/prove/hostile/hostile-rows.ts";
import { HostileSubscribers } from "../../simulator/prove/hostile/hostile-subscriber.ts";
import { openLakeAccess } from "../../simulator/prove/lake-access.ts";
import { fleetFilter, hostileNames, hostileTopic } from "../../simulator/prove/proof-topics.ts";
import { seededRandom } from "../../simulator/prove/seeded-random.ts";
import type { StatusView } from "../../simulator/prove/under-test/gateway-under-test.ts";
import { statusOf } from "../support/gateway-books.ts";
import { GatewayProcess } from "../support/gateway-process.ts";
import { longestWaitMs } from "../support/until.ts";

/** Topics of a fleet, with the same names and formats. */
async function createTopics(gateway: GatewayProcess): Promise<void> {
  const topics = [
    hostileTopic,
    { name: "sim_json", filter: fleetFilter, format: "json" },
    { name: "sim_typed", filter: hostileNames.typed("{device}"), format: "json" },
    { name: "sim_envelope", filter: hostileNames.envelope("{device}"), format: "envelope" },
    { name: "sim_raw", filter: hostileNames.raw("{device}"), format: "raw" },
  ];
  for (const topic of topics)
    assert.equal((await gateway.api("POST", "/v1/topics", topic)).status, 201, topic.name);
}

test("hostile messages are filed, quarantined or refused, and no process ends; a message that vanishes is found", async (context) => {
  const seed = Number(process.env["SEED"] ?? 1);
  context.diagnostic(`SEED=${seed}`);
  const gateway = await GatewayProcess.start({ environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" } });
  context.after(() => gateway.destroy());
  await createTopics(gateway);
  const pids = [gateway.childPid("broker"), gateway.childPid("consumer")];
  const random = seededRandom(seed);
  const book = new HostileBook();
  const subject = {
    mqttPort: gateway.mqttPort,
    status: async () => (await statusOf(gateway)) as unknown as StatusView,
  };
  const outcome = await publishHostile({ gateway: subject, book, random, strike: 1 });
  assert.deepEqual(outcome.harms, []);
  assert(outcome.acknowledged > 80 && outcome.refused === 7, JSON.stringify(outcome));
  const subscribers = new HostileSubscribers();
  context.after(() => subscribers.end());
  assert.deepEqual((await subscribers.strike({ port: gateway.mqttPort, random })).harms, []);

  const lake = openLakeAccess(`file:${join(gateway.dataFolder, "lake")}`);
  const query = (sql: string) => gateway.query(sql);
  const verdict = async (waitMs: number) => book.verdict(await hostileRows(book, { lake, query, waitMs }));
  const { faults, ...counts } = await verdict(longestWaitMs);
  assert.deepEqual(faults, []);
  assert.equal(counts.filed + counts.quarantined, outcome.acknowledged);
  assert(counts.filed > 0 && counts.quarantined > 0);
  assert.deepEqual([gateway.childPid("broker"), gateway.childPid("consumer")], pids);

  await appendEntry(lake, "_quarantine", async ({ files }) =>
    files.map(({ path }) => ({ remove: { path, dataChange: true, deletionTimestamp: Date.now() } })),
  );
  assert.match(
    (await verdict(0)).faults.join(),
    /^\d+ hostile messages were acknowledged and are in no table/,
  );
});
