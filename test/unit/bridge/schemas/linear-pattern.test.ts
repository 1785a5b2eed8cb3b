import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LinearPattern } from "../../../../bridge/schemas/linear-pattern.ts";
import { processCpuMs } from "../../../../bridge/tail/schema-checks.ts";

const numRuns = Number(process.env["RUNS"] ?? 300);

/**
 * Characters at which engines may differ: line ends, spaces, halves of surrogate pairs, the ends of ranges.
 */
const character = fc.constantFrom(
  ..."aAzZ09_- \t\n\r\v\f/\\[](){}.^$|?*+é\u00a0\u0085\u1680\u2028\u2029\u200b\ufeff\u180e\ud7ff\ue000\uffff",
  "\u{1f600}",
  "\u{10ffff}",
  "\u0000",
  "\u007f",
);
const text = fc.array(character, { maxLength: 6 }).map((all) => all.join(""));
const atom = fc.constantFrom(
  ...[
    "a",
    "Z",
    ".",
    "\\.",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\b",
    "\\B",
    "^",
    "$",
    "\\/",
    "/",
    "-",
  ],
  ...[
    "[a-z]",
    "[^a-z]",
    "[]",
    "[^]",
    "[\\s]",
    "[^\\s]",
    "[\\S]",
    "[a\\S\\d]",
    "[.]",
    "[^.\\n]",
    "[\\w-]",
    "[\\b]",
  ],
  ...[
    "\\u0041",
    "\\u{1f600}",
    "\\ud83d\\ude00",
    "[\\ud83d\\ude00]",
    "\u{1f600}",
    "\\x41",
    "\\cJ",
    "\\0",
    "\\t",
  ],
  ...[
    "\\p{L}",
    "\\P{L}",
    "\\p{Lu}",
    "[\\p{L}\\d]",
    "\\[",
    "\\]",
    "\\(",
    "\\{",
    "\\^",
    "\\$",
    "\\|",
    "\\?",
    "\\\\",
  ],
  ...["[[]", "[(]", "[\\]]", "[\\^a]", "[^^]", "[a|b]", "[{}]", "(?<!a)b", "(?<=\\d)a", "[\\-a]", "\\-"],
);
const quantifier = fc.constantFrom("", "", "", "*", "+", "?", "*?", "+?", "{2}", "{0,3}", "{1,}");
const pattern: fc.Arbitrary<string> = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.tuple(atom, quantifier).map(([left, right]) => left + right),
    fc.tuple(tie("pattern"), tie("pattern")).map(([left, right]) => left + right),
    fc.tuple(tie("pattern"), tie("pattern")).map(([left, right]) => `(?:${left}|${right})`),
    fc.tuple(tie("pattern"), quantifier).map(([inner, right]) => `(${inner})${right}`),
    fc.tuple(tie("pattern"), quantifier).map(([inner, right]) => `(?<n>${inner})${right}`),
  ),
})).pattern;

function regExpOf(source: string): RegExp | null {
  try {
    return new RegExp(source, "u");
  } catch {
    return null;
  }
}

test("a pattern matches as in JavaScript, or it is refused", () => {
  let compared = 0;
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 10 }), (source, texts) => {
      const expected = regExpOf(source);
      if (expected === null) return void assert.throws(() => new LinearPattern(source), SyntaxError);
      const linear = new LinearPattern(source);
      for (const each of texts) {
        assert.equal(linear.test(each), expected.test(each), `${source} on ${JSON.stringify(each)}`);
        compared += 1;
      }
    }),
    { numRuns },
  );
  assert.ok(compared > numRuns, `${compared} compared`);
});

describe("patterns that backtrack elsewhere", () => {
  const hostile = [
    ["^(a+)+$", "a"],
    ["^(a|a)*$", "a"],
    ["^(.*a){20}$", "a"],
    ["(\\d+\\s?)+$", "1"],
    ["\\d+\\d+\\d+\\d+x$", "1"],
    ["^(([a-z])+.)+[A-Z]([a-z])+$", "a"],
    ["(?<!(?:a*)*)b", "a"],
  ] as const;
  for (const [source, fill] of hostile)
    test(`${source} takes time in proportion to the text`, () => {
      const linear = new LinearPattern(source);
      const beganMs = processCpuMs();
      assert.equal(linear.test(`${fill.repeat(100_000)}!`), false);
      assert.ok(processCpuMs() - beganMs < 5_000);
    });
});

test("a pattern that can't be matched in linear time is refused in plain words", () => {
  for (const source of [
    "(?=a)b",
    "(?!a)b",
    "(a)\\1",
    "(?<n>a)\\k<n>",
    "a{1001}",
    "(?:(?:a{100}){100}){100}",
    "(",
    "a{2,1}",
  ])
    assert.throws(() => new LinearPattern(source), SyntaxError, source);
  assert.throws(() => new LinearPattern("^(?!x).*$"), /can't be matched in linear time.*look-ahead/);
});

test("patterns are told apart by their source, and a reset changes nothing", () => {
  const linear = new LinearPattern("^a+$");
  linear.reset();
  assert.deepEqual([String(linear), linear.test("aa"), linear.test("ab")], ["^a+$", true, false]);
});
