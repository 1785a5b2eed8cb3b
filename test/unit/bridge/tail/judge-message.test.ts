import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { detailMaxLength, quarantineReasons } from "../../../../bridge/decoders/quarantine-reason.ts";
import type { TopicVersion } from "../../../../bridge/topics/topic-catalog.ts";
import { encodeEnvelope } from "../../../../devices/protocol/telemetry-envelope.ts";
import { FullJudge } from "../../../support/full-judge.ts";
import { topicVersion } from "../../../support/topic-version.ts";

const ingestTimeMs = Date.UTC(2026, 10, 22);
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const place = { streamId: "s", partition: 1, position: "p", ingestTimeMs, streamTimeMs: 5, rowTimeMs: 7 };

/** Judges by topic, because compiling a schema takes 20 ms. */
const judges = new WeakMap<TopicVersion, FullJudge>();

function judgeOf(topic: TopicVersion): FullJudge {
  const made = judges.get(topic) ?? new FullJudge();
  judges.set(topic, made);
  return made;
}

function judge(payload: Uint8Array | string, topic: TopicVersion = topicVersion()) {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  const { topicId, version: topicVersionNumber } = topic;
  const message = {
    topicId,
    topicVersion: topicVersionNumber,
    topicName: "fleet/d/telemetry",
    deviceId: "d",
    qos: 1 as const,
    payload: bytes,
  };
  return judgeOf(topic).judge(message, 3, topic, place);
}

function judgeJson(value: unknown, topic?: TopicVersion) {
  return judge(JSON.stringify(value), topic);
}

const seenReasons = new Set<string>();

function assertFault(judged: ReturnType<typeof judge>, reason: string, detail: RegExp): void {
  assert.equal(judged.fault?.reason, reason);
  assert.match(judged.fault?.detail ?? "", detail);
  seenReasons.add(reason);
}

