import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MessagePlan } from "../../../simulator/scenario/message-plan.ts";
import { scenarioOf } from "./scenario-of.ts";

const startedAtMs = Date.UTC(2026, 10, 22);

function documentOf(plan: MessagePlan, index: number): string {
  const bytes = Buffer.alloc(plan.document.bytes);
  plan.writeDocument(bytes, 0, index, startedAtMs);
  return bytes.toString("hex");
}

/** Connections and bursts that the command line would take for so many devices. */
function fitting(shape: { devices: number; connections: number; burst: number }): {
  connections: number;
  burst: number;
} {
  const connections = Math.min(shape.connections, shape.devices);
  return { connections, burst: Math.min(shape.burst, Math.floor(shape.devices / connections)) };
}

const shapes = fc.record({
  seed: fc.nat(),
  devices: fc.integer({ min: 1, max: 300 }),
  connections: fc.integer({ min: 1, max: 40 }),
  burst: fc.integer({ min: 1, max: 12 }),
  rate: fc.double({ min: 0.5, max: 50_000, noNaN: true }),
  durationS: fc.double({ min: 0.01, max: 2, noNaN: true }),
});

test("equal seeds publish the same at the same times, other seeds do not", () => {
  const changes = { faults: { poison: 0.1, late: 0.1, clock: 0.1, duplicate: 0.1 } };
  const [first, again, other] = [7, 7, 8].map((seed) => new MessagePlan(scenarioOf({ ...changes, seed })));
  assert.ok(first && again && other);
  let differences = 0;
  for (let index = 0; index < first.total; index++) {
    assert.equal(documentOf(first, index), documentOf(again, index));
    assert.equal(first.dueMs(index), again.dueMs(index));
    if (documentOf(first, index) !== documentOf(other, index)) differences++;
  }
  assert.equal(differences, first.total);
});

test("a message does not depend on the ones before it", () => {
  const forward = new MessagePlan(scenarioOf());
  const backward = new MessagePlan(scenarioOf());
  const documents = Array.from({ length: forward.total }, (_, index) => documentOf(forward, index));
  for (let index = forward.total - 1; index >= 0; index--)
    assert.equal(documentOf(backward, index), documents[index]);
});

test("messages fall due in order, at the rate, and dueCount says how many are due", () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const plan = new MessagePlan(scenarioOf({ ...shape, ...fitting(shape) }));
      const sample = Math.min(plan.total, 2000);
      for (let index = 0; index < sample; index++) {
        const dueMs = plan.dueMs(index);
        const turnMs = 1000 / shape.rate;
        assert.ok(dueMs >= index * turnMs && dueMs < (index + 1) * turnMs * (1 + 1e-12));
        assert.equal(plan.dueCount(dueMs), index + 1);
      }
      assert.equal(plan.dueCount(-1), 0);
      assert.equal(plan.dueCount(Number.MAX_SAFE_INTEGER), plan.total);
    }),
    { numRuns: 50 },
  );
});

test("every device has its turn once a round, always on the same connection", () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const plan = new MessagePlan(scenarioOf({ ...shape, ...fitting(shape) }));
      const home = new Map<number, number>();
      const seen = new Set<string>();
      for (let index = 0; index < Math.min(plan.total, 3000); index++) {
        const device = plan.device(index);
        const connection = plan.connection(index);
        assert.equal(home.get(device) ?? connection, connection);
        home.set(device, connection);
        const turn = `${device}/${plan.sequence(index)}`;
        assert.ok(!seen.has(turn));
        seen.add(turn);
      }
    }),
    { numRuns: 50 },
  );
});

test("each connection walks through all of its messages, and through no others", () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const { connections, burst } = fitting(shape);
      const plan = new MessagePlan(
        scenarioOf({ ...shape, rate: Math.min(shape.rate, 1000), connections, burst }),
      );
      let walked = 0;
      for (let connection = 0; connection < connections; connection++) {
        for (let index = plan.first(connection); index < plan.total; index = plan.next(index)) {
          assert.equal(plan.connection(index), connection);
          assert.ok(plan.next(index) > index);
          walked++;
        }
      }
      assert.equal(walked, plan.total);
    }),
    { numRuns: 50 },
  );
});

test("slots say which index a device's message has", () => {
  const plan = new MessagePlan(scenarioOf());
  const slots = plan.slots();
  for (let index = 0; index < plan.total; index++)
    assert.equal(plan.sequence(index) * plan.devices + (slots[plan.device(index)] ?? -1), index);
});

test("event times are the schedule's to the ms, but for the faults that change them", () => {
  const honest = new MessagePlan(scenarioOf());
  const faulty = new MessagePlan(scenarioOf({ durationS: 10, faults: { late: 0.05, clock: 0.02 } }));
  let late = 0;
  let clock = 0;
  for (let index = 0; index < faulty.total; index++) {
    const trueMs = startedAtMs + Math.floor(faulty.dueMs(index));
    if (index < honest.total) assert.equal(honest.eventTimeMs(index, startedAtMs), trueMs);
    const ms = faulty.eventTimeMs(index, startedAtMs);
    assert.ok(Number.isInteger(ms));
    if (ms < Date.UTC(1970, 0, 2) || ms >= Date.UTC(2100, 0)) clock++;
    else if (ms !== trueMs) {
      late++;
      assert.ok(trueMs - ms >= 3_600_000 && trueMs - ms <= 6 * 86_400_000);
    }
  }
  // 10,000 messages: the expected counts are 500 and 200, and 5 standard deviations are 110 and 70.
  assert.ok(Math.abs(late - 490) < 110 && Math.abs(clock - 200) < 70, `${late} late, ${clock} clock`);
});

test("a connection publishes a burst back to back", () => {
  const plan = new MessagePlan(scenarioOf({ burst: 4, connections: 10 }));
  const connections = Array.from({ length: 200 }, (_, index) => plan.connection(index));
  assert.deepEqual(connections.slice(0, 9), [0, 0, 0, 0, 1, 1, 1, 1, 2]);
  assert.deepEqual(connections.slice(100), connections.slice(0, 100));
});
