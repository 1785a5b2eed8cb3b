import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { decodeEnvelope } from "../../../devices/protocol/telemetry-envelope.ts";
import { jsonDocumentMinBytes } from "../../../simulator/scenario/json-document.ts";
import { MessagePlan } from "../../../simulator/scenario/message-plan.ts";
import type { Scenario } from "../../../simulator/scenario/scenario.ts";
import { newRunId } from "../../../simulator/simulate.ts";
import { scenarioOf } from "./scenario-of.ts";

const startedAtMs = Date.UTC(2026, 10, 22);

function write(plan: MessagePlan, index: number): Buffer {
  // Noise around it shows writes outside the document.
  const bytes = Buffer.alloc(plan.document.bytes + 20, 0xee);
  plan.writeDocument(bytes, 10, index, startedAtMs);
  assert.ok(
    bytes.subarray(0, 10).every((byte) => byte === 0xee) &&
      bytes.subarray(-10).every((byte) => byte === 0xee),
  );
  return bytes.subarray(10, -10);
}

function messageId(plan: MessagePlan, index: number): string {
  const id = Buffer.alloc(plan.names.idBytes);
  plan.names.writeId(id, 0, plan.device(index), plan.sequence(index));
  return id.toString("latin1");
}

function planOf(changes: Partial<Scenario>): MessagePlan {
  return new MessagePlan(scenarioOf({ runId: newRunId(), ...changes }));
}

test("a JSON document is valid, has id and time, and is exactly as long as asked, from the shortest on", () => {
  const idBytes = planOf({}).names.idBytes;
  const minBytes = jsonDocumentMinBytes(idBytes);
  for (let payloadBytes = minBytes; payloadBytes < minBytes + 300; payloadBytes++) {
    const plan = planOf({ payloadBytes });
    for (const index of [0, 1, 99, 512, 999]) {
      const bytes = write(plan, index);
      assert.equal(bytes.length, payloadBytes);
      const content = JSON.parse(bytes.toString("utf8")) as Record<string, unknown>;
      assert.equal(content["id"], messageId(plan, index));
      assert.equal(content["ts"], plan.eventTimeMs(index, startedAtMs));
    }
  }
});

test("an envelope is decoded by the codec, and its payload is JSON of exactly the length that was asked", () => {
  for (let payloadBytes = 1; payloadBytes < 300; payloadBytes++) {
    const plan = planOf({ payloadBytes, format: "envelope" });
    for (const index of [0, 1, 99, 512, 999]) {
      const bytes = write(plan, index);
      const envelope = decodeEnvelope(bytes);
      assert.equal(Buffer.from(envelope.messageId).toString("latin1"), messageId(plan, index));
      assert.equal(envelope.eventTimeMs, plan.eventTimeMs(index, startedAtMs));
      assert.equal(envelope.contentType, "application/json");
      assert.equal(envelope.payload.length, payloadBytes);
      const { payloadStart } = plan.document;
      assert.deepEqual(
        Buffer.from(envelope.payload),
        bytes.subarray(payloadStart, payloadStart + payloadBytes),
      );
      JSON.parse(Buffer.from(envelope.payload).toString("utf8"));
    }
  }
});

test("large documents are valid too", () => {
  for (const format of ["json", "envelope"] as const) {
    const plan = planOf({ payloadBytes: 100_003, format });
    const bytes = write(plan, 3);
    const { payloadStart, payloadBytes } = plan.document;
    const content = JSON.parse(bytes.subarray(payloadStart).toString("utf8")) as { samples: number[] };
    assert.equal(payloadBytes, 100_003);
    assert.ok(
      content.samples.length > 10_000 && content.samples.every((sample) => sample >= 10 && sample < 100),
    );
  }
});

test("times of a dead clock fit as well, in both formats", () => {
  for (const format of ["json", "envelope"] as const) {
    const plan = planOf({ format, faults: { clock: 1 } });
    const years = new Set<number>();
    for (let index = 0; index < 200; index++) {
      const bytes = write(plan, index);
      const ms =
        format === "json" ? JSON.parse(bytes.toString("utf8")).ts : decodeEnvelope(bytes).eventTimeMs;
      assert.equal(ms, plan.eventTimeMs(index, startedAtMs));
      years.add(new Date(ms).getUTCFullYear());
    }
    assert.deepEqual([...years].sort(), [1970, 2100]);
  }
});