describe("json", () => {
  test("an ordinary message becomes a row with its place, its times and its checksum", () => {
    const payload = Buffer.from(`{"id":"a-1","ts":${ingestTimeMs - 5},"x":1}`);
    const { row, fault } = judge(payload);
    assert.equal(fault, null);
    assert.deepEqual(row, {
      deviceId: "d",
      topicName: "fleet/d/telemetry",
      messageId: Buffer.from("a-1"),
      eventTimeMs: ingestTimeMs - 5,
      eventTimeMicros: 0,
      eventTimeOutside: false,
      ingestTimeMs,
      streamTimeMs: 7,
      payload,
      payloadCrc: crc32(payload) | 0,
      streamId: "s",
      partition: 1,
      position: "p",
      index: 3,
    });
  });

  test("id and time may stand at dotted paths", () => {
    const topic = topicVersion({ idPath: "meta.id", timePath: "meta.at.0" });
    const { row, fault } = judgeJson({ meta: { id: "x", at: [ingestTimeMs] } }, topic);
    assert.equal(fault, null);
    assert.deepEqual([String(row.messageId), row.eventTimeMs], ["x", ingestTimeMs]);
  });

  test("a whole number is an id by its decimal text", () => {
    assert.equal(String(judgeJson({ id: 120, ts: 0 }).row.messageId), "120");
    assert.equal(String(judgeJson({ id: -1, ts: 0 }).row.messageId), "-1");
  });

  test("64 bytes of UTF-8 are an id, 65 are not", () => {
    const longest = "é".repeat(32);
    assert.equal(judgeJson({ id: longest, ts: 0 }).row.messageId?.length, 64);
    const judged = judgeJson({ id: `${longest}x`, ts: 0 });
    assertFault(judged, "id-too-long", /id has 65 bytes, at most 64/);
    assert.equal(judged.row.messageId, null);
  });

  test("a missing id, and values that can't be one", () => {
    assertFault(judgeJson({ ts: 0 }), "id-missing", /nothing at id/);
    assertFault(judgeJson({ id: null, ts: 0 }), "id-missing", /nothing at id/);
    assertFault(judgeJson(7), "id-missing", /nothing at id/);
    assertFault(judgeJson(null), "id-missing", /nothing at id/);
    assertFault(judgeJson({ id: "", ts: 0 }), "id-unreadable", /empty/);
    assertFault(judgeJson({ id: true, ts: 0 }), "id-unreadable", /neither a string nor/);
    assertFault(judgeJson({ id: 1.5, ts: 0 }), "id-unreadable", /whole number/);
    assertFault(judge('{"id":"\\ud800","ts":0}'), "id-unreadable", /surrogate/);
    assertFault(judgeJson({ ts: 0 }, topicVersion({ idPath: "toString" })), "id-missing", /toString/);
  });

  test("payloads that are not JSON, or not UTF-8", () => {
    assertFault(judge('{"id":"a"'), "payload-undecodable", /not JSON/);
    assertFault(judge(""), "payload-undecodable", /not JSON/);
    assertFault(judge(Buffer.from([0x22, 0xff, 0x22])), "payload-undecodable", /not UTF-8/);
    const replacement = judge(`{"id":"\uFFFD","ts":0}`);
    assert.equal(replacement.fault, null, "a genuine replacement character is text like any other");
  });

  test("ISO times with a zone, numbers in ms, both to the microsecond", () => {
    const at = (ts: unknown) => judgeJson({ id: "a", ts });
    const timeOf = (ts: unknown) => [at(ts).row.eventTimeMs, at(ts).row.eventTimeMicros];
    assert.deepEqual(timeOf("2026-11-22T01:00:00+01:00"), [ingestTimeMs, 0]);
    assert.deepEqual(timeOf("2026-11-22T00:00:00.123456Z"), [ingestTimeMs + 123, 456]);
    assert.deepEqual(timeOf(ingestTimeMs + 0.75), [ingestTimeMs, 750]);
    for (const unreadable of [
      "2026-11-22T00:00:00",
      "yesterday",
      "2026-02-31",
      "",
      true,
      {},
      "1700000000000",
    ])
      assertFault(at(unreadable), "event-time-unreadable", /neither ms since the epoch nor/);
    for (const unfileable of [1e300, -1e15, 253_402_300_800_000])
      assertFault(at(unfileable), "event-time-unreadable", /years 1 to 9999/);
    assertFault(judgeJson({ id: "a" }), "event-time-unreadable", /nothing at ts/);
  });

  test("an unreadable event time leaves a readable id, and the ingest time as event time", () => {
    const { row } = judgeJson({ id: "a", ts: "soon" });
    assert.deepEqual(
      [String(row.messageId), row.eventTimeMs, row.eventTimeOutside],
      ["a", ingestTimeMs, true],
    );
  });

  test("1970 and 2100 are filed with a flag; the bounds are 7 days before and 1 hour after stream time", () => {
    const flagOf = (ts: number) => {
      const { row, fault } = judgeJson({ id: "a", ts });
      assert.equal(fault, null);
      assert.equal(row.eventTimeMs, ts, "the device's time is kept as it is");
      return row.eventTimeOutside;
    };
    assert.equal(flagOf(0), true);
    assert.equal(flagOf(Date.UTC(2100, 0)), true);
    assert.equal(flagOf(ingestTimeMs - 7 * dayMs), false);
    assert.equal(flagOf(ingestTimeMs - 7 * dayMs - 1), true);
    assert.equal(flagOf(ingestTimeMs + hourMs), false);
    assert.equal(flagOf(ingestTimeMs + hourMs + 1), true);
    assert.equal(judgeJson({ id: "a", ts: ingestTimeMs + hourMs + 0.001 }).row.eventTimeOutside, true);
  });
});

describe("envelope", () => {
  const topic = topicVersion({ format: "envelope" });
  const envelope = {
    messageId: Buffer.from([0, 255]),
    eventTimeMs: ingestTimeMs,
    contentType: "",
    payload: Buffer.from("inner"),
  };

  test("the inner payload is filed, under the envelope's id and time", () => {
    const { row, fault } = judge(encodeEnvelope(envelope), topic);
    assert.equal(fault, null);
    assert.deepEqual([...(row.messageId ?? [])], [0, 255]);
    assert.equal(Buffer.from(row.payload).toString(), "inner");
    assert.equal(row.payloadCrc, crc32("inner") | 0);
    assert.equal(row.eventTimeMs, ingestTimeMs);
  });

  test("bytes that are no envelope, or one without an id", () => {
    assertFault(judge(Buffer.from([0xff]), topic), "payload-undecodable", /./);
    assertFault(judge(new Uint8Array(0), topic), "id-missing", /message_id is missing/);
    const long = Buffer.from([0x0a, 65, ...Array<number>(65).fill(1)]);
    assertFault(judge(long, topic), "id-too-long", /65 bytes/);
    const { row } = judge(Buffer.from([0xff]), topic);
    assert.deepEqual([row.messageId, [...row.payload]], [null, [0xff]], "kept as it was received");
  });

  test("a time outside the years 1 to 9999 is unreadable, the id is not", () => {
    const judged = judge(encodeEnvelope({ ...envelope, eventTimeMs: 8.64e15 }), topic);
    assertFault(judged, "event-time-unreadable", /1 to 9999/);
    assert.equal(judged.row.messageId?.length, 2);
    const huge = Buffer.from([0x0a, 2, 0, 255, 0x10, ...Array<number>(8).fill(0xff), 0x7f]);
    const beyond = judge(huge, topic);
    assertFault(beyond, "event-time-unreadable", /event_time_ms is/);
    assert.deepEqual([...(beyond.row.messageId ?? [])], [0, 255], "a resend of it is a duplicate");
  });

  test("a schema speaks about the inner payload", () => {
    const schema = { type: "object", properties: { t: { type: "number" } } };
    const typed = { ...topic, schema, columns: [{ name: "t", type: "double" as const }] };
    const good = judge(encodeEnvelope({ ...envelope, payload: Buffer.from('{"t":1.5}') }), typed);
    assert.deepEqual([good.fault, good.values], [null, [1.5]]);
    const bad = judge(encodeEnvelope(envelope), typed);
    assertFault(bad, "payload-undecodable", /not JSON/);
    assert.equal(bad.row.messageId?.length, 2, "the id is readable all the same");
  });
});

