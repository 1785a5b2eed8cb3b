import assert from "node:assert/strict";
import { test } from "node:test";
import { contentHashOf, ReceivedIdsOfSessions } from "../../../../broker/mqtt/received-ids.ts";

test("QoS 2 state: a clean session begins empty, a persistent one goes on without what was only held", () => {
  const sessions = new ReceivedIdsOfSessions({ sessionsMax: 2 });
  const first = sessions.open("a", false);
  assert.equal(sessions.isResumed("a"), false);
  first.hold(1, "one");
  first.settle(first.hold(2, "two"), true);
  const second = sessions.open("a", false);
  assert.equal(sessions.isResumed("a"), true);
  second.dropHeld();
  assert.equal(second.state(1), undefined);
  assert.equal(second.state(2), "stored");
  assert.equal(sessions.open("a", true).size, 0);
  const again = sessions.open("a", false);
  assert.equal(again.size, 0);
  assert.equal(sessions.isResumed("a"), false);
  again.settle(again.hold(3, "three"), true);
  sessions.open("b", false);
  sessions.open("c", false);
  assert.equal(sessions.open("a", false).size, 0, "the oldest of too many sessions is forgotten");
  assert.equal(sessions.isResumed("a"), false, "and not announced");
});

test("QoS 2 state: an identifier with other content is that of another message, and its receipt goes", () => {
  const ids = new ReceivedIdsOfSessions({ sessionsMax: 1 }).open("a", false);
  const first = contentHashOf({ topic: "t", payload: Buffer.from("m1") });
  const second = contentHashOf({ topic: "t", payload: Buffer.from("m2") });
  ids.settle(ids.hold(5, first), true);
  assert.deepEqual(
    [ids.stateOf(5, first), ids.stateOf(5, second), ids.state(5)],
    ["stored", undefined, "stored"],
  );
  const late = ids.hold(5, second);
  assert.deepEqual([ids.stateOf(5, first), ids.stateOf(5, second), ids.size], [undefined, "held", 1]);
  ids.settle(late, true);
  assert.equal(ids.stateOf(5, second), "stored");
});

test("QoS 2 state: the content is topic name and payload, and where one ends counts", () => {
  const hashes = [
    { topic: "ab", payload: "c" },
    { topic: "a", payload: "bc" },
    { topic: "abc", payload: "" },
    { topic: "ab", payload: "d" },
  ].map(({ topic, payload }) => contentHashOf({ topic, payload: Buffer.from(payload) }));
  assert.equal(new Set(hashes).size, hashes.length);
  assert.ok(hashes.every((hash) => Buffer.from(hash, "base64").length === 32));
});

test("QoS 2 state: a message that is settled late says nothing of the one that has its identifier by then", () => {
  const ids = new ReceivedIdsOfSessions({ sessionsMax: 1 }).open("a", false);
  const late = ids.hold(5, "late");
  ids.dropHeld();
  const fresh = ids.hold(5, "fresh");
  ids.settle(late, true);
  assert.equal(ids.state(5), "held");
  ids.settle(late, false);
  assert.equal(ids.state(5), "held");
  ids.settle(fresh, true);
  assert.equal(ids.state(5), "stored");
  ids.release(5);
  assert.equal(ids.state(5), undefined);
});
