import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { kinesisCallFaults, s3CallFaults } from "../../../../../simulator/prove/fault-proxies/call-faults.ts";
import { processTargets } from "../../../../../simulator/prove/strike.ts";
import {
  onlyBlows,
  planStrikes,
  type StruckSystem,
  strikePlan,
} from "../../../../../simulator/prove/strikes/strike-plan.ts";

const registry = "stream-server";
const planOf = (system: Partial<StruckSystem>) =>
  strikePlan({ gateways: 1, servers: {}, registry, isCopied: true, ...system });
const alone = planOf({});

test("a seed names one sequence of strikes, and every four rounds strike each process once with each fault", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0 }), fc.integer({ min: 1, max: 20 }), (seed, fourth) => {
      const strikes = planStrikes(alone, fourth * 4, seed);
      assert.deepEqual(strikes, planStrikes(alone, fourth * 4, seed));
      for (const target of processTargets)
        for (const fault of ["kill", "pause"]) {
          const count = strikes.filter((strike) => strike.target === target && strike.fault === fault).length;
          assert.equal(count, fourth);
        }
    }),
  );
  assert.notDeepEqual(planStrikes(alone, 9, 1), planStrikes(alone, 9, 2));
});

test("with servers every kind of blow is dealt, to both gateways, and nothing is deleted from the stream", () => {
  const servers = { "stream-server": "redis", "window-server": "redis" } as const;
  const plan = planOf({ gateways: 2, servers });
  const strikes = planStrikes(plan, 30, 7);
  assert.equal(strikes.length, 240);
  const kinds = new Set(strikes.map(({ fault, target }) => `${fault} ${target}`));
  const dealt = plan.decks.flat().map(({ fault, target }) => `${fault} ${target}`);
  assert.deepEqual([...kinds].sort(), [...new Set(dealt)].sort());
  assert.ok(!kinds.has("flush stream-server"));
  assert.deepEqual([...new Set(strikes.map(({ gateway }) => gateway))].sort(), [0, 1]);
  const killed = strikes.filter(({ fault, target }) => fault === "kill" && target === "stream-server");
  assert.equal(killed.length, 5);
});

test("an S3 server and a Kinesis are struck with every fault of their calls, and shards are divided and united as often", () => {
  const servers = { "stream-server": "kinesalite", "lake-server": "radosgw" } as const;
  const strikes = planStrikes(planOf({ gateways: 2, servers }), 30, 3);
  const of = (server: string) =>
    new Set(strikes.filter(({ target }) => target === server).map(({ fault }) => fault));
  const connections = ["kill", "pause", "cut", "silence", "down"];
  assert.deepEqual(
    [...of("lake-server")].sort(),
    [...connections, "read-only", ...Object.keys(s3CallFaults)].sort(),
  );
  assert.deepEqual(
    [...of("stream-server")].sort(),
    [...connections, "split", "merge", ...Object.keys(kinesisCallFaults)].sort(),
  );
  const counts = ["split", "merge"].map((kind) => strikes.filter(({ fault }) => fault === kind).length);
  assert.deepEqual(counts, [15, 15]);
  const soon = planStrikes(planOf({ servers }), 2, 4);
  assert.deepEqual(
    ["split", "merge"].filter((kind) => !soon.some(({ fault }) => fault === kind)),
    [],
  );
});

test("30 rounds set clocks, write to tables and change topics, copy the data folder, let processes hang, and make two backlogs", () => {
  const strikes = planStrikes(alone, 30, 5);
  const counts = new Map<string, number>();
  for (const { fault } of strikes) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  const of = (...faults: string[]) => faults.map((fault) => counts.get(fault) ?? 0);
  assert.deepEqual(of("step-forward", "step-back", "spike"), [10, 10, 10]);
  assert.deepEqual(of("foreign-append", "foreign-metadata", "foreign-rewrite"), [10, 10, 10]);
  assert.deepEqual(of("foreign-constraint", "foreign-widening", "foreign-compaction"), [10, 10, 10]);
  assert.deepEqual(of("hostile-payload", "hostile-subscriber"), [15, 15]);
  assert.deepEqual(of("create", "change", "delete", "copy", "backlog", "hang"), [6, 6, 6, 6, 2, 4]);
  const uncopied = planStrikes(planOf({ isCopied: false }), 30, 5);
  assert.ok(!uncopied.some(({ fault }) => fault === "copy"));
});

test("a proof can be limited to kinds of strikes, by fault, by target, or by both", () => {
  const kinds = (...names: string[]) =>
    new Set(
      onlyBlows(alone, names)
        .decks.flat()
        .map(({ fault, target }) => `${fault} ${target}`),
    );
  assert.deepEqual(
    kinds("kill broker", "clock"),
    new Set(["kill broker", "step-forward clock", "step-back clock", "spike clock"]),
  );
  assert.deepEqual(
    kinds("pause"),
    new Set(["pause broker", "pause consumer", "pause supervisor", "pause upkeep"]),
  );
  assert.equal(onlyBlows(alone, ["flush"]).decks.length, 0);
});

test("if the window's server also holds topics and identities, nothing is deleted there", () => {
  const servers = { "stream-server": "kinesalite", "window-server": "redis" } as const;
  const { decks } = planOf({ gateways: 2, servers, registry: "window-server" });
  const faults = decks.flat().flatMap(({ fault, target }) => (target === "window-server" ? [fault] : []));
  assert.deepEqual(faults.toSorted(), ["cut", "full", "kill", "pause", "silence"]);
});
