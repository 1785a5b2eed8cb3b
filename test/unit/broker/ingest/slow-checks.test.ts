import assert from "node:assert/strict";
import { test } from "node:test";
import { networkOf, SlowChecks } from "../../../../broker/ingest/slow-checks.ts";

const bounds = { runningMax: 1, waitingMax: 4, perAddressMax: 3, waitMaxMs: 60_000 };

/** Checks that end when they are told to, with who asked for each in the order of their turns. */
function checks(options: Partial<typeof bounds> = {}) {
  const slow = new SlowChecks({ ...bounds, ...options });
  const begun: string[] = [];
  const outcomes: Record<string, string> = {};
  const gone = new Set<string>();
  const ends: (() => void)[] = [];
  const ask = (who: string, address = who) => {
    const check = async () => {
      begun.push(who);
      await new Promise<void>((resolve) => ends.push(resolve));
      return who;
    };
    void slow
      .run(check, { address, hasLeft: () => gone.has(who) })
      .then(({ outcome }) => Object.assign(outcomes, { [who]: outcome }));
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const endNext = async () => {
    ends.shift()?.();
    await settle();
  };
  return { slow, begun, outcomes, gone, ask, endNext, settle };
}

test("one address holds a bounded number of checks, running and waiting; the rest are told to come back", async () => {
  const { ask, outcomes, begun, endNext, settle } = checks();
  for (const who of ["a1", "a2", "a3", "a4"]) ask(who, "10.0.0.1");
  ask("b1", "10.0.0.2");
  await settle();
  assert.deepEqual(outcomes, { a4: "busy" });
  for (let turn = 0; turn < 4; turn++) await endNext();
  assert.deepEqual(begun, ["a1", "a2", "b1", "a3"], "addresses take turns");
});

test("who comes from an address with few checks gets a place of the address with most", async () => {
  const { ask, outcomes, begun, slow, endNext, settle } = checks({ waitingMax: 3, perAddressMax: 10 });
  for (const who of ["a1", "a2", "a3", "a4"]) ask(who, "10.0.0.1");
  ask("b1");
  await settle();
  assert.deepEqual(outcomes, { a4: "busy" });
  ask("c1");
  await settle();
  assert.deepEqual(outcomes, { a4: "busy", a3: "busy" });
  ask("d1");
  await settle();
  assert.deepEqual(outcomes, { a4: "busy", a3: "busy", d1: "busy" }, "nobody holds more than one");
  assert.equal(slow.waiting, 3);
  for (let turn = 0; turn < 4; turn++) await endNext();
  assert.deepEqual(begun, ["a1", "a2", "b1", "c1"]);
  assert.equal(slow.waiting, 0);
});

test("who has left is not checked, and its place is free for others", async () => {
  const { ask, outcomes, begun, gone, slow, endNext, settle } = checks();
  for (const who of ["a1", "a2", "a3"]) ask(who, "10.0.0.1");
  gone.add("a2");
  ask("a4", "10.0.0.1");
  await settle();
  assert.deepEqual(outcomes, { a2: "left" });
  gone.add("a3");
  await endNext();
  await endNext();
  assert.deepEqual(begun, ["a1", "a4"]);
  assert.deepEqual(outcomes, { a2: "left", a3: "left", a1: "answered", a4: "answered" });
  assert.equal(slow.count, 2);
});

test("who waits too long is told to come back", async () => {
  const { ask, outcomes, slow, endNext } = checks({ waitMaxMs: 5 });
  ask("a1");
  ask("b1");
  while (outcomes["b1"] === undefined) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.deepEqual(outcomes, { b1: "busy" });
  assert.equal(slow.waiting, 0);
  await endNext();
  assert.deepEqual(outcomes, { a1: "answered", b1: "busy" });
});

test("a check that fails gives its place to the next", async () => {
  const slow = new SlowChecks(bounds);
  const asker = { address: "a", hasLeft: () => false };
  const failing = slow.run(() => Promise.reject(new Error("no registry")), asker);
  const next = slow.run(async () => 7, asker);
  await assert.rejects(failing, /no registry/);
  assert.deepEqual(await next, { outcome: "answered", answer: 7 });
});

test("an IPv6 address counts as its /64, a mapped one as the IPv4 address that it is", () => {
  assert.equal(networkOf("10.1.2.3"), "10.1.2.3");
  assert.equal(networkOf("::ffff:10.1.2.3"), "10.1.2.3");
  assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(networkOf("2001:db8:1:2::6"), "2001:db8:1:2::/64");
  assert.equal(networkOf("2001:db8::1"), "2001:db8:0:0::/64");
  assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0::/64");
  assert.equal(networkOf("::1"), "0:0:0:0::/64");
  assert.equal(networkOf(""), "");
});