test("readings of a device walk: neighbours are closer than strangers, and nothing stands still", () => {
  const plan = planOf({ devices: 10, connections: 1, rate: 10_000 });
  const temperatures = Array.from({ length: 10 }, () => [] as number[]);
  for (let index = 0; index < plan.total; index++)
    temperatures[plan.device(index)]?.push(JSON.parse(write(plan, index).toString("utf8")).temperature);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const steps = temperatures.flatMap((walk) =>
    walk.slice(1).map((value, at) => Math.abs(value - (walk[at] ?? 0))),
  );
  const jumps = temperatures.flatMap((walk) =>
    walk.slice(100).map((value, at) => Math.abs(value - (walk[at] ?? 0))),
  );
  assert.ok(mean(steps) * 3 < mean(jumps), `steps ${mean(steps)}, jumps ${mean(jumps)}`);
  assert.ok(temperatures.every((walk) => new Set(walk).size > 200));
  assert.ok(temperatures.flat().every((value) => value >= 10 && value < 50));
});

test("payloads are neither constant nor noise", () => {
  const plan = planOf({ devices: 1000, connections: 10, rate: 10_000 });
  const all = Buffer.concat(Array.from({ length: 5000 }, (_, index) => write(plan, index)));
  const bytesEach = deflateRawSync(all).length / 5000;
  assert.ok(bytesEach > 12 && bytesEach < 60, `${bytesEach} bytes compressed`);
});

test("ids are at most 64 bytes, begin with the run, are unique, and are read back; other runs' ids are not", () => {
  const runs = [newRunId(), newRunId()].map(
    (runId) => new MessagePlan(scenarioOf({ runId, devices: 1_000_000, durationS: 60, rate: 100_000 })),
  );
  const ids = new Set<string>();
  for (const plan of runs) {
    assert.ok(plan.names.idBytes <= 64);
    fc.assert(
      fc.property(fc.nat({ max: plan.total - 1 }), (index) => {
        const id = Buffer.from(messageId(plan, index), "latin1");
        assert.deepEqual(plan.names.readId(id, 0), {
          device: plan.device(index),
          sequence: plan.sequence(index),
        });
      }),
    );
    for (let index = 0; index < 1000; index++) ids.add(messageId(plan, index));
  }
  assert.equal(ids.size, 2000);
});

test("ids that no message has are not read: foreign characters, too large a device or sequence, torn ends", () => {
  const { names } = planOf({ devices: 100, durationS: 1, rate: 1000 });
  const run = "x".repeat(11);
  assert.deepEqual(names.readId(Buffer.from(`${run}.2r.9`), 0), { device: 99, sequence: 9 });
  for (const id of [`${run}.2s.9`, `${run}.2r.a`, `${run}.2R.9`, `${run}.2r-9`, `${run}.2r.`, `${run}`, ""])
    assert.equal(names.readId(Buffer.from(id), 0), null, id);
});

test("poison cannot be decoded or has no id, keeps its length, and tells the audit whose it is", () => {
  const json = planOf({ faults: { poison: 1 } });
  const kinds = new Set<string | null>();
  for (let index = 0; index < 100; index++) {
    const bytes = write(json, index);
    const kind = json.faults.poison(index);
    kinds.add(kind);
    assert.ok(bytes.includes(messageId(json, index)));
    if (kind === "broken") assert.throws(() => JSON.parse(bytes.toString("utf8")));
    else {
      const { id, ts } = JSON.parse(bytes.toString("utf8"));
      assert.equal(id, kind === "anonymous" ? undefined : messageId(json, index));
      assert.equal(ts, kind === "timeless" ? undefined : json.eventTimeMs(index, startedAtMs));
    }
  }
  assert.deepEqual([...kinds].sort(), ["anonymous", "broken", "timeless"]);
  const envelope = planOf({ faults: { poison: 1 }, format: "envelope" });
  for (let index = 0; index < 100; index++) {
    const bytes = write(envelope, index);
    assert.ok(bytes.includes(messageId(envelope, index)));
    const fault =
      envelope.faults.poison(index) === "broken"
        ? /wire type|index out of range|invalid/
        : /message_id is missing/;
    assert.throws(() => decodeEnvelope(bytes), fault);
  }
});

test("topic names have the device at the filter's place, and text at the other levels", () => {
  const cases: [string, string][] = [
    ["fleet/{device}/telemetry", "fleet/sim-42/telemetry"],
    ["{device}", "sim-42"],
    ["plant/{site}/+/{device}/#", "plant/site-0/sim/sim-42/sim"],
    ["büro/{device}/x", "büro/sim-42/x"],
    ["fleet/telemetry", "fleet/telemetry"],
  ];
  for (const [filter, expected] of cases) {
    const { names } = planOf({ filter });
    assert.equal(names.topicName(42), expected);
    const bytes = Buffer.from(names.topicTemplate);
    names.writeTopicDevice(bytes, 0, 42);
    assert.equal(bytes.toString("utf8"), expected);
  }
});
