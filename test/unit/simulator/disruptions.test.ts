import assert from "node:assert/strict";
import { test } from "node:test";
import { type Disruption, Disruptions } from "../../../simulator/fleet/disruptions.ts";
import { seededSequence } from "../../../simulator/scenario/seeded-hash.ts";

const connections = 50;

function disruptions() {
  return new Disruptions(
    { disconnect: 0.02, takeover: 0.01, reboot: 0.01 },
    connections,
    seededSequence(7, 1),
  );
}

const count = (due: Iterable<{ kind: Disruption }>, wanted: Disruption) =>
  [...due].filter(({ kind }) => kind === wanted).length;

test("in six seconds, a fleet of 50 has six connections cut, and three each taken over and restarted", () => {
  const due = [...disruptions().due(6_000, () => true)];
  assert.deepEqual(
    (["disconnect", "takeover", "reboot"] as const).map((kind) => count(due, kind)),
    [6, 3, 3],
  );
});

test("a disruption meets an open connection, if there is one", () => {
  const due = [...disruptions().due(10_000, (connection) => connection === 17)];
  assert.equal(due.length, 20);
  assert.deepEqual(new Set(due.map(({ connection }) => connection)), new Set([17]));
});

test("while no connection is open, disruptions stay due: at most one of a kind for each connection", () => {
  const late = disruptions();
  assert.deepEqual([...late.due(6_000, () => false)], []);
  assert.equal(
    count(
      late.due(0, () => true),
      "reboot",
    ),
    3,
  );
  assert.deepEqual([...late.due(3_600_000, () => false)], []);
  assert.equal(
    count(
      late.due(0, () => true),
      "reboot",
    ),
    connections,
  );
});
