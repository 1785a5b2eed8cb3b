import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { type LivePublish, LiveSubscribers } from "../../../../broker/mqtt/live-subscribers.ts";
import { MqttMetrics } from "../../../../broker/mqtt/mqtt-metrics.ts";

function liveSubscribers() {
  const metrics = new MqttMetrics(new Registry(), { connections: () => 0 });
  const published: LivePublish[] = [];
  const live = new LiveSubscribers({ publish: (packet) => published.push(packet), metrics });
  const prepare = (topic: string, payload = Buffer.from("x")) => live.prepare({ topic, payload, qos: 2 });
  return { live, prepare, published };
}

test("only what somebody subscribes to is prepared, from the first subscription to the end of the last", () => {
  const { live, prepare } = liveSubscribers();
  assert.equal(prepare("a/b"), null);
  live.added("a/+");
  live.added("a/+");
  assert.notEqual(prepare("a/b"), null);
  assert.equal(prepare("b/a"), null);
  live.removed("a/+");
  assert.notEqual(prepare("a/b"), null);
  live.removed("a/+");
  assert.equal(prepare("a/b"), null);
  live.removed("a/+");
  live.added("#");
  assert.notEqual(prepare("b/a"), null, "names are judged anew");
  assert.equal(prepare("$SYS/a"), null);
});

test("the payload is copied out of its read chunk, QoS is 1 at most, flags are cleared", () => {
  const { live, prepare, published } = liveSubscribers();
  live.added("#");
  const chunk = Buffer.from("....payload....");
  const publish = prepare("a", chunk.subarray(4, 11));
  chunk.fill(0);
  publish?.();
  const [packet] = published;
  assert.equal(packet?.payload.toString(), "payload");
  assert.deepEqual([packet?.qos, packet?.dup, packet?.retain], [1, false, false]);
});
