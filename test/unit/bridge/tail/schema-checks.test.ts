import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BlockMessage } from "../../../../bridge/block/block-format.ts";
import { runWithin } from "../../../../bridge/schemas/run-within.ts";
import { typedColumnsOf } from "../../../../bridge/schemas/typed-columns.ts";
import { MessageJudge } from "../../../../bridge/tail/judge-message.ts";
import { processCpuMs, SchemaChecks } from "../../../../bridge/tail/schema-checks.ts";
import type { TopicVersion } from "../../../../bridge/topics/topic-catalog.ts";
import { topicVersion } from "../../../support/topic-version.ts";

const place = { streamId: "s", partition: 0, position: "p", ingestTimeMs: 9, streamTimeMs: 5, rowTimeMs: 7 };
const object = (properties: object) => ({ type: "object", properties });

function message(payload: string): BlockMessage {
  const bytes = Buffer.from(payload);
  return { topicId: "t1", topicVersion: 1, topicName: "n", deviceId: "d", qos: 1, payload: bytes };
}

/** Judges the payloads together, as of one run of blocks. */
function reasonsOf(
  sent: readonly (readonly [topic: TopicVersion, fields: string])[],
  options: { clock?: { nowMs: number }; cpuMs?: () => number } = {},
): (string | undefined)[] {
  const judge = new MessageJudge();
  const judged = sent.map(([topic, fields], index) =>
    judge.judge(message(`{"id":"${index}","ts":1,${fields}}`), index, topic, place),
  );
  const { clock = { nowMs: 0 }, cpuMs = processCpuMs } = options;
  new SchemaChecks({ elapsedMs: () => clock.nowMs, cpuMs, unexpected: () => {} }).settle(judged);
  assert.ok(judged.every(({ check }) => check === null));
  return judged.map(({ fault }) => fault?.reason);
}

const sound = topicVersion({ topicId: "sound", schema: object({ v: { type: "number" } }) });

