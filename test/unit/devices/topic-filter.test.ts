import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../../devices/protocol/protocol-error.ts";
import {
  checkTopicName,
  compareSpecificity,
  filterCovers,
  filtersOverlap,
  matchTopicFilter,
  parseSubscriptionFilter,
  parseTopicFilter,
} from "../../../devices/protocol/topic-filter.ts";
import { TopicMatcher } from "../../../devices/protocol/topic-matcher.ts";

const levelTexts = ["a", "b", "", "$s"];
const filterText = fc
  .tuple(
    fc.array(fc.constantFrom("a", "b", "", "+", "{x}", "$s"), { minLength: 1, maxLength: 4 }),
    fc.boolean(),
  )
  .map(([levels, rest]) => {
    let names = 0;
    const named = levels.map((level) => (level === "{x}" ? `{x${names++}}` : level));
    return [...named, ...(rest ? ["#"] : [])].join("/");
  })
  .filter((text) => text !== "");

/** Every name of up to 5 levels over the alphabet of the filters, plus a level that no filter spells out. */
const topicNames = (function* names(): Generator<string> {
  const alphabet = [...levelTexts, "zz"];
  let longest = alphabet.map((level) => [level]);
  for (let length = 1; length <= 5; length += 1) {
    yield* longest.map((levels) => levels.join("/")).filter((name) => name !== "");
    longest = longest.flatMap((levels) => alphabet.map((level) => [...levels, level]));
  }
})();
const allNames = [...topicNames];

