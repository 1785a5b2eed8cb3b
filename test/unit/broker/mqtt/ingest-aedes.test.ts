import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Registry } from "prom-client";
import { createIngestAedes } from "../../../../broker/mqtt/aedes/ingest-aedes.ts";
import { PacedWork } from "../../../../broker/mqtt/aedes/paced-work.ts";
import { LiveSubscribers } from "../../../../broker/mqtt/live-subscribers.ts";
import { MqttMetrics } from "../../../../broker/mqtt/mqtt-metrics.ts";
import { TurnCounts } from "../../../support/turn-counts.ts";

type Deliver = (packet: unknown, done: () => void) => void;

interface Subscriptions {
  subscribe(filter: string, deliver: Deliver): void;
  unsubscribe(filter: string, deliver: Deliver, done?: () => void): void;
  publish(packet: object, done: () => void): void;
}

class CountingSubscribers extends LiveSubscribers {
  readonly removals = new TurnCounts();

  override removed(filter: string): void {
    this.removals.count();
    super.removed(filter);
  }
}

async function ingestAedes(t: TestContext, perTurn = 25) {
  const metrics = new MqttMetrics(new Registry(), { connections: () => 0 });
  const live = new CountingSubscribers({ publish: () => {}, metrics });
  const aedes = createIngestAedes({}, live, new PacedWork(perTurn));
  await aedes.listen();
  t.after(() => new Promise<void>((resolve) => aedes.close(resolve)));
  const publish = (topic: string) =>
    new Promise<void>((resolve) =>
      subscriptions.publish({ cmd: "publish", qos: 0, retain: false, topic, payload: "x" }, resolve),
    );
  const subscriptions = aedes as unknown as Subscriptions;
  return { live, subscriptions, publish };
}

const filters = Array.from({ length: 1_000 }, (_, index) => `f/${index}`);

test("filters that end together leave the matchers in turns, and deliver nothing from then on", async (t) => {
  const { live, subscriptions, publish } = await ingestAedes(t);
  const heard: string[] = [];
  const delivers = filters.map(
    (filter): Deliver =>
      (_, done) => {
        heard.push(filter);
        done();
      },
  );
  for (const [index, filter] of filters.entries())
    subscriptions.subscribe(filter, delivers[index] as Deliver);
  await publish("f/999");
  const removed = live.removals.until(filters.length);
  const ended = filters.map(
    (filter, index) =>
      new Promise<void>((resolve) => subscriptions.unsubscribe(filter, delivers[index] as Deliver, resolve)),
  );
  await publish("f/999");
  await Promise.all(ended);
  await publish("f/998");
  assert.deepEqual(heard, ["f/999"]);
  await removed;
  assert(live.removals.most <= 2 * 25, `${live.removals.most} in one turn`);
});

test("who subscribes again before an ended filter has left the matchers is heard, and stays", async (t) => {
  const { live, subscriptions, publish } = await ingestAedes(t, 1);
  const heard: string[] = [];
  const deliver =
    (name: string): Deliver =>
    (_, done) => {
      heard.push(name);
      done();
    };
  const old = [1, 2, 3].map((index) => deliver(`old${index}`));
  for (const each of old) subscriptions.subscribe("f/1", each);
  for (const each of old) subscriptions.unsubscribe("f/1", each);
  subscriptions.subscribe("f/1", deliver("new"));
  await publish("f/1");
  await live.removals.until(3);
  await publish("f/1");
  assert.deepEqual(heard, ["new", "new"]);
});