describe("a schema that would take for ever", () => {
  test("a pattern that backtracks in 0.1.0 is matched in linear time", () => {
    const text = { type: "string", pattern: "^(a+)+$" };
    const places = [
      [object({ s: text }), `"s":"${"a".repeat(50_000)}!"`],
      [
        { type: "object", patternProperties: { "^(a+)+$": { type: "number" } } },
        `"${"a".repeat(5_000)}!":"x"`,
      ],
      [object({ s: { propertyNames: { pattern: "^(a+)+$" } } }), `"s":{"${"a".repeat(5_000)}!":1}`],
    ] as const;
    const expected = ["schema-violated", undefined, "schema-violated"];
    for (const [index, [schema, fields]] of places.entries())
      assert.deepEqual(reasonsOf([[topicVersion({ schema }), fields]]), [expected[index]]);
  });

  test("uniqueItems on a long array is linear, of scalars as of objects", () => {
    const topic = topicVersion({ schema: object({ l: { type: "array", uniqueItems: true } }) });
    const items = (count: number, item: (index: number) => unknown) =>
      JSON.stringify(Array.from({ length: count }, (_, index) => item(index)));
    const numbers = items(20_000, (index) => index);
    const objects = items(5_000, (index) => ({ a: index, b: [index, "x"] }));
    const cases = [
      [numbers, undefined],
      [objects, undefined],
      [`${numbers.slice(0, -1)},0.0]`, "schema-violated"],
      ['[{"a":1,"b":2},{"b":2,"a":1}]', "schema-violated"],
      ['["1",1,true,null,"true","null",[1],["1"],{"1":1},[[1]],-1]', undefined],
      ["[0,-0]", "schema-violated"],
      ['[{"__proto__":1},{"__proto__":2},{}]', undefined],
    ] as const;
    const beganMs = processCpuMs();
    assert.deepEqual(
      reasonsOf(cases.map(([list]) => [topic, `"l":${list}`] as const)),
      cases.map(([, reason]) => reason),
    );
    assert.ok(processCpuMs() - beganMs < 5_000);
  });

  const doubling = { anyOf: [{ $ref: "#/definitions/n" }, { $ref: "#/definitions/n" }] };
  const branching = topicVersion({
    schema: {
      ...object({ c: doubling }),
      definitions: { n: { type: "object", required: ["x"], properties: { c: doubling } } },
    },
  });
  const deep = `"c":${'{"x":1,"c":'.repeat(60)}1${"}".repeat(60)}`;
  /** 0.1.0 did not refuse it. */
  const backtracking = topicVersion({ schema: object({ s: { type: "string", pattern: "^(?=.)(a+)+$" } }) });
  const slow = `"s":"${"a".repeat(40)}!"`;

  test("branches that multiply with each level cost their message, and no other of the run", () => {
    const sent = [
      [sound, '"v":1'],
      [branching, '"c":{"x":1}'],
      [branching, deep],
      [sound, '"v":"x"'],
      [branching, '"c":{"x":2}'],
      [branching, deep],
      [sound, '"v":2'],
    ] as const;
    const beganMs = processCpuMs();
    const slowReason = "schema-too-slow";
    const expected = [undefined, undefined, slowReason, "schema-violated", undefined, slowReason, undefined];
    assert.deepEqual(reasonsOf(sent), expected);
    assert.ok(processCpuMs() - beganMs < 8_000, "one takes 250 ms of CPU at most, the next one 125");
  });

  test("a pattern of an older topic that backtracks works, and is cut off", () => {
    assert.deepEqual(
      reasonsOf([
        [backtracking, '"s":"aaa"'],
        [backtracking, slow],
        [backtracking, '"s":"b"'],
      ]),
      [undefined, "schema-too-slow", "schema-violated"],
    );
  });

  test("time that a busy machine took does not count: the check is retried", () => {
    let asked = 0;
    // As if the process had slept: hardly any CPU was used in the first two attempts.
    const cpuMs = () => (asked++ < 4 ? 0 : asked * 1000);
    const began = performance.now();
    assert.deepEqual(reasonsOf([[backtracking, slow]], { cpuMs }), ["schema-too-slow"]);
    assert.equal(asked, 6, "three attempts");
    // Timers may be early by less than a millisecond each.
    assert.ok(performance.now() - began >= 250 + 500 + 1000 - 5);
  });

  test("after an interrupted check, the topic's next messages have less time, for a minute", () => {
    const clock = { nowMs: 0 };
    let beganMs = 0;
    const took: number[] = [];
    const cpuMs = () => {
      const now = performance.now();
      if (beganMs > 0) took.push(now - beganMs);
      beganMs = beganMs > 0 ? 0 : now;
      return now * 10;
    };
    reasonsOf(
      Array.from({ length: 8 }, () => [backtracking, slow] as const),
      { clock, cpuMs },
    );
    assert.equal(took.length, 8);
    assert.ok((took[0] ?? 0) > 2 * (took[7] ?? 0), `${took}`);
  });
});

test("a run is interrupted in loops and in regular expressions, and goes on with the next", () => {
  let turns = 0;
  assert.equal(
    runWithin(20, () => {
      for (;;) turns += 1;
    }),
    false,
  );
  assert.equal(
    runWithin(20, () => /^(a+)+$/.test(`${"a".repeat(60)}!`)),
    false,
  );
  assert.ok(turns > 0);
  let done = false;
  assert.equal(
    runWithin(1000, () => {
      done = true;
    }),
    true,
  );
  assert.equal(done, true);
  const thrown = new TypeError("own");
  assert.throws(
    () =>
      runWithin(1000, () => {
        throw thrown;
      }),
    (error) => error === thrown,
  );
});

test("patterns that can't be matched in linear time are refused at creation, at any place of a schema", () => {
  const patterns = [
    object({ s: { type: "string", pattern: "^(?!x)(a+)+$" } }),
    { type: "object", patternProperties: { "(a)\\1": { type: "number" } } },
    {
      type: "object",
      definitions: { a: { propertyNames: { pattern: "(?=a)" } } },
      properties: { b: { $ref: "#/definitions/a" } },
    },
  ];
  for (const schema of patterns)
    assert.throws(() => typedColumnsOf(schema), { code: "TOPIC_SCHEMA_INVALID", message: /linear time/ });
  typedColumnsOf(object({ s: { type: "string", pattern: "^(a+)+$" } }));
});