/** §4.7 said as a regular expression: another way to the same answer. */
function referencePattern(text: string): RegExp {
  const levels = text.split("/");
  const guard = /^[+#{]/.test(levels[0] ?? "") ? "(?!\\$)" : "";
  const body = levels
    .map((level, index) => {
      const slash = index === 0 ? "" : "/";
      if (level === "#") return index === 0 ? ".*" : "(/.*)?";
      if (level === "+") return `${slash}[^/]*`;
      if (level.startsWith("{")) return `${slash}(?<${level.slice(1, -1)}>[^/]+)`;
      return `${slash}${level.replace("$", "\\$")}`;
    })
    .join("");
  return new RegExp(`^${guard}${body}$`);
}

test("a filter matches what §4.7 says, and captures its named levels", () => {
  fc.assert(
    fc.property(filterText, fc.constantFrom(...allNames), (text, name) => {
      const reference = referencePattern(text).exec(name);
      const captures = matchTopicFilter(parseTopicFilter(text), name);
      assert.deepEqual(captures, reference && { ...reference.groups });
    }),
    { numRuns: 3000 },
  );
});

test("a filter covers another one only if it matches whatever that one matches", () => {
  const covers = (outer: string, inner: string) =>
    filterCovers(parseTopicFilter(outer), parseTopicFilter(inner));
  for (const [outer, inner] of [
    ["#", "a/b"],
    ["a/#", "a"],
    ["a/#", "a/+/{x}/#"],
    ["a/+", "a/{x}"],
    ["a/{x}", "a/b"],
    ["+/b", "a/b"],
  ] as const)
    assert.equal(covers(outer, inner), true, `${outer} covers ${inner}`);
  for (const [outer, inner] of [
    ["a", "a/#"],
    ["a/b", "a/+"],
    ["a/{x}", "a/+"],
    ["a/{x}", "a/"],
    ["a/+", "a/#"],
    ["+/x", "a/#"],
    ["#", "$SYS/a"],
    ["+/a", "$SYS/a"],
    ["a/b", "a/b/c"],
  ] as const)
    assert.equal(covers(outer, inner), false, `${outer} does not cover ${inner}`);
  fc.assert(
    fc.property(filterText, filterText, fc.constantFrom(...allNames), (outer, inner, name) => {
      const [a, b] = [parseTopicFilter(outer), parseTopicFilter(inner)];
      if (filterCovers(a, b) && matchTopicFilter(b, name)) assert.ok(matchTopicFilter(a, name));
    }),
    { numRuns: 3000 },
  );
});

test("the examples of §4.7 hold", () => {
  const matches = (filter: string, name: string) =>
    matchTopicFilter(parseSubscriptionFilter(filter), name) !== null;
  assert.ok(matches("sport/tennis/player1/#", "sport/tennis/player1"));
  assert.ok(matches("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
  assert.ok(matches("sport/#", "sport"));
  assert.ok(!matches("sport/tennis/+", "sport/tennis/player1/ranking"));
  assert.ok(!matches("sport/+", "sport"));
  assert.ok(matches("sport/+", "sport/"));
  assert.ok(matches("+/+", "/finance"));
  assert.ok(matches("/+", "/finance"));
  assert.ok(!matches("+", "/finance"));
  assert.ok(!matches("#", "$SYS/broker"));
  assert.ok(!matches("+/monitor/Clients", "$SYS/monitor/Clients"));
  assert.ok(matches("$SYS/#", "$SYS/broker"));
  assert.ok(matches("$SYS/monitor/+", "$SYS/monitor/Clients"));
  assert.ok(!matches("ACCOUNTS", "Accounts"));
});

test("named levels are + to MQTT and capture what they match", () => {
  const filter = parseTopicFilter("fleet/{device}/+/{sensor}/#");
  assert.equal(filter.mqttFilter, "fleet/+/+/+/#");
  assert.deepEqual(matchTopicFilter(filter, "fleet/d1/x/t/deep/er"), { device: "d1", sensor: "t" });
  assert.deepEqual(matchTopicFilter(filter, "fleet/d1/x/t"), { device: "d1", sensor: "t" });
  assert.equal(matchTopicFilter(filter, "fleet//x/t"), null, "a name has to name something");
  assert.equal(matchTopicFilter(filter, "fleet/d1/x"), null);
});

test("a subscription's braces are ordinary characters", () => {
  assert.deepEqual(matchTopicFilter(parseSubscriptionFilter("a/{x}"), "a/{x}"), {});
  assert.equal(matchTopicFilter(parseSubscriptionFilter("a/{x}"), "a/b"), null);
  assert.equal(parseSubscriptionFilter("a/{x}/+").mqttFilter, "a/{x}/+");
});

test("a broken filter is refused with the clause it breaks: FILTER_INVALID", () => {
  const broken: [string, RegExp][] = [
    ["", /MQTT-4\.7\.3-1/],
    ["a\u0000b", /MQTT-4\.7\.3-2/],
    ["a/".repeat(32_768), /MQTT-4\.7\.3-3/],
    ["é".repeat(32_768), /MQTT-4\.7\.3-3/],
    ["sport/tennis#", /MQTT-4\.7\.1-2/],
    ["sport/tennis/#/ranking", /MQTT-4\.7\.1-2/],
    ["##", /MQTT-4\.7\.1-2/],
    ["sport+", /MQTT-4\.7\.1-3/],
    ["a/+b/c", /MQTT-4\.7\.1-3/],
    ["a/\ud800", /MQTT-1\.5\.3-1/],
  ];
  const brokenNames: [string, RegExp][] = [
    ["fleet/{device", /not a name/],
    ["fleet/x{device}", /not a name/],
    ["fleet/{}", /not a name/],
    ["fleet/{1st}", /not a name/],
    ["fleet/{__proto__}", /not a name/],
    [`fleet/{${"d".repeat(65)}}`, /not a name/],
    ["{device}/{device}", /twice/],
  ];
  const isRefusal = (pattern: RegExp) => (error: unknown) =>
    error instanceof ProtocolError && error.code === "FILTER_INVALID" && pattern.test(error.message);
  for (const [text, pattern] of broken) {
    assert.throws(() => parseTopicFilter(text), isRefusal(pattern), text.slice(0, 40));
    assert.throws(() => parseSubscriptionFilter(text), isRefusal(pattern), text.slice(0, 40));
  }
  for (const [text, pattern] of brokenNames)
    assert.throws(() => parseTopicFilter(text), isRefusal(pattern), text);
});

test("any text is a filter or FILTER_INVALID, and the message stays short", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: fc.constantFrom("a", "/", "+", "#", "{", "}", "\u0000", "$") }),
  );
  fc.assert(
    fc.property(text, (candidate) => {
      try {
        assert.equal(parseTopicFilter(candidate).levels.length, candidate.split("/").length);
      } catch (error) {
        assert.ok(error instanceof ProtocolError && error.code === "FILTER_INVALID", String(error));
        assert.ok(error.message.length < 1500);
      }
    }),
  );
});

