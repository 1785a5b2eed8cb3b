import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeEnvelope } from "../../../devices/protocol/telemetry-envelope.ts";
import { parseFaults } from "../../../simulator/scenario/faults.ts";
import { MessagePlan } from "../../../simulator/scenario/message-plan.ts";
import { siblingFilter } from "../../../simulator/scenario/message-shapes.ts";
import { parseMix } from "../../../simulator/scenario/mix.ts";
import type { Scenario } from "../../../simulator/scenario/scenario.ts";
import { typedColumns, typedValuesOf } from "../../../simulator/scenario/typed-values.ts";
import { scenarioOf } from "./scenario-of.ts";

const startedAtMs = Date.UTC(2026, 10, 28, 12);
const everything = { faults: parseFaults("all"), mix: parseMix("all") } as Pick<Scenario, "faults" | "mix">;

function planOf(changes: Partial<Scenario> = {}): MessagePlan {
  return new MessagePlan(
    scenarioOf({ devices: 20, connections: 4, rate: 1000, durationS: 20, ...everything, ...changes }),
  );
}

function documentOf(plan: MessagePlan, index: number): Buffer {
  const bytes = Buffer.alloc(plan.shape(index).document.bytes);
  plan.writeDocument(bytes, 0, index, startedAtMs);
  return bytes;
}

function shareOf(plan: MessagePlan, is: (index: number) => boolean): number {
  let count = 0;
  for (let index = 0; index < plan.total; index++) if (is(index)) count++;
  return count / plan.total;
}

test("a mix has its shares, and the same seed the same mix, in any order of asking", () => {
  const mix = {
    qos0: 0.2,
    qos2: 0.3,
    typed: 0.2,
    envelope: 0.1,
    raw: 0.1,
    big: 0.01,
    sleepy: 0.05,
    will: 0.05,
  };
  const plan = planOf({ mix, faults: { reused: 0.1, again: 0.1 } });
  const near = (share: number, expected: number) =>
    assert.ok(Math.abs(share - expected) < 0.02, `${share}, not ${expected}`);
  near(
    shareOf(plan, (index) => plan.qos(index) === 0),
    0.2,
  );
  near(
    shareOf(plan, (index) => plan.qos(index) === 2),
    0.3,
  );
  for (const [kind, share] of [
    ["typed", 0.2],
    ["envelope", 0.1],
    ["raw", 0.1],
  ] as const)
    near(
      shareOf(plan, (index) => plan.shape(index).kind === kind),
      share,
    );
  for (const [role, share] of [
    ["big", 0.01],
    ["sleepy", 0.05],
    ["will", 0.05],
  ] as const)
    near(
      shareOf(plan, (index) => plan.role(index) === role),
      share,
    );
  // Some have no earlier message whose id they could have.
  const reused = shareOf(plan, (index) => plan.role(index) === "reused");
  assert.ok(reused > 0.04 && reused < 0.1, String(reused));
  const again = planOf({ mix, faults: { reused: 0.1, again: 0.1 } });
  for (let index = plan.total - 1; index >= 0; index -= 7)
    assert.deepEqual(
      [again.role(index), again.qos(index), again.shape(index).kind, again.roles.againAfter(index)],
      [plan.role(index), plan.qos(index), plan.shape(index).kind, plan.roles.againAfter(index)],
    );
  const persistent = Array.from({ length: 1000 }, (_, connection) =>
    planOf({ mix: { persistent: 0.5 } }).roles.isPersistent(connection),
  );
  assert.ok(Math.abs(persistent.filter(Boolean).length - 500) < 60);
});

test("without a mix everything is plain, as it was before there were any", () => {
  const plan = planOf({ faults: {}, mix: {} });
  assert.equal(plan.roles.isMixed, false);
  for (let index = 0; index < plan.total; index += 11) {
    assert.deepEqual([plan.role(index), plan.qos(index), plan.roles.idIndex(index)], ["plain", 1, index]);
    assert.equal(plan.shape(index).document, plan.document);
    assert.equal(plan.eventTimeUs(index, startedAtMs), plan.eventTimeMs(index, startedAtMs) * 1000);
  }
});

