import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Registry } from "prom-client";
import { PacedWork } from "../../../../broker/mqtt/aedes/paced-work.ts";
import { SessionQueues } from "../../../../broker/mqtt/aedes/session-queues.ts";
import { SessionSubscriptions } from "../../../../broker/mqtt/aedes/session-subscriptions.ts";
import { LiveSubscribers } from "../../../../broker/mqtt/live-subscribers.ts";
import { MqttMetrics } from "../../../../broker/mqtt/mqtt-metrics.ts";
import { TurnCounts } from "../../../support/turn-counts.ts";

const perTurn = 25;
const client = { id: "a" };
const filters = Array.from({ length: 100 }, (_, index) => `f/${index}`);

class CountingSubscribers extends LiveSubscribers {
  readonly removals = new TurnCounts();

  override removed(filter: string): void {
    this.removals.count();
    super.removed(filter);
  }
}

function sessionSubscriptions() {
  const metrics = new MqttMetrics(new Registry(), { connections: () => 0 });
  const live = new CountingSubscribers({ publish: () => {}, metrics });
  const { persistence } = new SessionQueues({ messagesMax: 10, bytesMax: 100, retainedMax: 2 }, metrics);
  let granted = { topic: "", qos: 1 };
  const subscriptions = new SessionSubscriptions(persistence, {
    live,
    granted: () => granted,
    isResumed: () => false,
    removals: new PacedWork(perTurn),
    sessionsMax: 2,
  });
  const add = (id: string, topic: string) => {
    granted = { topic, qos: 1 };
    return persistence.addSubscriptions({ id }, []);
  };
  const kept = async (id = client.id) => {
    const found = await persistence.subscriptionsByClient({ id });
    return found.map((subscription) => (subscription as { topic: string }).topic);
  };
  return { subscriptions, persistence, live, add, kept };
}

test("there is room for a bounded number of sessions with subscriptions", async () => {
  const { subscriptions, persistence, add } = sessionSubscriptions();
  await add("a", "t");
  await add("b", "t");
  assert.deepEqual([subscriptions.hasRoom("a"), subscriptions.hasRoom("c")], [true, false]);
  await persistence.removeSubscriptions({ id: "a" }, ["t"]);
  assert.equal(subscriptions.hasRoom("c"), true);
  await add("c", "t");
  await persistence.cleanSubscriptions({ id: "c" });
  assert.equal(subscriptions.hasRoom("d"), true);
});

for (const [how, remove] of [
  ["removed", (store: SessionQueues["persistence"]) => store.removeSubscriptions(client, filters)],
  ["cleaned", (store: SessionQueues["persistence"]) => store.cleanSubscriptions(client)],
] as const)
  test(`filters of a session are ${how} in turns, and count until then`, async () => {
    const { subscriptions, persistence, live, add, kept } = sessionSubscriptions();
    for (const filter of filters) await add("a", filter);
    assert.equal(subscriptions.filterCount, filters.length);
    await Promise.all([live.removals.until(filters.length), remove(persistence)]);
    assert(live.removals.most <= 2 * perTurn, `${live.removals.most} in one turn`);
    assert.equal(subscriptions.filterCount, 0);
    assert.deepEqual(await kept(), []);
    assert.deepEqual(await persistence.subscriptionsByClient(client), []);
  });

test("a client that comes back while its filters are removed finds the others, and keeps new ones", async () => {
  const { subscriptions, persistence, add, kept } = sessionSubscriptions();
  for (const filter of filters) await add("a", filter);
  void persistence.removeSubscriptions(client, filters.slice(0, 90));
  assert.deepEqual(await kept(), filters.slice(90));
  void persistence.cleanSubscriptions(client);
  await add("a", "f/0");
  assert.deepEqual(await kept(), ["f/0"]);
  assert.deepEqual([subscriptions.filterCount, subscriptions.has("a", "f/0")], [1, true]);
});

test("the removals of one client delay no other client", async () => {
  const { persistence, add, kept } = sessionSubscriptions();
  for (const filter of filters) await add("a", filter);
  await add("b", "f/0");
  void persistence.cleanSubscriptions(client);
  assert.deepEqual(await kept("b"), ["f/0"]);
  assert((await Promise.race([persistence.cleanSubscriptions(client), turn("waits")])) === "waits");
});
