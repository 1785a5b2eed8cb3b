import assert from "node:assert/strict";
import { test } from "node:test";
import type { Identity } from "../../../../broker/index.ts";
import { Ingress } from "../../../../broker/ingest/ingress.ts";
import { TopicRules } from "../../../../broker/ingest/topic-rules.ts";
import { TestTopics, topicRule } from "../../../support/test-broker.ts";

const plain = { filters: ["cmd/#"], publishers: ["operator"] };
const operator: Identity = { name: "operator", role: "device", topicPrefixes: [] };
const device: Identity = { name: "dev1", role: "device", topicPrefixes: [] };
const edge: Identity = { name: "gw", role: "edge", topicPrefixes: ["fleet/"] };

function ingress(topics: TestTopics, identity: Identity | null, filters: readonly string[] = plain.filters) {
  return new Ingress(new TopicRules(topics, { ...plain, filters }), { identity, clientId: "client" });
}

function verdict(judge: Ingress, topic: string, nowMs = 0) {
  const found = judge.judge({ topic, qos: 1, payload: Buffer.from("x") }, nowMs);
  return found.kind === "refused" ? found.refusal.code : found.kind === "plain" ? "plain" : found.deviceId;
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
  assert.equal(verdict(ingress(topics, operator), "cmd/dev1/reboot"), "plain");
});

test("a topic that is less specific than a plain filter does not open the plain filter's names to its publishers", () => {
  const topics = new TestTopics([topicRule({ filter: "#" })]);
  assert.equal(verdict(ingress(topics, device), "cmd/dev1/reboot"), "not-authorized");
  assert.equal(verdict(ingress(topics, device), "cmd"), "not-authorized");
  assert.equal(verdict(ingress(topics, operator), "cmd/dev1/reboot"), "plain");
  assert.equal(verdict(ingress(topics, null), "cmd/dev1/reboot"), "plain");
  assert.equal(verdict(ingress(topics, device), "elsewhere"), "dev1");
});

test("a topic that is more specific than a plain filter has its names, also when it is deleted: nobody has them then", () => {
  const topics = new TestTopics();
  const judge = ingress(topics, null, ["fleet/#", "#"]);
  const by = ingress(topics, operator, ["fleet/#", "#"]);
  assert.deepEqual([verdict(judge, "fleet/a/telemetry"), verdict(judge, "fleet/a/other")], ["a", "plain"]);
  topics.replace([]);
  assert.equal(verdict(judge, "fleet/a/telemetry"), "unknown-topic");
  assert.equal(verdict(by, "fleet/operator/telemetry"), "unknown-topic");
  assert.equal(verdict(judge, "fleet/a/other"), "plain");
  topics.replace([topicRule({ filter: "fleet/+/+" })]);
  assert.equal(verdict(judge, "fleet/a/telemetry"), "client", "another topic may have them");
});

test("a topic whose filter was changed leaves its former names to no topic, too", () => {
  const topics = new TestTopics();
  const judge = ingress(topics, null, ["#"]);
  topics.replace([topicRule({ version: 2, filter: "moved/{device}/telemetry" })]);
  assert.equal(verdict(judge, "fleet/a/telemetry"), "unknown-topic");
  assert.equal(verdict(judge, "moved/a/telemetry"), "a");
});

test("a plain filter that equals a topic's has its names only once the topic is deleted", () => {
  const topics = new TestTopics();
  const judge = ingress(topics, null, ["fleet/+/telemetry"]);
  assert.equal(verdict(judge, "fleet/a/telemetry"), "a");
  topics.replace([]);
  assert.equal(verdict(judge, "fleet/a/telemetry"), "plain");
});

test("a deleted topic that is less specific than a plain filter takes nothing from it", () => {
  const topics = new TestTopics([topicRule({ filter: "#" })]);
  const judge = ingress(topics, null);
  topics.replace([]);
  assert.deepEqual(
    [verdict(judge, "cmd/dev1/reboot"), verdict(judge, "elsewhere")],
    ["plain", "unknown-topic"],
  );
});

test("who may subscribe and receive follows who has the names", () => {
  const topics = new TestTopics([topicRule({ filter: "#", subscribers: ["dashboard"] })]);
  const rules = new TopicRules(topics, plain);
  assert.equal(rules.maySubscribe(device, "cmd/dev1/#"), true);
  assert.equal(rules.maySubscribe(device, "cmd/dev2/#"), false);
  assert.equal(rules.maySubscribe(device, "#"), false);
  assert.equal(rules.maySubscribe(device, "other/#"), false);
  assert.deepEqual(
    [rules.mayReceive(device, "cmd/dev1/x"), rules.mayReceive(device, "other/x")],
    [true, false],
  );
  topics.replace([topicRule({ filter: "cmd/{device}/state", subscribers: ["dashboard"] })]);
  assert.equal(rules.maySubscribe(device, "cmd/dev1/#"), false, "some of it is a topic's");
  assert.equal(rules.mayReceive(device, "cmd/dev1/state"), false);
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