test("a message under the id of another one shares its id and its topic, and nothing else", () => {
  const plan = planOf({ faults: { reused: 0.2, poison: 0.1 } });
  let groups = 0;
  for (let index = 0; index < plan.total; index++) {
    const idIndex = plan.roles.idIndex(index);
    const sharing = [...plan.roles.sharingId(idIndex)];
    assert.ok(sharing.includes(index));
    if (idIndex === index) continue;
    groups++;
    assert.equal(plan.role(index), "reused");
    assert.deepEqual(
      [plan.device(idIndex), plan.role(idIndex), plan.faults.poison(idIndex)],
      [plan.device(index), "plain", null],
    );
    assert.ok(idIndex < index && plan.qos(idIndex) > 0);
    assert.equal(plan.topicName(index), plan.topicName(idIndex));
    assert.notEqual(plan.shape(index).format, "raw");
    assert.deepEqual(plan.messageId(index), plan.messageId(idIndex));
    const [document, other] = [documentOf(plan, index), documentOf(plan, idIndex)];
    assert.notDeepEqual(document, other);
    assert.ok(document.includes(plan.messageId(index)));
  }
  assert.ok(groups > 500);
});

test("a resend repeats an earlier message of the same device, at most a minute old", () => {
  const mix = { ...everything.mix, big: 0.05, sleepy: 0.05, will: 0.05 };
  const plan = planOf({ mix, faults: { again: 0.5, reused: 0.05 } });
  let copies = 0;
  for (let index = 0; index < plan.total; index++) {
    const earlier = plan.roles.againAfter(index);
    if (earlier < 0) continue;
    copies++;
    assert.equal(plan.device(earlier), plan.device(index));
    assert.equal(plan.connection(earlier), plan.connection(index));
    assert.ok(earlier < index && plan.dueMs(index) - plan.dueMs(earlier) < 62_000);
    assert.ok(["plain", "reused"].includes(plan.role(earlier)), `${plan.role(earlier)} is not on a lane`);
  }
  assert.ok(copies > plan.total / 3);
});

/** A value's text in a JSON document, found without the simulator's own code. */
function textOf(document: string, column: string): string {
  return new RegExp(`"${column}":("(?:[^"\\\\]|\\\\.)*"|[^,}]*)`).exec(document)?.[1]?.trimEnd() ?? "";
}

test("documents of every shape are valid, as long as their shape says, and typed ones say what their columns must hold", () => {
  const plan = planOf({ faults: {} });
  const seen = new Map<string, number>();
  for (let index = 0; index < plan.total; index++) {
    const { kind, document } = plan.shape(index);
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    if (kind === "big" && (seen.get(kind) ?? 0) > 3) continue;
    const bytes = documentOf(plan, index);
    assert.equal(bytes.length, document.bytes);
    if (kind === "envelope") {
      assert.equal(decodeEnvelope(bytes).eventTimeMs * 1000, plan.eventTimeUs(index, startedAtMs));
      continue;
    }
    const parsed = JSON.parse(bytes.toString("utf8"));
    assert.equal(parsed.id, plan.messageId(index).toString());
    if (kind !== "typed") {
      assert.equal(parsed.ts * 1000, plan.eventTimeUs(index, startedAtMs));
      assert.equal(plan.typedValues(index), null);
    } else checkTyped(plan, index, bytes.toString("latin1"));
  }
  for (const kind of ["main", "typed", "envelope", "raw", "big"]) assert.ok((seen.get(kind) ?? 0) > 0, kind);
});

