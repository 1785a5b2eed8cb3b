import assert from "node:assert/strict";
import { test } from "node:test";
import type { Identity } from "../../../broker/index.ts";
import { Ingress } from "../../../broker/ingress.ts";
import { TopicRules } from "../../../broker/topic-rules.ts";
import { TestTopics, topicRule } from "../../support/test-broker.ts";

const plain = { filters: ["cmd/#"], publishers: ["operator"] };
const device: Identity = { name: "dev1", role: "device", topicPrefixes: [] };
const edge: Identity = { name: "gw", role: "edge", topicPrefixes: ["fleet/"] };

function ingress(topics: TestTopics, identity: Identity | null, clientId = "client") {
  return new Ingress(new TopicRules(topics, plain), { identity, clientId });
}

function verdict(judge: Ingress, topic: string, nowMs = 0) {
  const found = judge.judge({ topic, qos: 1, payload: Buffer.from("x") }, nowMs);
  return found.kind === "refused" ? found.reason : found.kind === "plain" ? "plain" : found.deviceId;
}

test("the device id comes from the identity, the {device} level or the client id, never from the payload", () => {
  const topics = new TestTopics([topicRule(), topicRule({ topicId: "t2", filter: "site/+/alarm" })]);
  assert.equal(verdict(ingress(topics, null), "fleet/a/telemetry"), "a");
  assert.equal(verdict(ingress(topics, null), "site/x/alarm"), "client");
  assert.equal(verdict(ingress(topics, device), "fleet/dev1/telemetry"), "dev1");
  assert.equal(verdict(ingress(topics, device), "site/x/alarm"), "dev1");
  assert.equal(verdict(ingress(topics, device), "fleet/dev2/telemetry"), "device-mismatch");
  assert.equal(verdict(ingress(topics, edge), "fleet/a/telemetry"), "a");
  assert.equal(verdict(ingress(topics, edge), "site/x/alarm"), "not-authorized");
});

test("a change of topics takes effect on names that were judged before", () => {
  const topics = new TestTopics();
  const judge = ingress(topics, null);
  assert.equal(verdict(judge, "fleet/a/telemetry"), "a");
  topics.replace([]);
  assert.equal(verdict(judge, "fleet/a/telemetry"), "unknown-topic");
  topics.replace([topicRule({ publishers: ["other"] })]);
  assert.equal(
    verdict(judge, "fleet/a/telemetry"),
    "a",
    "anonymous clients on loopback may publish anywhere",
  );
  const known = ingress(topics, device);
  assert.equal(verdict(known, "fleet/dev1/telemetry"), "not-authorized");
});

test("the most specific of overlapping filters judges", () => {
  const topics = new TestTopics([
    topicRule({ topicId: "wide", filter: "fleet/#", maxPayloadBytes: 0 }),
    topicRule({ topicId: "narrow" }),
  ]);
  assert.equal(verdict(ingress(topics, null), "fleet/a/telemetry"), "a");
  assert.equal(verdict(ingress(topics, null), "fleet/a/other"), "payload-too-large");
});

test("plain filters are for those who are named", () => {
  const topics = new TestTopics();
  assert.equal(verdict(ingress(topics, null), "cmd/dev1/reboot"), "plain");
  assert.equal(verdict(ingress(topics, device), "cmd/dev1/reboot"), "not-authorized");
  assert.equal(verdict(ingress(topics, { ...device, name: "operator" }), "cmd/dev1/reboot"), "plain");
});

test("names that no matcher should see are refused", () => {
  const judge = ingress(new TestTopics([topicRule({ filter: "#" })]), null);
  for (const name of ["", "a\u0000", "a/+", "#", "\ufffd", "a/".repeat(100)])
    assert.equal(verdict(judge, name), "topic-name-invalid", JSON.stringify(name.slice(0, 10)));
  assert.equal(verdict(judge, "$SYS/broker"), "not-authorized");
});

test("the rate is a second's worth at once and refills with time", () => {
  const judge = ingress(new TestTopics([topicRule({ messagesPerSecond: 2 })]), null);
  const at = (nowMs: number) => verdict(judge, "fleet/a/telemetry", nowMs);
  assert.deepEqual([at(0), at(0), at(0)], ["a", "a", "rate-exceeded"]);
  assert.deepEqual([at(500), at(500)], ["a", "rate-exceeded"]);
  assert.equal(at(100), "rate-exceeded", "a clock that was set back gives nothing");
});