test("topic names are checked", () => {
  assert.equal(checkTopicName("fleet/d1/telemetry"), null);
  assert.equal(checkTopicName("é".repeat(32_767)), null);
  assert.match(checkTopicName("") ?? "", /empty/);
  assert.match(checkTopicName("a/+") ?? "", /MQTT-3\.3\.2-2/);
  assert.match(checkTopicName("a/#") ?? "", /MQTT-3\.3\.2-2/);
  assert.match(checkTopicName("a\u0000") ?? "", /U\+0000/);
  assert.match(checkTopicName("\udc00") ?? "", /surrogate/);
  assert.match(checkTopicName("é".repeat(32_768)) ?? "", /65535/);
});

test("two filters overlap exactly when some name matches both", () => {
  fc.assert(
    fc.property(filterText, filterText, (left, right) => {
      const a = parseTopicFilter(left);
      const b = parseTopicFilter(right);
      const shared = allNames.find((name) => matchTopicFilter(a, name) && matchTopicFilter(b, name));
      assert.equal(filtersOverlap(a, b), shared !== undefined, `${left} and ${right}: ${shared}`);
      assert.equal(filtersOverlap(b, a), filtersOverlap(a, b));
    }),
    { numRuns: 4_000 },
  );
});

test("/# and a single level share no name: the empty one is not one", () => {
  for (const single of ["+", "{device}"]) {
    assert.equal(filtersOverlap(parseTopicFilter(single), parseTopicFilter("/#")), false);
    assert.equal(filtersOverlap(parseTopicFilter("/#"), parseTopicFilter(single)), false);
  }
});

test("specificity: literal before name or +, before #; a total preorder", () => {
  const compare = (a: string, b: string) => compareSpecificity(parseTopicFilter(a), parseTopicFilter(b));
  assert.equal(compare("a/b", "a/+"), 1);
  assert.equal(compare("a/{d}", "a/#"), 1);
  assert.equal(compare("a/{d}", "a/+"), 0);
  assert.equal(compare("a", "a/#"), 1);
  assert.equal(compare("a/+", "+/b"), 1);
  assert.equal(compare("a/#", "a/b/c"), -1);
  fc.assert(
    fc.property(filterText, filterText, filterText, (a, b, c) => {
      assert.equal(compare(a, b) + compare(b, a), 0);
      if (compare(a, b) >= 0 && compare(b, c) >= 0) assert.ok(compare(a, c) >= 0);
    }),
  );
});

test("the matcher finds the most specific of many filters, as trying them one by one does", () => {
  fc.assert(
    fc.property(fc.array(filterText, { maxLength: 8 }), fc.constantFrom(...allNames), (texts, name) => {
      const filters = texts.map(parseTopicFilter);
      const matching = filters.filter((filter) => matchTopicFilter(filter, name));
      const best = matching.sort((a, b) => compareSpecificity(b, a))[0];
      const found = new TopicMatcher(filters.map((filter) => [filter, filter] as const)).match(name);
      assert.equal(found?.value, best);
      if (best) assert.deepEqual({ ...found?.captures }, matchTopicFilter(best, name));
    }),
    { numRuns: 3000 },
  );
});