function checkTyped(plan: MessagePlan, index: number, document: string): void {
  const values = plan.typedValues(index) ?? assert.fail();
  const time = textOf(document, "ts").slice(1, -1);
  assert.match(time, /\.\d{6}Z$/);
  assert.equal(Date.parse(time) * 1000 + Number(time.slice(-4, -1)), plan.eventTimeUs(index, startedAtMs));
  const whole = textOf(document, "whole");
  assert.equal(values.whole.filed, whole === "null" ? null : BigInt(whole));
  const real = textOf(document, "real");
  assert.ok(Object.is(values.real.filed, real === "null" ? null : JSON.parse(real) + 0));
  assert.equal(values.flag.filed, JSON.parse(textOf(document, "flag")));
  assert.equal(values.label.filed, JSON.parse(textOf(document, "label")));
  const moment = JSON.parse(textOf(document, "moment"));
  if (moment === null) assert.equal(values.moment.filed, null);
  else {
    const fraction = /\.(\d+)/.exec(moment)?.[1] ?? "";
    const wholeSeconds = Date.parse(moment.replace(/\.\d+/, "").toUpperCase());
    assert.equal(
      values.moment.filed,
      BigInt(wholeSeconds) * 1000n + BigInt(fraction.slice(0, 6).padEnd(6, "0")),
    );
  }
}

test("typed values meet both ends of every type, nulls, and both zeros, within their room", () => {
  const texts: Record<string, Set<string>> = {};
  for (let sequence = 0; sequence < 20_000; sequence++) {
    const values = typedValuesOf(3, sequence % 50, sequence);
    for (const column of typedColumns) {
      const ofColumn = texts[column] ?? new Set();
      texts[column] = ofColumn.add(values[column].json);
    }
  }
  for (const [column, needed] of [
    ["whole", ["9223372036854775807", "-9223372036854775808", "9007199254740993", "null", "0"]],
    ["real", ["-0.0", "5e-324", "1.7976931348623157e308", "null"]],
    ["flag", ["true", "false", "null"]],
    ["label", ['""', '"\\ud83d\\ude00"']],
  ] as const)
    for (const text of needed) assert.ok(texts[column]?.has(text), `${column} ${text}`);
  assert.ok([...(texts["moment"] ?? [])].some((text) => /^"1[89]\d\d-.*t.*\.\d{9}\+05:30"$/.test(text)));
  fc.assert(
    fc.property(fc.nat(), fc.nat({ max: 1000 }), fc.nat({ max: 1_000_000 }), (seed, device, sequence) => {
      const plan = planOf({ seed, mix: { typed: 1 }, faults: {} });
      const { document } = plan.shape(0);
      const bytes = Buffer.alloc(document.bytes);
      document.write(bytes, 0, device, sequence, startedAtMs);
      JSON.parse(bytes.toString("utf8"));
      assert.equal(bytes.at(-1), "}".charCodeAt(0));
    }),
    { numRuns: 50 },
  );
});

test("topics of other kinds stand beside the run's own", () => {
  assert.equal(siblingFilter("fleet/{device}/telemetry", "typed"), "fleet/{device}/typed");
  assert.equal(siblingFilter("prove/{device}/{kind}", "raw"), "prove/{device}/raw");
  assert.equal(siblingFilter("plant/{device}", "raw"), "plant/{device}/raw");
  assert.deepEqual(
    planOf().shapes.topics.map(({ filter, format }) => [filter, format]),
    [
      ["fleet/{device}/telemetry", "json"],
      ["fleet/{device}/typed", "json"],
      ["fleet/{device}/envelope", "envelope"],
      ["fleet/{device}/raw", "raw"],
    ],
  );
});

test("a list may name all, with some shares of its own", () => {
  assert.deepEqual(parseMix("all,qos2=0.9"), parseMix("qos2=0.9, all"));
  assert.deepEqual(parseMix("qos2=0.9, all"), { ...(parseMix("all") as object), qos2: 0.9 });
  assert.match(String(parseMix("typed,typed")), /twice/);
});