test("raw: no id, no judgement, filed under its ingest time without a flag", () => {
  const { row, fault } = judge(Buffer.from([1, 2]), topicVersion({ format: "raw" }));
  assert.equal(fault, null);
  assert.deepEqual([row.messageId, row.eventTimeMs, row.eventTimeOutside], [null, ingestTimeMs, false]);
});

describe("schema", () => {
  const schema = {
    type: "object",
    required: ["t"],
    properties: {
      t: { type: "number" },
      n: { type: ["integer", "null"] },
      at: { type: "string", format: "date-time" },
    },
  };
  const columns = [
    { name: "t", type: "double" as const },
    { name: "n", type: "long" as const },
    { name: "at", type: "timestamp" as const },
  ];
  const topic = topicVersion({ schema, columns });
  const typed = (more: object) => judgeJson({ id: "a", ts: ingestTimeMs, ...more }, topic);

  test("columns are read in their order, missing ones are null", () => {
    assert.deepEqual(typed({ t: 1, n: 2, at: "2026-11-22T00:00:00Z" }).values, [1, 2, ingestTimeMs * 1000]);
    assert.deepEqual(typed({ t: 1, n: null }).values, [1, null, null]);
  });

  test("a violation names the field", () => {
    assertFault(typed({ t: "hot" }), "schema-violated", /\/t must be number/);
    assertFault(typed({}), "schema-violated", /must have required property 't'/);
    assertFault(typed({ t: 1, at: "noon" }), "schema-violated", /\/at must match format/);
    assertFault(typed({ t: 1, n: 2 ** 63 }), "schema-violated", /^\/n does not fit a column of type long/);
    assert.equal(String(typed({}).row.messageId), "a");
  });

  test("a schema that does not compile quarantines its messages, so that the partition continues", () => {
    const broken = topicVersion({ schema: { type: "no such type" } });
    assertFault(judgeJson({ id: "a", ts: 0 }, broken), "schema-unusable", /can't be used/);
  });

  test("so does one of 0.1.0 whose column every table has by now, as no row of it could be written", () => {
    for (const name of ["_stream_time", "_Stream_Time"]) {
      const schema = { type: "object", properties: { [name]: { type: "integer" } } };
      const taken = topicVersion({ schema, columns: [{ name, type: "long" }] });
      const fault = /^the property _\w+ has the name of a column that every table has: delete the topic/;
      assertFault(judgeJson({ id: "a", ts: 0, [name]: 1 }, taken), "schema-unusable", fault);
    }
  });

  test("two versions may carry the same $id", () => {
    const first = topicVersion({ schema: { $id: "https://example.org/reading", type: "object" } });
    const judgeBoth = new FullJudge();
    const message = {
      topicId: "t1",
      topicVersion: 1,
      topicName: "",
      deviceId: "",
      qos: 0 as const,
      payload: Buffer.from('{"id":1,"ts":1}'),
    };
    assert.equal(judgeBoth.judge(message, 0, first, place).fault, null);
    assert.equal(judgeBoth.judge(message, 0, { ...first, version: 2 }, place).fault, null);
  });
});

describe("documents that are nested deeply", () => {
  const nested = (levels: number) => `${'{"c":'.repeat(levels)}1${"}".repeat(levels)}`;
  const message = (levels: number) => `{"id":"a","ts":${ingestTimeMs},"c":${nested(levels - 1)}}`;
  const recursive = topicVersion({ schema: { type: "object", properties: { c: { $ref: "#" } } } });
  const quantified = topicVersion({ schema: { type: "object", properties: { c: { uniqueItems: true } } } });

  test("10,000 levels are quarantined, whatever the topic's schema does with them; the id is readable", () => {
    for (const topic of [recursive, quantified, topicVersion()]) {
      const judged = judge(message(10_000), topic);
      assertFault(judged, "payload-too-deep", /more than 128 deep/);
      assert.equal(String(judged.row.messageId), "a");
    }
    const lists = `{"id":"a","ts":1,"c":[${"[".repeat(9_999)}${"]".repeat(9_999)},[]]}`;
    assertFault(judge(lists, quantified), "payload-too-deep", /128/);
    const envelope = topicVersion({ format: "envelope", schema: { type: "object" } });
    const payload = Buffer.from(nested(10_000));
    const inner = { messageId: Buffer.from("e"), eventTimeMs: ingestTimeMs, contentType: "", payload };
    assertFault(judge(encodeEnvelope(inner), envelope), "payload-too-deep", /128/);
  });

  test("128 levels are filed, 129 are not; brackets in strings do not count", () => {
    for (const topic of [recursive, topicVersion()]) {
      assert.equal(
        judge(message(127), topic).fault?.reason,
        topic === recursive ? "schema-violated" : undefined,
      );
      assert.equal(judge(message(128)).fault, null);
      assertFault(judge(message(129), topic), "payload-too-deep", /128/);
      const text = JSON.stringify({ id: "a", ts: ingestTimeMs, t: `"${"[{".repeat(500)}\\` });
      assert.equal(judge(text, topic).fault, null);
    }
  });
});

describe("an unexpected fault of the judge costs one message", () => {
  test("names of JavaScript's own methods in a document are names like any other", () => {
    const hostile = ["valueOf", "toString", "constructor", "hasOwnProperty", "__proto__", "length", "then"];
    const schema = {
      type: "object",
      properties: { o: { enum: [{ x: 1 }, [1]] }, c: { const: { x: 1 } }, u: { uniqueItems: true } },
    };
    const topic = topicVersion({ schema });
    for (const name of hostile)
      for (const at of ["o", "c"]) {
        const judged = judge(`{"id":"a","ts":1,"${at}":{"${name}":1}}`, topic);
        assertFault(judged, "schema-violated", new RegExp(`^/${at} must be equal`));
      }
    for (const name of hostile)
      assert.equal(judge(`{"id":"a","ts":1,"u":[{"${name}":1},{"${name}":2}]}`, topic).fault, null);
  });

  test("a fault of Tidegate is logged with its stack, and the message is quarantined with its id", () => {
    const columns = {
      [Symbol.iterator]: () => {
        throw new RangeError("Maximum call stack size exceeded");
      },
    } as never;
    const topic = topicVersion({ schema: { type: "object" }, columns });
    const met: unknown[] = [];
    const faulty = new FullJudge((error, of) => met.push(error, of));
    const message = {
      topicId: "t1",
      topicVersion: 1,
      topicName: "n",
      deviceId: "d",
      qos: 1 as const,
      payload: Buffer.from('{"id":"a","ts":1}'),
    };
    const judged = faulty.judge(message, 0, topic, place);
    assertFault(judged, "judging-failed", /Maximum call stack/);
    assert.deepEqual([String(judged.row.messageId), judged.row.eventTimeMs], ["a", 1]);
    assert.ok(met[0] instanceof RangeError);
    assert.equal(met[1], topic);
  });
});

test("long details are cut", () => {
  const schema = { type: "object", required: ["x".repeat(5000)] };
  const { fault } = judgeJson({ id: "a", ts: 0 }, topicVersion({ schema }));
  assert.equal(fault?.detail.length, detailMaxLength);
});

test("no payload whatever makes the judge throw", () => {
  const topics = (["json", "envelope", "raw"] as const).map((format) =>
    topicVersion({ format, schema: { type: "object" } }),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (payload) => {
        for (const topic of topics) {
          const { row } = judge(payload, topic);
          assert.ok(Number.isSafeInteger(row.eventTimeMs) && Number.isInteger(row.eventTimeMicros));
          assert.ok(row.messageId === null || (row.messageId.length > 0 && row.messageId.length <= 64));
        }
      },
    ),
  );
});

test("every reason but those of look-ups, of time and of files was seen here", () => {
  assert.deepEqual(
    [...quarantineReasons].filter((reason) => !seenReasons.has(reason)),
    ["schema-too-slow", "filing-failed", "id-reused", "exact-unsure"],
  );
});
